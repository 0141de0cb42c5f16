"""Delivered text becomes the declared types; text that is not of the declared type breaks the contract."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.declarations.delivery import Delivered
from pipelines.sources.contract import check
from tests.pipelines.sources.trips import SOURCE, delivered, delivery, reasons


def test_a_row_that_fulfils_the_contract_is_kept_in_the_declared_types() -> None:
    """Text becomes what the table declares."""
    checked = check(delivery({}), SOURCE)
    row = checked.kept.to_pylist()[0]
    assert checked.broken.num_rows == 0
    assert (row["seats"], row["fare"], row["paid"], row["places"]) == (4, 12.5, True, 7)
    assert row["at"].isoformat() == "2013-01-01T10:00:00+00:00"
    assert row["on_day"].isoformat() == "2013-01-01"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fare": "cheap"}, "fare: 'cheap' is not a finite number"),
        ({"fare": "nan"}, "fare: 'nan' is not a finite number"),
        ({"fare": "inf"}, "fare: 'inf' is not a finite number"),
        ({"fare": "-Infinity"}, "fare: '-Infinity' is not a finite number"),
        ({"seats": "4.5"}, "seats: '4.5' is not a whole number"),
        ({"seats": "3000000000"}, "seats: '3000000000' does not fit into int, -2147483648 to 2147483647"),
        ({"seats": "1e18"}, "seats: '1e18' is not a whole number"),
        (
            {"places": "9223372036854775808"},
            f"places: '9223372036854775808' does not fit into bigint, {-(2**63)} to {2**63 - 1}",
        ),
        ({"fare": "1e400"}, "fare: '1e400' is not a finite number"),
        (
            {"on_day": "2013-01-01T10:00:00Z"},
            "on_day: '2013-01-01T10:00:00Z' is an instant, not a day: deliver the day",
        ),
        ({"paid": "maybe"}, "paid: 'maybe' is not a boolean"),
        ({"at": "yesterday"}, "at: 'yesterday' is not a timestamp"),
        ({"at": "2013-02-30T10:00:00Z"}, "at: '2013-02-30T10:00:00Z' is not a timestamp"),
    ],
)
def test_text_that_is_not_of_the_declared_type_is_a_breach(change: dict[str, object], reason: str) -> None:
    """The reason has the column, the text and the type that was expected."""
    assert reasons(change) == [reason]


@pytest.mark.parametrize(
    ("text", "number"), [("7.0", 7), ("7.", 7), ("+7", 7), (" 7 ", 7), ("007", 7), ("-9223372036854775808", -(2**63))]
)
def test_a_whole_number_is_taken_however_it_is_written(text: str, number: int) -> None:
    """A column with gaps is written with decimals by pandas."""
    assert check(delivery({"places": text}), SOURCE).kept["places"].to_pylist() == [number]


@pytest.mark.parametrize(
    ("column", "values", "kept"),
    [
        ("places", pa.array([1, 2**63, 3], pa.uint64()), [1, 3]),
        ("places", pa.array([1.0, 1.5, 1e300, float("inf"), None]), [1, None]),
        ("places", pa.array([Decimal("1.0"), Decimal("1.5"), Decimal(10) ** 20], pa.decimal128(38, 1)), [1]),
        ("fare", pa.array(["1", "x", "3"]).dictionary_encode(), [1.0, 3.0]),
        ("fare", pa.array(["1", "x", "3"], pa.string_view()), [1.0, 3.0]),
        ("fare", pa.array([1.0, float("nan"), float("-inf")]), [1.0]),
        ("fare", pa.array([b"1", b"\xff"]), [1.0]),
        ("fare", pa.array([True, False]), []),
        ("paid", pa.array([1, 0]), []),
        ("trip", pa.array([1.0, 2.0]), []),
        ("trip", pa.array([[1], [2]]), []),
    ],
)
def test_of_a_typed_column_only_the_rows_that_fail_are_quarantined(
    column: str, values: pa.Array, kept: list[Any]
) -> None:
    """The reason has the column; the values that convert are kept."""
    source, rows = delivered(column, values)
    checked = check(rows, source)
    assert checked.kept[column].to_pylist() == kept
    assert all(reason.startswith(f"{column}: ") for reason in checked.broken["reasons"].to_pylist())
    assert checked.rows_read == len(values)


def test_a_source_may_allow_more_types_and_fewer() -> None:
    """An id that was stored with decimals becomes text; where only text is allowed, a number is quarantined."""
    source, rows = delivered("trip", pa.array([7.0, 7.5]), Delivered(column="trip", types=("float",)))
    assert check(rows, source).kept["trip"].to_pylist() == ["7"]
    source, rows = delivered("places", pa.array([7]), Delivered(column="places", types=("text",)))
    assert check(rows, source).broken["reasons"].to_pylist() == ["places: 7 is delivered as int64, allowed are text"]


def test_a_long_value_is_cut_in_its_sentence_and_whole_in_the_record() -> None:
    """A value of a megabyte is one row as any other."""
    (row,) = check(delivery({"fare": "x" * 1_000_000}), SOURCE).broken.to_pylist()
    assert len(row["reasons"]) < 150
    assert "x" * 1_000_000 in row["row"]
