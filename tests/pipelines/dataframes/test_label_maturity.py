"""No request decides before its outcome is due, and each decides by its outcome as it was known then."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from ml.labels.maturity import LabelCounts, OutcomeState, standings
from pipelines.dataframes.label_maturity import counts_of, with_standing

NOON = dt.datetime(2013, 7, 1, 12, tzinfo=dt.UTC)
DUE_DAYS = 2
DUE = dt.timedelta(days=DUE_DAYS)
ROWS = pa.schema([("id", pa.string()), ("asked_at", pa.timestamp("us", "UTC")), ("due_at", pa.int64())])
LABELS = pa.schema([("request_key", pa.string()), ("known_at", pa.timestamp("us", "UTC")), ("label", pa.float64())])
Row = dict[str, Any]

# On either side of each bound: the instant itself, a microsecond beside it, hours and days before and after.
INSTANTS = st.builds(
    lambda days, hours, microseconds: NOON + dt.timedelta(days=days, hours=hours, microseconds=microseconds),
    st.integers(-3, 5), st.sampled_from([0, 0, 0, 5]), st.integers(-1, 1),
)  # fmt: skip
OUTCOMES = st.tuples(INSTANTS, st.sampled_from([0.0, 1.0, None]))
REQUESTS = st.lists(
    st.tuples(INSTANTS, st.lists(OUTCOMES, max_size=3, unique_by=lambda pair: pair[0])), min_size=30, max_size=60
)
"""When each was asked, and its outcomes: when each became known, and its label."""


def expected(
    asked_at: dt.datetime, told: list[tuple[dt.datetime, float | None]], at: dt.datetime, stated: float | None,
    delivered: dt.datetime | None,
) -> tuple[str, float | None]:  # fmt: skip
    """The standing and the label of one request, written down again in plain Python."""
    due = asked_at + DUE
    if due >= at:
        return "not_due", None
    if delivered is not None and due >= delivered:
        return "without_outcome", None
    in_time = [(known, label) for known, label in told if known <= due]
    if in_time:
        label = max(in_time, key=lambda pair: pair[0])[1]
        return ("labelled", label) if label is not None else ("without_label", None)
    if stated is not None:
        return "assumed", stated
    return ("late" if any(known < at for known, _ in told) else "without_outcome"), None


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS, at=INSTANTS, stated=st.sampled_from([None, 0.0]), delivered=st.none() | INSTANTS)
def test_standing_and_label_are_those_at_the_due_time(
    embedded_spark: SparkSession, requests: list[Any], at: dt.datetime, stated: float | None,
    delivered: dt.datetime | None,
) -> None:  # fmt: skip
    """Compared with plain Python; the counts add up, and nothing that decides is early, late or unknown."""
    asked = [{"id": str(n), "asked_at": asked_at, "due_at": 1} for n, (asked_at, _) in enumerate(requests)]
    told = [
        {"request_key": str(n), "known_at": known, "label": label}
        for n, (_, outcomes) in enumerate(requests)
        for known, label in outcomes
    ]
    nobody = {"request_key": "nobody", "known_at": NOON, "label": 1.0}
    judged = with_standing(
        embedded_spark.createDataFrame(pa.Table.from_pylist(asked, ROWS)),
        embedded_spark.createDataFrame(pa.Table.from_pylist([*told, nobody], LABELS)),
        key="id", time="asked_at", due_days=DUE_DAYS, at=at, without_outcome=stated, delivered=delivered,
    )  # fmt: skip
    found = {row["id"]: row for row in judged.toArrow().to_pylist()}
    assert len(found) == len(requests)
    for number, (asked_at, outcomes) in enumerate(requests):
        row = found[str(number)]
        assert (row["standing"], row["label"]) == expected(asked_at, outcomes, at, stated, delivered)
        if row["label"] is not None:
            assert row["label_known_at"] <= asked_at + DUE < at
        else:
            assert row["label_known_at"] is None
        late = [known for known, _ in outcomes if asked_at + DUE < known < at]
        is_late = asked_at + DUE < at and bool(late) and not any(known <= asked_at + DUE for known, _ in outcomes)
        assert (row["late_days"] is not None) == is_late
        assert not is_late or abs(row["late_days"] * 86_400 - (min(late) - asked_at).total_seconds()) <= 1
    counts = counts_of(judged)
    assert counts.requests == len(requests)
    assert counts.deciding == sum(row["label"] is not None for row in found.values())


@given(requests=REQUESTS, at=INSTANTS, stated=st.sampled_from([None, 0.0]))
def test_the_rule_on_arrays_is_the_same(requests: list[Any], at: dt.datetime, stated: float | None) -> None:
    """With one outcome for a request at most, which is what arrays hold."""
    first = [(asked_at, outcomes[:1]) for asked_at, outcomes in requests]
    known = [outcomes[0][0].replace(tzinfo=None) if outcomes else None for _, outcomes in first]
    labels = [np.nan if not outcomes or outcomes[0][1] is None else outcomes[0][1] for _, outcomes in first]
    standing, deciding = standings(
        np.array([asked_at.replace(tzinfo=None) for asked_at, _ in first], dtype="datetime64[us]"),
        np.array(known, dtype="datetime64[us]"), np.array(labels, dtype=np.float64),
        at=np.datetime64(at.replace(tzinfo=None), "us"), due_days=DUE_DAYS, without_outcome=stated,
    )  # fmt: skip
    for (asked_at, outcomes), name, label in zip(first, standing, deciding, strict=True):
        assert (str(name), None if np.isnan(label) else label) == expected(asked_at, outcomes, at, stated, None)


def test_what_decides_and_what_is_left_out_is_one_sentence() -> None:
    """Only what there is is named."""
    counts = LabelCounts(labelled=1_000, assumed=20, not_due=7, without_outcome=3, late=2, without_label=1)
    assert counts.requests == 1_033
    assert counts.sentence == (
        "1,020 of 1,033 requests have a label that was due, 20 of them by the value stated for no outcome; left out: 7 not "
        "due yet, 3 due without an outcome, 2 with an outcome that came after its due time, 1 with an outcome that gives "
        "no label"
    )
    assert LabelCounts(labelled=5).sentence == "5 of 5 requests have a label that was due; left out: none"
    assert set(LabelCounts.__dataclass_fields__) == {standing.value for standing in OutcomeState}
