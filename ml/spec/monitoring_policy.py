"""What a use case declares about its monitors and its retraining, as frozen values; imports the standard library only.

Declarations import this module. The defaults were chosen on the measurements shown in the README of `ml`; they
are applied in `ml.monitoring.finding_rules` and `ml.monitoring.retraining_decision`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.profile_columns import DRIFT_STATISTICS

FIXED_THRESHOLDS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "psi_0_10": MappingProxyType({"population_stability_index": 0.10}),
        "psi_0_25": MappingProxyType({"population_stability_index": 0.25}),
    }
)
"""Rules of thumb by name: the same threshold for every column, regardless of noise and the window's size."""

CALIBRATED = "calibrated"
"""The name of thresholds drawn from the reference itself; see `ml.drift.thresholds`."""

WINDOWS = ("day", "week", "month")
"""The lengths that a window may have."""

NEGLIGIBLE: Mapping[str, float] = MappingProxyType({"js_distance": 0.03, "missing_rate_difference": 0.005})
"""By default, a difference that half a percent of the rows can cause is of no interest."""


@dataclass(frozen=True, kw_only=True)
class MonitoringPolicy:
    """When a window's measurements become findings.

    Attributes
    ----------
    thresholds
        ``calibrated``, or the name of a rule of thumb in `FIXED_THRESHOLDS`.
    statistics
        The drift statistics that raise findings; the others are computed and stored too.
    false_alarms_per_month
        Probability that a month without any change raises a drift finding in at least one column.
    negligible
        Statistic to the value up to which a difference is of no interest, even if it is certain. Without it, a column
        that was constant in the reference would raise a finding for one single different row.
    minimum_rows
        Windows and slices with fewer rows raise no drift finding.
    metrics
        The metrics whose fall is a finding, each with a standard error; empty for the gate's metric only.
    metric_alpha
        Probability that a window in which no metric fell raises a finding on one of its metrics and slices.
    metric_tolerance
        How far a metric may fall, in its own unit, before the fall is a finding.
    metric_unit
        The unit of the metrics, for the words of findings: for a regression that of the label, such as ``minutes``.
    minimum_labelled
        Windows and slices with fewer labels raise no finding on a metric.
    minimum_settled
        A metric is judged once the outcomes of this share of the window's predictions are due. Judged every morning
        while outcomes become due, it would raise a finding on one of the mornings by chance.
    missing_labels
        Largest tolerated share of predictions that are past their due date and have no outcome.
    late_labels
        Largest tolerated share of due outcomes that became known only after their due time.
    window
        The length of the windows that are judged, reported and decided on: ``day``, ``week`` (from Monday) or ``month``.
    daily_false_alarms_per_month
        Probability that the daily alarm raises anything within a month without change, over all columns and days.
    daily_negligible
        Share of a day's rows that may change without being of interest to the daily alarm.
    """

    thresholds: str = CALIBRATED
    statistics: tuple[str, ...] = ("js_distance", "missing_rate_difference")
    false_alarms_per_month: float = 0.05
    negligible: Mapping[str, float] = field(default_factory=lambda: NEGLIGIBLE)
    minimum_rows: int = 200
    metrics: tuple[str, ...] = ()
    metric_alpha: float = 0.01
    metric_tolerance: float = 0.01
    metric_unit: str = ""
    minimum_labelled: int = 200
    minimum_settled: float = 0.8
    missing_labels: float = 0.05
    late_labels: float = 0.02
    window: str = "month"
    daily_false_alarms_per_month: float = 0.01
    daily_negligible: float = 0.05

    @gathered
    def __post_init__(self) -> None:
        _refuse("monitoring policy", type_mistakes(self))
        allowed = (CALIBRATED, *FIXED_THRESHOLDS)
        mistakes = [
            f"thresholds is {self.thresholds!r}; give one of {', '.join(allowed)}"
            if self.thresholds not in allowed
            else "",
            _share("false_alarms_per_month", self.false_alarms_per_month),
            _share("metric_alpha", self.metric_alpha),
            _share("daily_false_alarms_per_month", self.daily_false_alarms_per_month),
            f"window is {self.window!r}; give one of {', '.join(WINDOWS)}" if self.window not in WINDOWS else "",
            *(
                f"{name} is {share}; give a share from 0 to 1"
                for name, share in (
                    ("missing_labels", self.missing_labels),
                    ("late_labels", self.late_labels),
                    ("minimum_settled", self.minimum_settled),
                    ("daily_negligible", self.daily_negligible),
                )
                if not 0 <= share <= 1
            ),
            f"metric_tolerance is {self.metric_tolerance}; give 0 or more" if not self.metric_tolerance >= 0 else "",
            _at_least_one("minimum_rows", self.minimum_rows),
            _at_least_one("minimum_labelled", self.minimum_labelled),
            "statistics is empty; name at least one drift statistic" if not self.statistics else "",
            *(
                f"{name!r} is not a drift statistic; give some of {', '.join(DRIFT_STATISTICS)}"
                for name in sorted({*self.statistics, *self.negligible} - {*DRIFT_STATISTICS})
            ),
            *(
                f"metric {name!r} does not say its direction; name metrics *_score (up), *_error or *_loss (down)"
                for name in self.metrics
                if not name.endswith(("_score", "_error", "_loss"))
            ),
        ]
        _refuse("monitoring policy", mistakes)


@dataclass(frozen=True, kw_only=True)
class RetrainingPolicy:
    """When findings become a retraining.

    Attributes
    ----------
    metric_windows
        Number of consecutive windows in which the same metric fell.
    drift_windows
        Number of consecutive windows in which the same column drifted.
    drift_columns
        How many columns must have drifted for that long; a single one is often a broken feed.
    cooldown_days
        Least number of days between two retrainings.
    kinds
        The kinds of finding that may cause a retraining.
    """

    metric_windows: int = 1
    drift_windows: int = 2
    drift_columns: int = 1
    cooldown_days: float = 45
    kinds: tuple[str, ...] = ("metric_fell", "drift")
    windows_by_kind: Mapping[str, int] = field(init=False, repr=False, compare=False)

    @gathered
    def __post_init__(self) -> None:
        _refuse("retraining policy", type_mistakes(self))
        known = {"metric_fell": self.metric_windows, "drift": self.drift_windows}
        mistakes = [
            _at_least_one("metric_windows", self.metric_windows),
            _at_least_one("drift_windows", self.drift_windows),
            _at_least_one("drift_columns", self.drift_columns),
            f"cooldown_days is {self.cooldown_days}; give more than 0" if not self.cooldown_days > 0 else "",
            *(
                f"kind {kind!r} never causes a retraining; give {' or '.join(known)}"
                for kind in self.kinds
                if kind not in known
            ),
        ]
        _refuse("retraining policy", mistakes)
        object.__setattr__(self, "windows_by_kind", MappingProxyType({kind: known[kind] for kind in self.kinds}))


def _share(name: str, value: float) -> str:
    return "" if 0 < value < 1 else f"{name} is {value}; give a probability between 0 and 1, both excluded"


def _at_least_one(name: str, value: int) -> str:
    return "" if value >= 1 else f"{name} is {value}; give 1 or more"


def _refuse(what: str, mistakes: list[str]) -> None:
    given = [mistake for mistake in mistakes if mistake]
    if given:
        raise DeclarationError(f"{what}: {'; '.join(given)}.")
