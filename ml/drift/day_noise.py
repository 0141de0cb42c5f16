"""What the mean of later days may be by chance, given a history of days that may resemble the day before.

A figure of a day (a share, a quantile) is taken for a mean, an effect of the day that is a first-order autoregression, and
a part that differs from day to day. For a known memory and a known share of the variance that remembers, the distance of
later days from the history's mean has Student's distribution exactly (generalised least squares with one mean). Two
months of days do not say what the memory is, so those distributions are averaged by its likelihood, from which the mean
and the variance are integrated out (Berger, De Oliveira and Sansó 2001, Journal of the American Statistical Association
96; here on a grid with equal prior weights). Later days are taken to be far from the history: that the first ones resemble
its last is not used.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

MEMORIES = (0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.9)
"""Correlations of the effect of a day with that of the day before; none is weighed as well."""
REMEMBERING = (0.25, 0.5, 0.75, 1.0)
"""Shares of the variance between days that remember."""
CONSTANT = 1e-12
"""A variance up to this one says nothing about the memory."""
HALVINGS = 60
Floats = NDArray[np.float64]


class _Series(NamedTuple):
    """A correlation of days, prepared for histories of one length."""

    memory: float
    remembering: float
    whitening: Floats
    ones: Floats
    information: float
    log_root: float

    def growth(self, days: int) -> float:
        """Return the variance of the mean of so many days and of the history's mean, in variances of a day."""
        lags = np.arange(1, days)
        together = 1 + 2 * self.remembering * float(((1 - lags / days) * self.memory**lags).sum())
        return together / days + 1 / self.information


@dataclass(frozen=True, kw_only=True)
class DayNoise:
    """Student's distributions of later days, one for each memory and remembering share, and their weights.

    Attributes
    ----------
    means, variances, weights
        Shape (series, figures); the variance is that of a day, the weights of a figure add up to 1.
    days
        Length of the history.
    """

    means: Floats
    variances: Floats
    weights: Floats
    days: int

    @classmethod
    def of(cls, past: Floats, least: Floats | float = 0.0) -> "DayNoise":
        """Return what a history says.

        Parameters
        ----------
        past
            Figures of single days in their order, shape (days, figures).
        least
            Least variance of a day, for each figure or for all.
        """
        freedom = len(past) - 1
        means, variances, likelihoods = [], [], []
        for series in _series(len(past)):
            white = series.whitening @ past
            mean = series.ones @ white / series.information
            variance = ((white - series.ones[:, None] * mean) ** 2).sum(axis=0) / freedom
            likelihood = np.log(np.maximum(variance, CONSTANT)) * freedom + np.log(series.information)
            means.append(mean)
            variances.append(np.maximum(variance, np.maximum(least, CONSTANT)))
            likelihoods.append(-likelihood / 2 - series.log_root)
        weights = np.exp(np.array(likelihoods) - np.max(likelihoods, axis=0))
        weights[:, past.var(axis=0) <= CONSTANT] = 1.0
        return cls(
            means=np.array(means), variances=np.array(variances), weights=weights / weights.sum(axis=0), days=len(past)
        )

    def pvalues(self, values: Floats, days: int, *, upward: bool, more: Floats | float = 0.0) -> Floats:
        """Return the probability that the mean of so many later days is as high (or as low) as each of these, shape (figures,).

        Parameters
        ----------
        more
            Variance that each of these days has beyond that of a day of the history.
        """
        scale = np.sqrt(self.variances * _growths(self.days, days)[:, None] + np.asarray(more) / days)
        distance = (values - self.means) / scale
        beyond = special.stdtr(self.days - 1, -distance if upward else distance)  # Student's distribution function
        return np.asarray((self.weights * beyond).sum(axis=0))

    def limits(self, days: int, level: float, *, upward: bool) -> Floats:
        """Return the value of each figure beyond which the mean of so many later days has the probability `level`."""
        sign = 1.0 if upward else -1.0
        near = self.means.mean(axis=0)
        width = np.sqrt(self.variances.max(axis=0))
        while (self.pvalues(near + sign * width, days, upward=upward) >= level).any():
            width = width * 2
        low, high = np.zeros_like(width), width
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = self.pvalues(near + sign * middle, days, upward=upward) < level
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return np.asarray(near + sign * high)


@lru_cache(maxsize=256)
def _growths(history: int, days: int) -> Floats:
    """Return the `growth` of each series for histories of one length; each day of a month asks for all columns and scales."""
    return np.array([series.growth(days) for series in _series(history)])


@lru_cache(maxsize=8)
def _series(days: int) -> tuple[_Series, ...]:
    apart = np.abs(np.subtract.outer(np.arange(days), np.arange(days)))
    found = []
    for memory, remembering in [(0.0, 0.0), *((memory, share) for memory in MEMORIES for share in REMEMBERING)]:
        correlation = np.where(apart == 0, 1.0, remembering * memory**apart)
        root = linalg.cholesky(correlation, lower=True)
        whitening = linalg.solve_triangular(root, np.eye(days), lower=True)
        ones = whitening.sum(axis=1)
        found.append(
            _Series(
                memory=memory, remembering=remembering, whitening=whitening, ones=ones, information=float(ones @ ones),
                log_root=float(np.log(np.diag(root)).sum()),
            )
        )  # fmt: skip
    return tuple(found)
