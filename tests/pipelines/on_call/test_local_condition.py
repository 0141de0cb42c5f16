"""What stands is read from the findings of an environment, however many there are."""

import datetime as dt

from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.on_call import local_condition
from pipelines.on_call.local_condition import standing_findings
from pipelines.use_cases.air_time.declaration import USE_CASE as AIR_TIME

FIRST = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)


def test_a_source_that_stopped_is_shown_beside_more_findings_of_the_month_than_are_read(
    embedded_lakehouse: Lakehouse,
) -> None:
    """The window of the month ends later than any of its days, and a day is the more urgent."""

    def finding(kind: str, start: dt.datetime, days: int, column: str) -> dict[str, object]:
        return {
            "window_start": start, "window_end": start + dt.timedelta(days=days), "kind": kind, "column_name": column,
            "slice_key": "-", "slice_value": "-", "statistic": "-", "value": 1.0, "threshold": 0.0, "model_version": None,
            "since": start, "message": "-",
        }  # fmt: skip

    table = AIR_TIME.table("findings")
    drifted = [finding("drift", FIRST, 30, f"c{number}") for number in range(local_condition.READ + 1)]
    stopped = finding("source_stopped", FIRST + dt.timedelta(days=9), 1, "requests")
    embedded_lakehouse.tables.merge(table, records(table, [*drifted, stopped]))
    assert "source_stopped" in {row["kind"] for row in standing_findings(embedded_lakehouse, AIR_TIME)}
