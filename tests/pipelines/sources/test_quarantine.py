"""A row that breaks its contract is recorded with all reasons."""

import datetime as dt
import json

from pipelines.sources.contract import check
from pipelines.sources.quarantine import quarantine_rows
from tests.pipelines.sources.trips import GOOD, SOURCE, delivery, reasons


def test_all_reasons_of_a_row_stand_in_one_record() -> None:
    """In the order of the checks: types first."""
    assert reasons({"fare": "x", "seats": "y"}) == [
        "seats: 'y' is not a whole number; fare: 'x' is not a finite number"
    ]


def test_a_broken_row_is_kept_as_delivered_with_its_source_batch_and_time() -> None:
    """The row itself is JSON, so that any source's rows fit the one table."""
    broken = check(delivery({}, {"fare": "x"}), SOURCE).broken
    at = dt.datetime(2013, 1, 2, tzinfo=dt.UTC)
    (row,) = quarantine_rows(broken, source="trips", batch_id="first", at=at).to_pylist()
    assert json.loads(row.pop("row")) == {**GOOD, "fare": "x"}
    assert row == {
        "row_number": 1, "reasons": "fare: 'x' is not a finite number", "source": "trips", "batch_id": "first",
        "quarantined_at": at,
    }  # fmt: skip
