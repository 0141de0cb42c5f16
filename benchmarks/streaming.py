"""What scoring requests as they come costs beside scoring them at once: ``python -m benchmarks.streaming``.

The same requests of the packaged flights are scored by the batch task, and by the stream in several increments, each of which brings
a part of them. Both are measured in processor time of this process and in the same run, on copies of one environment, and both
must make the same predictions.
"""

import argparse
import datetime as dt
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.limits import Figure, Limit, judge
from pipelines.api import StreamingPolicy, UseCase
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.jobs import run_and_record
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.tasks.predictions.scoring import score
from pipelines.tasks.predictions.streaming import stream

TRAINED, SCORED = dt.datetime(2013, 2, 19, tzinfo=dt.UTC), dt.datetime(2013, 3, 5, tzinfo=dt.UTC)
BESIDE = Limit(what="the stream, in {increments} increments", alternative="the batch task at once", at_most=8.0)
LIMITS = (BESIDE,)
"""For the default number of increments: each plans and reads for itself."""
INCREMENTS = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the same requests in both ways; return 1 if the stream is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--increments", type=int, default=INCREMENTS, help="of the stream (default %(default)s)")
    increments = parser.parse_args(arguments).increments
    flights = replace(use_case("flight_delay"), streaming=StreamingPolicy())
    with tempfile.TemporaryDirectory() as folder:
        root = prepared(Path(folder) / "begin", flights)
        batch_seconds, batch = timed(root, Path(folder) / "batch", flights, [SCORED], _batch)
        step = (SCORED - TRAINED) / increments
        ends = [TRAINED + step * number for number in range(1, increments + 1)]
        stream_seconds, streamed = timed(root, Path(folder) / "stream", flights, ends, _stream)
    if not batch.equals(streamed):
        raise AssertionError("the stream has made other predictions than batch")
    rows = batch.num_rows
    print(f"{rows:,} requests: batch {rows / batch_seconds:,.0f} rows per second of processor time, stream in {increments} "
          f"increments {rows / stream_seconds:,.0f}, equal row by row")  # fmt: skip
    limit = replace(BESIDE, what=BESIDE.what.format(increments=increments))
    return judge([Figure(limit=limit, seconds=stream_seconds, alternative_seconds=batch_seconds)])


def prepared(root: Path, flights: UseCase) -> Path:
    """Return an environment with features and a champion."""
    with open_lakehouse("dev", root=root) as lakehouse:
        for job, parameters in (
            ("features", {"until": SCORED.isoformat()}),
            ("training", {"until": TRAINED.isoformat(), "evaluation_days": "21", "sample": "0.2"}),
        ):
            if not run_and_record(lakehouse, flights.job(job), parameters).succeeded:
                raise RuntimeError(f"{job} failed")
        version = lakehouse.models.versions(flights.model)[-1]
        lakehouse.models.set_alias(version, CHAMPION)
    return root


def timed(
    root: Path, copy: Path, flights: UseCase, ends: Sequence[dt.datetime], way: Callable[[Context, dt.datetime], Any]
) -> tuple[float, pa.Table]:
    """Return the processor time of a way of scoring in a copy of the tables, and the predictions in the order of their keys."""
    shutil.copytree(root, copy)
    with open_lakehouse("dev", root=copy) as lakehouse, open_lakehouse("dev", root=root) as models:
        own = replace(lakehouse, model_stores=models.model_stores)
        context = Context(lakehouse=own, use_case=flights, run_id="benchmark", now=SCORED, say=lambda _line: None)
        begun = time.process_time()
        for end in ends:
            way(context, end)
        seconds = time.process_time() - begun
        rows = lakehouse.tables.read(flights.table("predictions")).toArrow()
    columns = [name for name in rows.column_names if name not in ("batch_id", "scored_at", "features_version")]
    return seconds, rows.select(columns).sort_by("request_key").combine_chunks()


def _batch(context: Context, end: dt.datetime) -> None:
    score(context, since=None, until=end, alias=CHAMPION)


def _stream(context: Context, end: dt.datetime) -> None:
    stream(context, until=end, alias=CHAMPION, trigger="available_now")


if __name__ == "__main__":
    sys.exit(main())
