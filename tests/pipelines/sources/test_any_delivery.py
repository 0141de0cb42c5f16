"""No value and no Arrow type of a column ends the check of a delivery: each row is kept or quarantined."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.declarations.asset import TYPES, Layer, Table, column, key
from pipelines.declarations.delivery import TYPES_BY_DEFAULT, TYPES_ON_REQUEST, Delivered
from pipelines.declarations.source import Rule, Source
from pipelines.sources.contract import check
from pipelines.sources.deliveries import digest
from pipelines.sources.readings import Readings, rows_within
from tests.pipelines.sources.arrow_columns import columns
from tests.pipelines.sources.trips import BEGIN, END

WIDEST = {kind: TYPES_BY_DEFAULT[kind] + TYPES_ON_REQUEST.get(kind, ()) for kind in TYPES}


def _source(kind: str, *, zone: str, unit: str, required: bool) -> Source:
    value = key("value", kind) if required else column("value", kind)
    table = Table(
        use_case="trial", layer=Layer.BRONZE, name="any", comment="", columns=(value,),
        primary_key=("value",) if required else (),
    )  # fmt: skip
    number = kind in ("int", "bigint", "double")
    return Source(
        name="any", reader="none:none", table=table, time_zone=zone, time_unit=unit,
        rules=(Rule(column="value", minimum=-5.5, maximum=10**17),) if number else (),
        delivered=(Delivered(column="value", types=WIDEST[kind]),),
    )  # fmt: skip


ANY_SOURCE = st.builds(
    _source,
    st.sampled_from(sorted(TYPES)),
    zone=st.sampled_from(["", "UTC", "America/New_York"]),
    unit=st.sampled_from(["", "s", "ms", "us", "ns"]),
    required=st.booleans(),
)


@settings(max_examples=300)
@given(columns(), ANY_SOURCE)
def test_every_value_of_every_type_is_kept_or_quarantined(values: pa.Array, source: Source) -> None:
    """Each quarantined row has the column and a reason, and its record is JSON; kept rows are kept again."""
    checked = check(pa.table({"value": values}), source)
    positions = checked.positions.to_pylist() + checked.broken["row_number"].to_pylist()
    assert sorted(positions) == list(range(len(values)))
    assert all("value" in reason for reason in checked.broken["reasons"].to_pylist())
    assert all(set(json.loads(row)) == {"value"} for row in checked.broken["row"].to_pylist())
    assert sum(breach.rows for breach in checked.breaches) >= checked.broken.num_rows
    assert digest(pa.table({"value": values})) == digest(pa.table({"value": values}))
    checked.kept.validate(full=True)
    checked.kept.to_pylist()
    again = check(checked.kept, source)
    assert again.kept.equals(checked.kept), again.broken.to_pylist()


@settings(max_examples=100)
@given(columns())
def test_a_reader_that_computes_loses_no_row_to_any_value(values: pa.Array) -> None:
    """A value is a number or an instant, or missing, or named among the problems of its row; a window keeps what is unread."""
    readings = Readings(pa.table({"value": values, "row": pa.array(range(len(values)))}))
    numbers = readings.numbers("value", -100, 100)
    assert ((numbers >= -100) & (numbers <= 100) | numbers.isna()).all()
    problems = readings.problems("value")
    assert len(numbers) == len(problems) == len(values)
    assert not (numbers.notna() & problems.notna()).any()
    assert len(readings.instants("value", time_zone="UTC", time_unit="ms")) == len(values)
    within = rows_within(readings.rows, "value", BEGIN, END, time_zone="UTC")
    outside = rows_within(readings.rows, "value", END, BEGIN, time_zone="UTC")
    assert set(within["row"].to_pylist()) >= set(outside["row"].to_pylist())
    assert within.schema == readings.rows.schema


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_column_of_a_type_that_is_not_allowed_is_quarantined_row_by_row(kind: str) -> None:
    """The reason has the value, the type that was delivered and those that are allowed; a missing value stays missing."""
    source = _source(kind, zone="", unit="", required=False)
    checked = check(pa.table({"value": pa.array([[1], None])}), source)
    assert checked.kept["value"].to_pylist() == [None]
    allowed = ", ".join(WIDEST[kind])
    assert checked.broken["reasons"].to_pylist() == [
        f"value: [1] is delivered as list<item: int64>, allowed are {allowed}"
    ]
