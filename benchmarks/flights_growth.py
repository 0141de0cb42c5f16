"""How time and memory grow with the flights: ``python -m benchmarks.flights_growth --years 1 10``.

The flights of 2013 follow one another for so many years, with keys and dates shifted by whole years. A journey is, for
each year, features, scoring and monitoring as of its end; the first year also trains, which is not counted. Growth is the
exponent of processor time over years between the smallest and the largest journey. Each journey runs in a process of its own.
"""

import argparse
import datetime as dt
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.demonstration import SAMPLED_SECONDS, resident
from benchmarks.simulation.year_life import declared_as
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution.jobs import run_and_record
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.use_cases.air_time import sources

YEARS = (1, 3)
YEAR = dt.timedelta(days=364)
"""Whole weeks, so that days of the week stay."""
FIRST = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
EXPONENT_AT_MOST = 1.1
MEMORY_AT_MOST = 8 * 2**30


def read_schedule(_location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the schedule of the window, whatever its year."""
    return _shifted(sources.read_schedule, since, until, "prediction_at")


def read_reports(_location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the reports of the window, whatever its year."""
    return _shifted(sources.read_reports, since, until, "reported_at")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print time and memory of each journey and the exponent; return 1 if one is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, nargs="+", default=YEARS, help="lengths of the journeys (default 1 3)")
    parser.add_argument("--journey", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.journey:
        print(json.dumps(_journey(given.journey)))
        return 0
    seconds, peak = {}, 0.0
    for years in sorted(given.years):
        command = [sys.executable, "-m", "benchmarks.flights_growth", "--journey", str(years)]
        done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])  # noqa: S603 - this module
        seconds[years], peak = done["seconds"], max(peak, done["resident"])
        each = ", ".join(f"{part:.0f}" for part in done["each"])
        print(f"  {years} x the flights: {done['rows']:,} requests, {done['seconds']:.0f} s of processor time ({each}), "
              f"{done['resident'] / 2**30:.1f} GiB", flush=True)  # fmt: skip
    low, high = min(seconds), max(seconds)
    exponent = math.log(seconds[high] / seconds[low]) / math.log(high / low) if high > low else 1.0
    failed = exponent > EXPONENT_AT_MOST or peak > MEMORY_AT_MOST
    print(f"  {'ABOVE LIMIT' if failed else 'within limit'}  time grows with the power {exponent:.2f} of the flights, at "
          f"most {EXPONENT_AT_MOST}; {peak / 2**30:.1f} GiB, at most {MEMORY_AT_MOST / 2**30:.0f} GiB")  # fmt: skip
    return int(failed)


def _journey(years: int) -> dict[str, object]:
    """Live through so many years in this process; return what it took."""
    declared, watch = _with_shifted_feeds(use_case("air_time")), _Watch()
    each = []
    with (
        tempfile.TemporaryDirectory() as folder,
        declared_as(declared),
        open_lakehouse("dev", root=Path(folder)) as opened,
    ):
        for year in range(years):
            end = FIRST + YEAR * (year + 1)
            begun, training = time.process_time(), 0.0
            for job in ("features", *(() if year else ("training",)), "scoring", "monitoring"):
                before = time.process_time()
                # The first year scores its second half, after what was trained and evaluated on.
                given = {"until": (FIRST + YEAR / 2 if job == "training" else end).isoformat()}
                done = run_and_record(opened, declared.job(job), given, now=end)
                if not done.succeeded:
                    raise RuntimeError("; ".join(attempt.error for attempt in done.attempts if attempt.error))
                if job == "training":
                    training = time.process_time() - before
                    opened.models.set_alias(opened.models.version(declared.model, 1), CHAMPION)
            each.append(time.process_time() - begun - training)
        rows = opened.tables.read(declared.spine.table).count()
    return {"seconds": sum(each), "each": each, "rows": rows, "resident": watch.peak}


class _Watch:
    """The largest memory of this process and those it has started, looked at several times a second."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        import os

        while True:
            self.peak = max(self.peak, resident(os.getpid()))
            time.sleep(SAMPLED_SECONDS)


def _with_shifted_feeds(declared: UseCase) -> UseCase:
    schedule, reports = declared.sources
    return replace(
        declared,
        sources=(
            replace(schedule, reader=f"benchmarks.flights_growth:{read_schedule.__name__}"),
            replace(reports, reader=f"benchmarks.flights_growth:{read_reports.__name__}"),
        ),
        # Training is not what is measured, and a retraining in one journey alone would be.
        estimators=declared.estimators[:1],
        retraining=replace(declared.retraining, cooldown_days=100_000),
        trained_in=("dev", "staging", "prod"),
    )


def _shifted(reader: object, since: dt.datetime, until: dt.datetime, time_column: str) -> pa.Table:
    """Return the rows of all years in the window; a flight of another year has that year in its key."""
    parts = []
    last = max(0, (until - FIRST) // YEAR)
    for year in range(max(0, (since - FIRST) // YEAR), last + 1):
        by = YEAR * year
        begin, end = max(since - by, FIRST - YEAR), min(until - by, FIRST + YEAR)
        if begin >= end:
            continue
        rows = reader("", begin, end)  # type: ignore[operator]  # readers are loaded by name
        if not rows.num_rows:
            continue
        key = pc.binary_join_element_wise(rows["flight_id"], f"{year:02}", "-")
        instants = pc.add(rows[time_column], pa.scalar(by, pa.duration("us")))
        rows = rows.set_column(rows.column_names.index("flight_id"), "flight_id", key)
        parts.append(rows.set_column(rows.column_names.index(time_column), time_column, instants))
    return pa.concat_tables(parts) if parts else reader("", FIRST - YEAR, FIRST - YEAR)  # type: ignore[operator]  # as above


if __name__ == "__main__":
    raise SystemExit(main())
