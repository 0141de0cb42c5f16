"""Who corrects a declaration that was wrong gets the rows that it had put into quarantine, by running the job again."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.declarations.source import Rule
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context, TaskError
from pipelines.tasks.data.ingest import ingest
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.ingested_flights import FEBRUARY, FLIGHT_DELAY, JANUARY, rows

SCHEDULE = "flight_delay_bronze.schedule"


def too_strict() -> UseCase:
    """Return the use case with a contract that only the shortest flights fulfil."""
    sources = tuple(
        replace(source, rules=(Rule(column="distance", minimum=1, maximum=100),))
        if source.name == "schedule"
        else source
        for source in FLIGHT_DELAY.sources
    )
    return replace(FLIGHT_DELAY, sources=sources)


@pytest.mark.parametrize("since", [JANUARY, None])
def test_the_same_command_after_a_corrected_declaration_keeps_the_rows(
    context: Context, files: Path, since: dt.datetime | None
) -> None:
    """The file is the same: what differs is what its rows have to fulfil. Once more brings nothing new."""
    write_all(files, {}, {"flight": "101"})
    strict = replace(context, use_case=too_strict())
    for _ in range(2):
        with pytest.raises(TaskError, match="2 of 2 rows"):
            ingest(strict, since=since, until=FEBRUARY, location=str(files))
    later = replace(context, now=context.now + dt.timedelta(hours=1))
    assert ingest(later, since=since, until=FEBRUARY, location=str(files)).rows == 2
    assert sorted(row["flight"] for row in rows(context, SCHEDULE)) == [100, 101]
    assert ingest(later, since=since, until=FEBRUARY, location=str(files)).rows == 0


def test_the_alarm_names_the_window_to_read_again(context: Context, files: Path) -> None:
    """A scheduled run goes on where the last one ended, so the sentence names what reads the rows again."""
    write_all(files, {}, {"flight": "101"})
    strict = replace(context, use_case=too_strict())
    for since, begun in ((JANUARY, "2013-01-01"), (None, "2013-01-01")):
        with pytest.raises(TaskError) as alarm:
            ingest(strict, since=since, until=FEBRUARY, location=str(files))
        again = f"run the job again with --param since={begun} --param until=2013-02-01"
        assert again in str(alarm.value)
