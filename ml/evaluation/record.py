"""The record of an evaluation, as frozen values that are written to and read from JSON with a digest.

The digest makes an edited record evident: `from_json` refuses it. It is not a signature; grants control who may write
records.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ml.evaluation.comparison import Comparison
from ml.evaluation.reliability import ReliabilityBin
from ml.labels.maturity import LabelCounts
from ml.models.importance import InputImportance
from ml.spec.clusters import DAY_MEMORY, EntityKind
from ml.spec.costs import ErrorCosts, restored_costs
from ml.spec.errors import LakehouseError
from ml.spec.estimator import Problem
from ml.spec.gate_policy import Method
from ml.spec.target import MultiClass, Target

_LATER = frozenset({"entities", "day_memory", "small_slices", "weights", "costs", "metric_bound", "sample_share"})
_LATER_OF_CONTENDERS = frozenset({"trials_on_rows", "importance", "reliability"})
_LATER_OF_COMPARISONS = frozenset({"degrees_of_freedom", "clusters", "dominant"})


class RecordError(LakehouseError, ValueError):
    """A stored record that differs from what was written."""


class FailureKind(StrEnum):
    """Why a contender does not count."""

    RAISED = "raised"
    OTHER_ROWS = "other_rows"
    OVERLAP = "overlap"
    OLDER_ROWS = "older_rows"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    CONSTANT = "constant"
    HARD_LABELS = "hard_labels"


@dataclass(frozen=True, kw_only=True)
class SliceMetrics:
    """One contender on one slice; a metric the slice does not define is NaN."""

    slice_key: str
    slice_value: str
    rows: int
    positives: int | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class EvaluatedContender:
    """One contender with its metrics, or the reason why it does not count.

    Attributes
    ----------
    trials_on_rows
        How many further combinations of its parameters were validated on these rows: the gate corrects for them too.
    importance
        How much the deciding metric depends on each input, the most important first; empty if it was not measured.
    reliability
        What was observed where it predicted so much, the lowest scores first.
    """

    version: int
    estimator: str
    trained_until: str | None
    overlap_rows: int | None
    seconds_per_1000_rows: float | None
    metrics: Mapping[str, float]
    slices: tuple[SliceMetrics, ...]
    failure_kind: FailureKind | None
    failure: str | None
    trials_on_rows: int = 0
    importance: tuple[InputImportance, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EntityCount:
    """How many entities of one column the rows belong to.

    Attributes
    ----------
    effective
        The number of entities of equal size that are worth as much as these.
    """

    column: str
    kind: EntityKind
    entities: int
    effective: float


@dataclass(frozen=True, kw_only=True)
class SmallSlice:
    """A candidate and the champion on a slice that is too small to be judged like the others.

    Attributes
    ----------
    rarer
        Rows of the rarest class; None for a regression.
    pooled
        Whether it was judged together with the other small slices of its column.
    difference, standard_error, degrees_of_freedom, p_worse
        As in `ml.evaluation.comparison.Comparison`, the rows taken as units; None where so few rows define none.
    tolerance, unit
        The tolerance, and the distance between a constant and a perfect prediction, in the metric's unit.
    """

    candidate: int
    slice_key: str
    slice_value: str
    rows: int
    rarer: int | None
    pooled: bool
    difference: float | None
    standard_error: float | None
    degrees_of_freedom: float | None
    p_worse: float | None
    tolerance: float
    unit: float


@dataclass(frozen=True, kw_only=True)
class WeightCounts:
    """How much the rows of an evaluation are worth, where they count by weight: as many rows of equal weight.

    Attributes
    ----------
    rows, rarer, days
        Kish's effective number of all rows, of those of the rarer class (None for a regression), and of the days.
    """

    column: str
    rows: float
    rarer: float | None
    days: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Champion and candidates on the same rows.

    Attributes
    ----------
    positives
        Rows of class 1 of two, or of the rarest of several; None for a regression.
    policy, policy_digest
        The policy for which it was measured; the gate refuses any other.
    label_spread
        Standard deviation of the label on these rows.
    window_start, window_end
        First and last instant of prediction, ISO 8601; None without rows.
    keys_digest
        Digest of the keys of the rows, the same for every contender.
    constant
        Value of each metric for the best constant prediction.
    label_counts
        Of the requests that could have been evaluated, which decide and which are left out; None if not recorded.
    incomplete_because
        Why no decision is possible; empty if the evaluation is complete.
    entities, day_memory
        What the use case declares of the rows: what they belong to besides their day, and the largest correlation of
        a day with the day before, 0 for independent days.
    small_slices
        What was seen on slices that are too small to be judged alone, in the policy's metric.
    weights
        What the rows are worth where they count by weight; None where all count alike.
    costs
        Of errors, as declared when it was measured; None without any.
    metric_bound
        How far the deciding metric of a contender may be from its exact value, where it was computed from summaries
        of the rows; None where it is exact.
    sample_share
        The share of the rows that was evaluated, drawn by key; None for all.
    """

    evaluation_id: str
    model: str
    problem: Target
    policy: str
    policy_digest: str
    metric: str
    seed: int
    rows: int
    positives: int | None
    days: int
    label_spread: float
    window_start: str | None
    window_end: str | None
    keys_digest: str
    champion: int | None
    constant: Mapping[str, float]
    contenders: tuple[EvaluatedContender, ...]
    comparisons: tuple[Comparison, ...]
    label_counts: LabelCounts | None = None
    incomplete_because: tuple[str, ...] = ()
    entities: tuple[EntityCount, ...] = ()
    day_memory: float = 0.0
    small_slices: tuple[SmallSlice, ...] = ()
    weights: WeightCounts | None = None
    costs: ErrorCosts | None = None
    metric_bound: float | None = None
    sample_share: float | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that a decision needs was measured."""
        return not self.incomplete_because

    @property
    def candidates(self) -> tuple[EvaluatedContender, ...]:
        """Every contender except the champion, including those that do not count."""
        return tuple(c for c in self.contenders if c.version != self.champion)

    @property
    def trials_on_rows(self) -> int:
        """How many trials of the candidates' searches were validated on these rows."""
        return sum(candidate.trials_on_rows for candidate in self.candidates)

    def contender(self, version: int) -> EvaluatedContender:
        """Return one contender by its version.

        Raises
        ------
        KeyError
            If the version was not evaluated.
        """
        for found in self.contenders:
            if found.version == version:
                return found
        raise KeyError(f"version {version} is not among the evaluated {[c.version for c in self.contenders]}.")

    @property
    def digest(self) -> str:
        """SHA-256 of the whole record."""
        return _digest(_plain(self))

    def to_json(self) -> str:
        """Return the record with its digest as one line of JSON; NaN becomes null."""
        payload = _plain(self)
        return json.dumps({"digest": _digest(payload), "evaluation": payload}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """Return the record that `to_json` wrote.

        Raises
        ------
        RecordError
            If the text is not such a record, or was changed after it was written.
        """
        try:
            stored = json.loads(text)
            payload, digest = dict(stored["evaluation"]), str(stored["digest"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"this is not a stored evaluation ({error!r}): evaluate again.") from error
        if _digest(payload) != digest:
            raise RecordError(
                f"the evaluation record {payload.get('evaluation_id')!r} was changed after it was written: its digest is "
                f"{_digest(payload)[:12]}, recorded was {digest[:12]}. Nothing is decided on it; evaluate again."
            )
        try:
            return _restored(payload)
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"the evaluation was stored by another version ({error!r}): evaluate again.") from error


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    found = _without_nan(asdict(evaluation))
    assert isinstance(found, dict)  # noqa: S101 - narrows the type for mypy
    found["comparisons"] = [_written(comparison, _LATER_OF_COMPARISONS) for comparison in found["comparisons"]]
    found["contenders"] = [_written(contender, _LATER_OF_CONTENDERS) for contender in found["contenders"]]
    return _written(found, _LATER)


def _written(values: Mapping[str, Any], later: frozenset[str]) -> dict[str, Any]:
    """Leave out what later releases added and this record does not use: records of before keep their digest."""
    return {name: value for name, value in values.items() if value or name not in later}


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value


def _digest(payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(payload, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _restored(payload: Mapping[str, Any]) -> Evaluation:
    values = dict(payload)
    values["problem"] = _restored_target(values["problem"])
    values["contenders"] = tuple(_restored_contender(c) for c in values["contenders"])
    values["comparisons"] = tuple(Comparison(**{**c, "method": Method(c["method"])}) for c in values["comparisons"])
    values["incomplete_because"] = tuple(values["incomplete_because"])
    counts = values.get("label_counts")
    values["label_counts"] = None if counts is None else LabelCounts.of(counts)
    values["constant"] = _with_nan(values["constant"])
    counted = values.get("entities", ())
    values["entities"] = tuple(EntityCount(**{**e, "kind": EntityKind(e["kind"])}) for e in counted)
    if values.pop("days_depend", False):  # as it was written before the memory could be declared
        values["day_memory"] = DAY_MEMORY
    values["small_slices"] = tuple(SmallSlice(**small) for small in values.get("small_slices", ()))
    values["weights"] = WeightCounts(**values["weights"]) if values.get("weights") else None
    values["costs"] = restored_costs(values.get("costs"))
    return Evaluation(**values)


def _restored_target(stored: Any) -> Target:
    return Problem(stored) if isinstance(stored, str) else MultiClass(classes=tuple(stored["classes"]))


def _restored_contender(values: Mapping[str, Any]) -> EvaluatedContender:
    kind = values["failure_kind"]
    return EvaluatedContender(
        **{
            **values,
            "metrics": _with_nan(values["metrics"]),
            "slices": tuple(SliceMetrics(**{**s, "metrics": _with_nan(s["metrics"])}) for s in values["slices"]),
            "failure_kind": FailureKind(kind) if kind else None,
            "importance": tuple(InputImportance(**one) for one in values.get("importance", ())),
            "reliability": tuple(ReliabilityBin(**one) for one in values.get("reliability", ())),
        }
    )


def _with_nan(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float("nan") if value is None else value for name, value in values.items()}
