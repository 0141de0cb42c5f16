"""Labels are added when a flight's report arrives."""

import datetime as dt
from pathlib import Path

from pipelines.execution.context import Context
from tests.pipelines.tasks.ingested_flights import FEBRUARY, landing, refresh, rows


def test_the_label_is_1_for_a_late_arrival_and_missing_for_a_flight_that_never_arrived(
    context: Context, files: Path
) -> None:
    """A delay of more than 15 minutes is late; 15 minutes are not."""
    flights = [landing(1, 2, "15"), landing(2, 3, "16"), landing(3, 4, "NA"), landing(4, 5, "NA", dep_time="NA")]
    refresh(context, files, FEBRUARY, *flights)
    found = {row["request_key"][-1]: (row["outcome"], row["label"]) for row in rows(context, "labels")}
    assert found == {"1": ("landed", 0.0), "2": ("landed", 1.0), "3": ("diverted", None), "4": ("cancelled", None)}


def test_a_report_that_is_not_filed_yet_gives_no_label(context: Context, files: Path) -> None:
    """Reports are filed three days after the flight."""
    refresh(context, files, dt.datetime(2013, 1, 5, tzinfo=dt.UTC), landing(1, 2), landing(2, 1))
    assert [row["request_key"][-1] for row in rows(context, "labels")] == ["2"]
