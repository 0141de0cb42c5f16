"""What later days may be by chance: exact where the memory is known, and within the stated level where it is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.simulation.drift_streams import remembering
from ml.drift.day_noise import DayNoise

DAYS = 60
LEVEL = 1e-3
LATER = {1: 5, 3: 0, 30: 0}
"""Length of the mean that is looked at, to how many days after the history it begins."""


def series(days: int, figures: int, memory: float, share: float = 1.0, seed: int = 0) -> np.ndarray:
    """Days whose effects remember, and of whose variance only a share does; shape (days, figures)."""
    random = np.random.default_rng(seed)
    effects = remembering(random.normal(size=(days, figures)), memory)
    return np.sqrt(share) * effects + np.sqrt(1 - share) * random.normal(size=(days, figures))


def above(memory: float, share: float, days: int, figures: int = 30_000) -> float:
    """Share of quiet figures whose later mean has a probability below the level."""
    past, later = np.split(series(DAYS + 35, figures, memory, share), [DAYS])
    begin = LATER[days]
    return float(
        np.mean(DayNoise.of(past).pvalues(later[begin : begin + days].mean(axis=0), days, upward=True) < LEVEL)
    )


@pytest.mark.parametrize("days", LATER)
@pytest.mark.parametrize(("memory", "share"), [(0.0, 1.0), (0.6, 1.0), (0.8, 1.0), (0.7, 0.5)])
def test_the_level_is_kept_whatever_the_memory(memory: float, share: float, days: int) -> None:
    """Of 30,000 figures at most as many are beyond the level as one that keeps it has once in a thousand times."""
    assert above(memory, share, days) <= stats.binom.ppf(0.999, 30_000, LEVEL) / 30_000


def test_students_test_of_independent_days_would_not_keep_it() -> None:
    """The memory matters: days that are taken for independent exceed the level more than ten times as often."""
    past, later = np.split(series(DAYS + 30, 30_000, 0.8), [DAYS])
    scale = past.std(axis=0, ddof=1) * np.sqrt(1 / 30 + 1 / DAYS)
    beyond = stats.t.sf((later.mean(axis=0) - past.mean(axis=0)) / scale, DAYS - 1) < LEVEL
    assert beyond.mean() > 10 * LEVEL


def test_days_that_are_plainly_independent_are_judged_nearly_by_students_test() -> None:
    """With ten thousand days the likelihood leaves no other memory, and the distribution is the known one."""
    past = series(1_000, 1, 0.0)
    noise = DayNoise.of(past)
    value = past.mean(axis=0) + 4 * past.std(axis=0, ddof=1)
    exact = stats.t.sf(4 / np.sqrt(1 + 1 / 1_000), 999)
    assert noise.pvalues(value, 1, upward=True)[0] == pytest.approx(exact, rel=0.05)


def test_every_part_is_generalised_least_squares() -> None:
    """Mean and variance of a series with a memory, by its inverse covariance."""
    past = series(20, 3, 0.6)
    noise = DayNoise.of(past)
    apart = np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    inverse = np.linalg.inv(np.where(apart == 0, 1.0, 0.5 * 0.15**apart))
    mean = inverse.sum(axis=0) @ past / inverse.sum()
    rest = past - mean
    assert np.allclose(noise.means[2], mean)
    assert np.allclose(noise.variances[2], np.einsum("if,ij,jf->f", rest, inverse, rest) / 19)
    assert np.allclose(noise.weights.sum(axis=0), 1)


@given(
    level=st.floats(1e-8, 0.2), days=st.integers(1, 31), upward=st.booleans(), seed=st.integers(0, 99),
    history=st.integers(14, 40),
)  # fmt: skip
def test_the_limit_is_where_the_probability_is_the_level(
    level: float, days: int, upward: bool, seed: int, history: int
) -> None:
    """And the probability falls with the distance."""
    noise = DayNoise.of(series(history, 2, 0.5, seed=seed))
    limits = noise.limits(days, level, upward=upward)
    assert np.allclose(noise.pvalues(limits, days, upward=upward), level, rtol=1e-3)
    farther = limits + (0.1 if upward else -0.1)
    assert (noise.pvalues(farther, days, upward=upward) < level).all()


def test_a_figure_that_never_moved_has_the_least_variance() -> None:
    """Without one, any difference is beyond chance; with one, it is compared with it."""
    past = np.zeros((20, 1))
    small = np.array([0.1])
    assert DayNoise.of(past).pvalues(small, 1, upward=True)[0] < 1e-12
    assert DayNoise.of(past, 0.01).pvalues(small, 1, upward=True)[0] > 0.1


def test_days_with_fewer_rows_may_be_farther_away() -> None:
    """What they have of variance beyond that of the history is added."""
    noise = DayNoise.of(series(40, 1, 0.3))
    far = np.array([5.0])
    assert noise.pvalues(far, 1, upward=True, more=9.0)[0] > 100 * noise.pvalues(far, 1, upward=True)[0]
