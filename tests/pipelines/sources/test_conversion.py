"""Delivered text becomes the declared types; text that is not of the declared type breaks the contract."""

import pytest

from pipelines.sources.contract import check
from tests.pipelines.sources.trips import SOURCE, delivery, reasons


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
        ({"seats": "3000000000"}, "seats: '3000000000' is not a whole number"),
        ({"paid": "maybe"}, "paid: 'maybe' is not a boolean"),
        ({"at": "yesterday"}, "at: 'yesterday' is not a timestamp"),
        ({"at": "2013-02-30T10:00:00Z"}, "at: '2013-02-30T10:00:00Z' is not a timestamp"),
    ],
)
def test_text_that_is_not_of_the_declared_type_is_a_breach(change: dict[str, object], reason: str) -> None:
    """The reason has the column, the text and the type that was expected."""
    assert reasons(change) == [reason]
