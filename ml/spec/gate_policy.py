"""What a use case demands before a candidate becomes champion, as frozen values.

Declarations import this module: standard library only. `ml.evaluation.evaluate_contenders` measures what a policy demands and
`ml.gate.decision` applies it; ``ml/README.md`` gives the reasons for the defaults.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from ml.spec.clusters import LEAST_DEPENDENT_DAYS, dependent_days
from ml.spec.costs import COST_PER_REQUEST
from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.estimator import Problem
from ml.spec.near_miss import unknown
from ml.spec.target import MULTI_CLASS, Target


class Method(StrEnum):
    """How the difference of two models on the same rows is judged.

    ``ANALYTIC`` is DeLong's test for ROC AUC and a paired t test for means of a loss; ``ANALYTIC_BY_DAY`` is the same
    with the rows of one day taken as one unit, and those of one sampled entity too where a use case declares
    `ml.spec.clusters.Clusters`. The bootstraps resample rows, or whole days. ``UNPAIRED_BOOTSTRAP``
    draws different rows for each model: it exists to show what the original article's code does.
    """

    ANALYTIC = "analytic"
    ANALYTIC_BY_DAY = "analytic_by_day"
    PAIRED_BOOTSTRAP = "paired_bootstrap"
    DAY_BOOTSTRAP = "day_bootstrap"
    UNPAIRED_BOOTSTRAP = "unpaired_bootstrap"

    @property
    def by_day(self) -> bool:
        """Whether rows of one day count as one unit."""
        return self in (Method.ANALYTIC_BY_DAY, Method.DAY_BOOTSTRAP)

    @property
    def resamples_rows(self) -> bool:
        """Whether the method is a bootstrap, and so needs a number of resamples and a seed."""
        return self not in (Method.ANALYTIC, Method.ANALYTIC_BY_DAY)


class Correction(StrEnum):
    """How the level is divided among several candidates, so that the best of many equal ones is not promoted by chance."""

    NONE = "none"
    BONFERRONI = "bonferroni"
    HOLM = "holm"


class PolicyError(DeclarationError):
    """A policy that contradicts itself, or a name that no policy has."""


@dataclass(frozen=True, kw_only=True)
class GuardRail:
    """A further metric on which a candidate must not be shown to be worse than the champion.

    Attributes
    ----------
    metric
        Name of a metric, see `ml.metrics.quality_metrics`.
    tolerance
        How much worse is still allowed, as a share of the distance between a constant prediction's value and a
        perfect one: 0.02 of a ROC AUC is 0.01, of an error 2% of what always predicting the mean would have.
    """

    metric: str
    tolerance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """What the gate demands of a candidate.

    Attributes
    ----------
    metric
        The metric that decides; its direction follows from its name.
    method
        How the difference is judged.
    alpha, minimum_win_share
        Exactly one is given: the one-sided level of the test over all candidates together, or the share of
        resamples on which a candidate must win.
    margin
        By how much a candidate must be better, in the metric's unit; 0 is superiority, a negative number is
        non-inferiority: worse by less than that is accepted.
    minimum_rows, minimum_positives, minimum_days
        Below these no decision is made. Of positives and of negatives alike at least `minimum_positives`; days only
        where the method counts by day.
    minimum_dependent_days, minimum_entities
        The same where a use case declares clusters: days that may depend on the day before by 0.5 (more of them where
        it declares more, `ml.spec.clusters.dependent_days`), and entities of each sampled kind, counted as that
        many of equal size. With fewer the stated level was not held when measured.
    guard_rails, guard_alpha
        Further metrics, and the level at which a fall in one of them counts as shown (Holm over all of them).
    reported
        Metrics that are compared and shown, without consequence.
    slice_tolerance, slice_alpha
        A candidate shown to be worse by more than the tolerance (in the unit of `GuardRail.tolerance`) on any slice,
        at this level with Holm's correction over the slices, is refused; None switches the rule off.
    minimum_slice_rows, minimum_slice_positives
        Slices with less are judged together, as the other small slices of their column, if together they have as much.
    small_slice_alpha
        The level, with Holm's correction over them, at which a fall on a slice that is too small alone still counts as
        shown: stricter than `slice_alpha`, because the errors of few rows are known badly.
    calibration_limit, calibration_allowance
        Largest expected calibration error in standard deviations of the label; a champion that is beyond the limit
        itself may be exceeded by the allowance. None switches the rule off.
    latency_ratio, latency_floor
        Scoring may take this many times as long as the champion's; below `latency_floor` seconds per 1,000 rows
        the ratio is not applied. None switches the rule off.
    limit
        The value of the metric that a champion must at least reach; None for no more than to beat a constant.
    maximum_skill, maximum_skill_gain
        Skill is the share of the way from a constant prediction to a perfect one. More than this, or so much more
        than the champion, is what a leaked label looks like, and a person has to look. None switches a rule off.
    """

    name: str
    metric: str
    method: Method
    alpha: float | None = None
    minimum_win_share: float | None = None
    resamples: int = 0
    margin: float = 0.0
    correction: Correction = Correction.HOLM
    minimum_rows: int = 1
    minimum_positives: int = 1
    minimum_days: int = 2
    minimum_dependent_days: int = LEAST_DEPENDENT_DAYS
    minimum_entities: int = 15
    guard_rails: tuple[GuardRail, ...] = ()
    guard_alpha: float = 0.05
    reported: tuple[str, ...] = ()
    slice_tolerance: float | None = None
    slice_alpha: float = 0.05
    minimum_slice_rows: int = 200
    minimum_slice_positives: int = 20
    small_slice_alpha: float = 0.005
    calibration_limit: float | None = None
    calibration_allowance: float = 0.0
    latency_ratio: float | None = None
    latency_floor: float = 0.05
    limit: float | None = None
    maximum_skill: float | None = None
    maximum_skill_gain: float | None = None

    @gathered
    def __post_init__(self) -> None:
        mistakes = [f"{mistake}." for mistake in type_mistakes(self)]
        mistakes = mistakes or [sentence for wrong, sentence in self._checks() if wrong]
        if mistakes:
            raise PolicyError(f"gate policy {self.name!r}: " + " ".join(mistakes))

    def least_days(self, day_memory: float) -> int:
        """Return how many evaluated days are demanded where a test is by day, given how much a day may depend on the day before."""
        dependent = dependent_days(day_memory, self.minimum_dependent_days) if day_memory else 0
        return max(self.minimum_days, dependent)

    @property
    def compared(self) -> tuple[str, ...]:
        """Every metric in which candidates are compared with the champion, the deciding one first."""
        return tuple(dict.fromkeys((self.metric, *(rail.metric for rail in self.guard_rails), *self.reported)))

    def _checks(self) -> tuple[tuple[bool, str], ...]:
        rates = {"alpha": self.alpha, "minimum_win_share": self.minimum_win_share, "guard_alpha": self.guard_alpha,
                 "slice_alpha": self.slice_alpha, "small_slice_alpha": self.small_slice_alpha}  # fmt: skip
        outside = [f"{name}={value}" for name, value in rates.items() if value is not None and not 0 < value < 1]
        return (
            (bool(outside), f"{', '.join(outside)} must lie between 0 and 1."),
            ((self.alpha is None) == (self.minimum_win_share is None), "give either alpha or minimum_win_share."),
            (self.minimum_win_share is not None and not self.method.resamples_rows,
             f"a share of wins needs a bootstrap, not method={self.method.value!r}."),
            (self.method.resamples_rows and self.resamples < 1,
             f"method={self.method.value!r} needs resamples, got {self.resamples}; give at least 100."),
            (min(self.minimum_rows, self.minimum_positives) < 1, "minimum_rows and minimum_positives start at 1."),
            (min(self.minimum_slice_rows, self.minimum_slice_positives) < 2,
             "minimum_slice_rows and minimum_slice_positives start at 2: fewer have no spread."),
            (min(self.minimum_dependent_days, self.minimum_entities) < 2,
             "minimum_dependent_days and minimum_entities start at 2: one has no spread."),
            (not math.isfinite(self.margin), f"margin={self.margin} is not a number."),
            (self.latency_ratio is not None and self.latency_ratio <= 0, "latency_ratio must be above 0."),
            (any(rail.tolerance < 0 for rail in self.guard_rails) or (self.slice_tolerance or 0) < 0,
             "tolerances are 0 or more."),
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """SHA-256 of all fields; the gate refuses an evaluation that was measured for another policy."""
        import hashlib
        import json  # both slow to load, for the one who lists jobs

        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


ARTICLE = GatePolicy(
    name="article",
    metric="roc_auc_score",
    method=Method.PAIRED_BOOTSTRAP,
    resamples=100,
    minimum_win_share=0.9,
    correction=Correction.NONE,
    reported=("log_loss",),
)
"""The original article's rule on the same rows: a win on at least 90% of 100 resamples."""

ARTICLE_UNPAIRED = replace(ARTICLE, name="article_unpaired", method=Method.UNPAIRED_BOOTSTRAP)
"""The original article's rule as its code computes it: each model on rows drawn for it alone."""

DEFAULT_BINARY = GatePolicy(
    name="default",
    metric="roc_auc_score",
    method=Method.ANALYTIC_BY_DAY,
    alpha=0.025,
    minimum_rows=1_000,
    minimum_positives=100,
    minimum_days=14,
    guard_rails=(GuardRail(metric="log_loss", tolerance=0.02),),
    slice_tolerance=0.02,
    calibration_limit=0.25,
    calibration_allowance=0.05,
    latency_ratio=10.0,
    maximum_skill=0.98,
    maximum_skill_gain=0.4,
)
"""Superiority in ROC AUC, days as units, guarded; chosen on the measured error rates in ``ml/README.md``."""

DEFAULT_REGRESSION = replace(
    DEFAULT_BINARY,
    metric="mean_absolute_error",
    guard_rails=(GuardRail(metric="root_mean_squared_error", tolerance=0.02),),
)
"""The same demands on the mean absolute error."""

DEFAULT_MULTI_CLASS = replace(DEFAULT_BINARY, metric="macro_roc_auc_score")
"""The same demands on the mean of the ROC AUCs of every class against the rest; every class has the demanded rows."""

NON_INFERIOR_BINARY = replace(DEFAULT_BINARY, name="non_inferior", margin=-0.005)
"""For a candidate that has another advantage (newer, simpler, cheaper): worse by less than 0.005 is accepted."""

LEAST_COST = replace(
    DEFAULT_BINARY,
    name="least_cost",
    metric=COST_PER_REQUEST,
    guard_rails=(GuardRail(metric="log_loss", tolerance=0.02), GuardRail(metric="roc_auc_score", tolerance=0.02)),
)
"""Superiority in the cost of a request, for a use case that declares costs: with the guards of the default, and its metric
as one more."""

LEAST_COST_MULTI_CLASS = replace(
    LEAST_COST,
    guard_rails=(
        GuardRail(metric="log_loss", tolerance=0.02), GuardRail(metric=DEFAULT_MULTI_CLASS.metric, tolerance=0.02),
    ),
)  # fmt: skip
"""The same demands where one of several classes is predicted."""

POLICIES: Mapping[str, tuple[GatePolicy, ...]] = MappingProxyType(
    {
        Problem.BINARY: (DEFAULT_BINARY, NON_INFERIOR_BINARY, LEAST_COST, ARTICLE, ARTICLE_UNPAIRED),
        Problem.REGRESSION: (
            DEFAULT_REGRESSION,
            replace(ARTICLE, metric="mean_absolute_error", reported=("root_mean_squared_error",)),
            replace(ARTICLE_UNPAIRED, metric="mean_absolute_error", reported=("root_mean_squared_error",)),
        ),
        MULTI_CLASS: (
            DEFAULT_MULTI_CLASS,
            replace(DEFAULT_MULTI_CLASS, name="non_inferior", margin=-0.005),
            LEAST_COST_MULTI_CLASS,
        ),
    }
)
"""The policies by name, for each kind of target."""


def policy(name: str, problem: Target) -> GatePolicy:
    """Return a policy by name.

    Raises
    ------
    PolicyError
        If the problem has no policy of that name; the message names the nearest one.
    """
    known = {known.name: known for known in POLICIES[str(problem)]}
    if name in known:
        return known[name]
    raise PolicyError(unknown(f"gate policy for a {problem} problem", name, known))
