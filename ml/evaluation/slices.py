"""The slices of an evaluation: which are large enough to be judged, which are judged together, and what a small one shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.evaluation.comparison import Subject, tested
from ml.evaluation.record import SmallSlice
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import Difference
from ml.metrics.targets import positive_rows, rarer_rows
from ml.spec.gate_policy import GatePolicy
from ml.spec.target import Target

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

OTHERS = "other small slices"
"""The value under which the small slices of a column are judged together."""
LEAST_TESTED = 5
"""With fewer rows of the rarer class, or fewer rows of a regression, a small slice is shown and not tested."""


@dataclass(frozen=True, kw_only=True)
class SliceRows:
    """The rows that have one value of a column.

    Attributes
    ----------
    pooled
        Whether it is too small alone, and judged together with others.
    """

    key: str
    value: str
    rows: Rows
    pooled: bool = False


def each_slice(slices: Mapping[str, NDArray[np.object_]]) -> Iterator[SliceRows]:
    """Yield every slice of every column, in the order of their values."""
    for key, values in slices.items():
        codes, found = pd.factorize(np.asarray(values, dtype=object), sort=False, use_na_sentinel=False)
        for code, value in sorted(enumerate(found), key=lambda pair: str(pair[1])):
            yield SliceRows(
                key=key, value="missing" if pd.isna(value) else str(value), rows=np.flatnonzero(codes == code)
            )


def sorted_by_size(
    slices: Mapping[str, NDArray[np.object_]], labels: Floats, policy: GatePolicy, problem: Target
) -> tuple[list[SliceRows], list[SliceRows]]:
    """Return the slices to judge, and those that are too small alone.

    The small ones of a column are pooled into one more slice to judge, if they are large enough together.
    """
    judged: list[SliceRows] = []
    small: list[SliceRows] = []
    for key, values in slices.items():
        found = list(each_slice({key: values}))
        large = [one for one in found if _is_large(labels[one.rows], policy, problem)]
        rest = [one for one in found if not any(one is other for other in large)]
        judged += large
        rows = np.sort(np.concatenate([one.rows for one in rest])) if len(rest) > 1 else np.empty(0, dtype=np.intp)
        pooled = _is_large(labels[rows], policy, problem)
        if pooled:
            judged.append(SliceRows(key=key, value=OTHERS, rows=rows))
        small += [replace(one, pooled=pooled) for one in rest]
    return judged, small


def small_slice(
    subject: Subject,
    one: SliceRows,
    labels: Floats,
    candidate: Floats,
    against: Floats,
    *,
    unit: float,
    problem: Target,
    weights: Floats | None = None,
) -> SmallSlice:
    """Compare two models on a slice that is too small to be judged like the others.

    Rows are the units, and Student's t has as many degrees of freedom as the rarer class has rows, less one.

    Parameters
    ----------
    labels, candidate, against
        Shape ``(rows,)``, all rows of the evaluation; scores of several classes ``(rows, classes)``.
    unit
        Distance between a constant and a perfect prediction.
    weights
        Shape ``(rows,)``: how much each row counts; None for all alike.
    """
    truth = labels[one.rows]
    rarer = rarer_rows(truth, problem)
    counted = None if weights is None else weights[one.rows]
    found = _difference(subject, truth, candidate[one.rows], against[one.rows], counted, rarer)
    return small_slice_record(
        subject,
        key=one.key,
        value=one.value,
        rows=int(truth.size),
        rarer=rarer,
        pooled=one.pooled,
        found=found,
        unit=unit,
    )


def small_slice_record(
    subject: Subject, *, key: str, value: str, rows: int, rarer: int | None, pooled: bool, found: Difference | None,
    unit: float,
) -> SmallSlice:  # fmt: skip
    """Return the record of a small slice from the oriented difference on it; None where its rows do not define one."""
    tested = found is not None and found.standard_error > 0 and (rows if rarer is None else rarer) >= LEAST_TESTED
    return SmallSlice(
        candidate=subject.candidate,
        slice_key=key,
        slice_value=value,
        rows=rows,
        rarer=rarer,
        pooled=pooled,
        difference=found.value if found else None,
        standard_error=found.standard_error if found and tested else None,
        degrees_of_freedom=found.degrees_of_freedom if found and tested else None,
        p_worse=found.p_below(-subject.tolerance) if found and tested else None,
        tolerance=subject.tolerance,
        unit=unit,
    )


def _difference(
    subject: Subject, labels: Floats, candidate: Floats, against: Floats, weights: Floats | None, rarer: int | None
) -> Difference | None:
    """Return the oriented difference on a few rows; None if they do not define one."""
    metric = subject.metric
    try:
        if not metric.has_test:
            return None
        found = tested(metric, labels, candidate, against, None, weights)
    except MetricError:
        return None
    freedom = rarer if metric.rankings is not None and rarer is not None else labels.size
    return replace(found, value=metric.sign * found.value, degrees_of_freedom=float(freedom - 1))


def _is_large(labels: Floats, policy: GatePolicy, problem: Target) -> bool:
    return large_enough(labels.size, float(positive_rows(labels, problem) or 0), policy, problem)


def large_enough(rows: int, positives: float, policy: GatePolicy, problem: Target) -> bool:
    """Return whether a slice of so many rows, of which some are of class 1 or of the rarest of several, is judged alone."""
    if rows < policy.minimum_slice_rows:
        return False
    if not problem.classes:
        return True
    return bool(min(positives, rows - positives) >= policy.minimum_slice_positives)
