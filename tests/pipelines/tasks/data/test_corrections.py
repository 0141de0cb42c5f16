"""Corrected files are taken, interrupted ingests are completed, and labels count as they were known."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.declarations.registry import use_case
from pipelines.declarations.source import Corrections
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.lakehouse.tables.tables import Tables
from pipelines.tasks.data.features import build_features
from pipelines.tasks.data.ingest import batch_id, ingest, next_start
from pipelines.tasks.data.labels import build_labels, known_labels
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.ingested_flights import FEBRUARY, FLIGHT_DELAY, JANUARY, MARCH, history, landing, rows

BRONZE = "flight_delay_bronze."


def corrected_by(context: Context, mode: Corrections) -> Context:
    """The use case with feeds that correct themselves in one way."""
    sources = tuple(replace(source, corrections=mode) for source in context.use_case.sources)
    return replace(context, use_case=replace(context.use_case, sources=sources))


def deliver(context: Context, files: Path, *flights: dict[str, str], since: dt.datetime = JANUARY) -> int:
    """Ingest January from these flights and bring features and labels up to date; return the rows that are new."""
    write_all(files, *flights)
    new = ingest(context, since=since, until=FEBRUARY, location=str(files)).rows
    build_features(context)
    build_labels(context)
    return int(new or 0)


def delays(context: Context) -> list[float]:
    """The delays of the stored reports."""
    return sorted(row["arrival_delay"] for row in rows(context, BRONZE + "reports"))


def test_a_corrected_file_for_the_same_window_is_taken(context: Context, files: Path) -> None:
    """The first one was quarantined to its last row, for decimal commas."""
    broken = [landing(n, 2 + n, "7,5") for n in range(1, 4)]
    write_all(files, *broken)
    with pytest.raises(Exception, match="quarantined"):
        ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert rows(context, BRONZE + "reports") == []
    deliver(context, files, *(landing(n, 2 + n, "7.5") for n in range(1, 4)))
    assert delays(context) == [7.5, 7.5, 7.5]
    assert len(rows(context, "labels")) == 3


@pytest.mark.parametrize("mode", [Corrections.REPLACE_WINDOW, Corrections.NEWER_ROW])
def test_a_correction_reaches_bronze_features_and_labels(context: Context, files: Path, mode: Corrections) -> None:
    """And one that is taken back reaches them again, although its content was delivered before."""
    corrected = corrected_by(replace(context, use_case=use_case("air_time")), mode)
    for minutes in (120.0, 60.0, 120.0, 120.0):
        deliver(corrected, files, landing(1, 2, air_time=str(minutes)))
        assert [row["air_time"] for row in rows(corrected, "air_time_bronze.reports")] == [minutes]
        assert [row["label"] for row in rows(corrected, "labels")] == [minutes]
        assert [row["mean_air_time_7d"] for row in rows(corrected, "route_history")] == [minutes]
    assert len([row for row in rows(corrected, "ingests") if row["source"] == "reports"]) == 3


def test_a_row_that_a_replaced_window_no_longer_has_leaves_features_and_labels(context: Context, files: Path) -> None:
    """A histories of the days after it do not count it any more."""
    corrected = corrected_by(context, Corrections.REPLACE_WINDOW)
    deliver(corrected, files, landing(1, 2, "40"), landing(2, 5, "0"))
    assert (len(rows(corrected, "labels")), history(corrected)[5]["flights_28d"]) == (2, 2)
    deliver(corrected, files, landing(2, 5, "0"))
    assert (len(rows(corrected, "labels")), history(corrected)[5]["flights_28d"]) == (1, 1)
    assert 2 not in history(corrected)


WRITES = ("append_once", "merge", "overwrite_window")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("mode", "after"),
    [(Corrections.NEVER, True), (Corrections.REPLACE_WINDOW, False), (Corrections.NEWER_ROW, True)],
    ids=["never, after the commit", "replaced window, before the commit", "newer row, after the commit"],
)
def test_an_error_at_any_write_and_a_repeat_leave_what_an_undisturbed_run_leaves(
    context: Context, files: Path, tmp_path: Path, mode: Corrections, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels and features are complete, the counts are those of the delivery, and no row stands twice."""
    context = replace(context, use_case=use_case("air_time"))  # two feeds and two tables from one of them
    flights = [landing(n, 1 + n % 20, str(n)) for n in range(1, 8)]
    changed = {} if mode is Corrections.NEVER else {"air_time": "60"}
    first, second = flights[:3], [{**flights[0], **changed}, *flights[1:]]
    with open_lakehouse("staging", root=tmp_path / "undisturbed") as other:
        whole = corrected_by(replace(context, lakehouse=other), mode)
        deliver(whole, files, *first)
        calls: list[str] = []
        disturb(monkeypatch, other.tables, calls, at=None, after=after)
        deliver(whole, files, *second)
        monkeypatch.undo()
        expected = everything(whole)
    assert len(calls) > 6
    for number in range(0, len(calls), 2):
        with open_lakehouse("dev", root=tmp_path / str(number)) as lakehouse:
            disturbed = corrected_by(replace(context, lakehouse=lakehouse), mode)
            deliver(disturbed, files, *first)
            disturb(monkeypatch, lakehouse.tables, [], at=number, after=after)
            with pytest.raises(OSError, match="no space"):
                deliver(disturbed, files, *second)
            monkeypatch.undo()
            deliver(disturbed, files, *second)
            assert everything(disturbed) == expected, number


def disturb(patch: pytest.MonkeyPatch, tables: Tables, seen: list[str], *, at: int | None, after: bool) -> None:
    """Let one of the writes of an environment fail, before or after its commit; all are noted."""

    def wrapped(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            seen.append(write.__name__)
            fails = at is not None and len(seen) == at + 1
            if fails and not after:
                raise OSError(28, "no space left on device")
            done = write(*arguments, **options)
            if fails:
                raise OSError(28, "no space left on device")
            return done

        return call

    for name in WRITES:
        patch.setattr(tables, name, wrapped(getattr(tables, name)))


def everything(context: Context) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table that ingest and refreshes write, without clocks, in the order of their keys."""
    clocks = {"ingested_at", "refreshed_at", "quarantined_at"}
    names = [source.table.address for source in context.use_case.sources]
    names += [feature.table.address for feature in (*context.use_case.features, context.use_case.labels)]
    names += ["ingests", "refreshes", "quarantine"]
    found = {}
    for name in names:
        stored = [{k: v for k, v in row.items() if k not in clocks} for row in rows(context, name)]
        key = context.use_case.table(name).row_key
        found[name] = sorted(stored, key=lambda row, key=key: [str(row[column]) for column in key])  # type: ignore[misc]  # the key is bound here
    return found


def test_of_a_corrected_label_the_newest_value_known_before_the_instant_counts(context: Context) -> None:
    """Both rows stay on record."""
    table = FLIGHT_DELAY.labels.table
    at = [dt.datetime(2013, 1, day, tzinfo=dt.UTC) for day in (5, 9)]
    made = [
        {"request_key": "a", "known_at": at[0], "outcome": "landed", "label": 1.0},
        {"request_key": "a", "known_at": at[1], "outcome": "landed", "label": 0.0},
        {"request_key": "b", "known_at": at[0], "outcome": "landed", "label": 1.0},
    ]
    context.lakehouse.tables.merge(table, records(table, made))

    def known(until: dt.datetime) -> dict[str, float]:
        return {row["request_key"]: row["label"] for row in known_labels(context, until).toArrow().to_pylist()}

    assert known(at[0]) == {}
    assert known(at[1]) == {"a": 1.0, "b": 1.0}
    assert known(MARCH) == {"a": 0.0, "b": 1.0}


def count(since: int, until: int, read: int = 5, batch: str = "") -> dict[str, Any]:
    """A row of the table ``ingests``, with days of January."""
    day = [dt.datetime(2013, 1, number, tzinfo=dt.UTC) for number in (since, until)]
    return {"since": day[0], "until": day[1], "rows_read": read, "batch_id": batch}


@pytest.mark.parametrize(
    ("counts", "late_days", "day"),
    [
        ([count(1, 5)], 0, 5),
        ([count(1, 5), count(5, 9)], 0, 9),
        ([count(1, 5), count(12, 20)], 0, 5),  # the gap is read next
        ([count(1, 5), count(5, 9, read=0)], 0, 5),  # asked for too early: nothing was delivered
        ([count(1, 20), count(5, 9)], 0, 20),
        ([count(1, 20)], 7, 13),
        ([count(1, 5)], 30, 1),
    ],
)
def test_the_next_window_begins_where_what_was_delivered_ends(
    counts: list[dict[str, Any]], late_days: int, day: int
) -> None:
    """Without gaps, and never by what was asked for."""
    assert next_start(counts, late_days) == dt.datetime(2013, 1, day, tzinfo=dt.UTC)


def test_a_batch_is_named_by_its_content_and_repeated_content_after_another_one_is_a_new_batch() -> None:
    """A delivery that is there as the newest of its window is complete; the order does not depend on a clock."""
    one, two = count(1, 5, batch="feed/w/1/one"), count(1, 5, batch="feed/w/2/two")
    assert batch_id("feed/w", "one", []) == ("feed/w/1/one", None)
    assert batch_id("feed/w", "one", [one]) == ("feed/w/2/one", one)
    assert batch_id("feed/w", "two", [one]) == ("feed/w/2/two", None)
    assert batch_id("feed/w", "one", [two, one]) == ("feed/w/3/one", None)
    again = count(1, 5, batch="feed/w/3/one")
    assert batch_id("feed/w", "one", [again, one, two]) == ("feed/w/4/one", again)
    assert batch_id("feed/other", "one", [one, two, again]) == ("feed/other/1/one", None)
    assert batch_id("feed/w", "one", [count(1, 5, batch="feed/w")]) == ("feed/w/1/one", None)  # of an earlier release
