"""One day after the other of a small use case: the jobs of the day, what goes wrong on it, and what must hold after it."""

import datetime as dt
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - its usual name

from benchmarks.simulation import year_feed
from ml.spec.estimator import Encoding, EstimatorSpec
from pipelines.declarations.registry import use_case as shipped
from pipelines.declarations.source import Corrections
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.jobs import run_and_record
from pipelines.execution.runner import JobRun
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.tasks.versions.promotion import ROLLBACK

FIRST_TRAINING = 56
"""Scoring begins on this day, after the first training."""
TRAINED_EVERY = 30
MAINTAINED_EVERY = 7
FAILS_EVERY = 20
"""So often the feed does not answer, and the day's run is repeated."""
TORN_EVERY = 25
"""So often a file arrives that is cut off; the run fails, the file is delivered again, and a person runs the job again."""
BAD = "constant"
"""The estimator that is worse than any other; each training registers one candidate of it."""
TRAINING = {"training_days": "28", "evaluation_days": "28"}


class BrokenError(Exception):
    """What must hold after every day does not."""


def simulated() -> UseCase:
    """Return a shipped use case with the simulated feeds, one good estimator and one bad one, trained where it runs."""
    declared = shipped("air_time")
    here = year_feed.__name__
    schedule, reports = declared.sources
    return replace(
        declared,
        sources=(
            replace(schedule, reader=f"{here}:read_schedule", late_days=3),
            replace(reports, reader=f"{here}:read_reports", corrections=Corrections.NEWER_ROW),
        ),
        estimators=(
            declared.estimators[0],
            EstimatorSpec(name=BAD, estimator="sklearn.dummy.DummyRegressor", encoding=Encoding.ORDINAL, parameters={}),
        ),
        trained_in=("dev", "staging", "prod"),
    )


@contextmanager
def declared_as(use_case: UseCase) -> Iterator[None]:
    """Let jobs find the simulated use case under its name."""
    found = jobs.use_case
    jobs.use_case = lambda _name: use_case
    try:
        yield
    finally:
        jobs.use_case = found


def live(root: Path, use_case: UseCase, day: int) -> dict[str, Any]:
    """Run the jobs of one day, check what must hold, and return what the day cost.

    Raises
    ------
    BrokenError
        If something does not hold; it says what.
    """
    now = year_feed.start + dt.timedelta(days=day + 1)
    before, begun = _files(root), time.perf_counter()
    processor, training = time.process_time(), 0.0
    with declared_as(use_case), open_lakehouse("dev", root=root) as lakehouse:
        _features(lakehouse, use_case, day, now)
        if day >= FIRST_TRAINING and (day - FIRST_TRAINING) % TRAINED_EVERY == 0:
            started = time.process_time()
            _run(lakehouse, use_case, "training", now, **TRAINING)
            training = time.process_time() - started
        if day >= FIRST_TRAINING:
            _run(lakehouse, use_case, "scoring", now)
            _run(lakehouse, use_case, "monitoring", now)
        if day % MAINTAINED_EVERY == MAINTAINED_EVERY - 1:
            _run(lakehouse, use_case, "maintenance", now)
        ended, processor = time.perf_counter(), time.process_time() - processor - training
        _age(root, before, now)
        if day >= FIRST_TRAINING:
            _require(lakehouse, use_case, day, now)
    new = [file for file in _files(root) if file not in before]
    logs = sum("_delta_log" in file.parts for file in new)
    return {
        "day": day, "seconds": ended - begun, "processor": processor, "files": len(new) - logs,
        "logs": logs, "registry": _registry_rows(root), "resident": _resident(),
    }  # fmt: skip


def _features(lakehouse: Lakehouse, use_case: UseCase, day: int, now: dt.datetime) -> None:
    """Run the features job; on some days its feed fails and the same run goes on, on some its file is torn."""
    if day % TORN_EVERY == TORN_EVERY - 1:
        year_feed.torn = True
        refused = run_and_record(lakehouse, use_case.job("features"), {}, now=now)
        if refused.succeeded or any(attempt.attempt > 1 for attempt in refused.attempts):
            raise BrokenError(f"day {day}: a torn file was taken, or tried again")
    if day % FAILS_EVERY != FAILS_EVERY - 1:
        _run(lakehouse, use_case, "features", now)
        return
    year_feed.unavailable = True
    # The runner repeats the task by itself: so the first attempt has failed when this run ends.
    done = _run(lakehouse, use_case, "features", now)
    if len([attempt for attempt in done.attempts if attempt.task == "ingest"]) < 2:
        raise BrokenError(f"day {day}: the feed failed and no attempt did")


def _run(lakehouse: Lakehouse, use_case: UseCase, job: str, now: dt.datetime, **parameters: str) -> JobRun:
    done = run_and_record(lakehouse, use_case.job(job), parameters, now=now)
    if not done.succeeded:
        errors = "; ".join(attempt.error for attempt in done.attempts if attempt.error)
        raise BrokenError(f"{job} failed as of {now:%Y-%m-%d}: {errors}")
    return done


def _require(lakehouse: Lakehouse, use_case: UseCase, day: int, now: dt.datetime) -> None:
    """Compare predictions, quarantine and aliases with what the feed says."""
    rows = lakehouse.tables.read(use_case.table("predictions")).where(F.col("alias") == CHAMPION)
    made = rows.select("request_key", "hindsight").toArrow().to_pylist()
    counts = Counter(row["request_key"] for row in made)
    twice = [key for key, count in counts.items() if count > 1]
    first = year_feed.start + dt.timedelta(days=FIRST_TRAINING + 1)
    asked = {
        request.key
        for one in range(FIRST_TRAINING, day + 1)
        for request in year_feed.requests_of(one)
        if first <= request.due < now and request.delivered < now and not request.bad
    }
    live_keys = {row["request_key"] for row in made if not row["hindsight"]}
    before = {key for key in live_keys - asked if int(key[1:5]) <= FIRST_TRAINING}
    if twice or asked - live_keys or live_keys - asked - before:
        raise BrokenError(
            f"day {day}: {len(twice)} predictions doubled, {len(asked - live_keys)} lost, "
            f"{len(live_keys - asked - before)} of nothing: {sorted(asked ^ live_keys)[:3]}"
        )
    _require_verdict(lakehouse, use_case, day)


def _require_verdict(lakehouse: Lakehouse, use_case: UseCase, day: int) -> None:
    """Refuse a champion without a verdict, and a bad one."""
    verdicts = lakehouse.tables.read(use_case.table("verdicts")).toArrow().to_pylist()
    champion = lakehouse.models.by_alias(use_case.model, CHAMPION)
    promoted = {row["promoted"] for row in verdicts if row["outcome"] in ("promote", ROLLBACK)}
    if champion.number not in promoted:
        raise BrokenError(f"day {day}: version {champion.number} is champion without a verdict")
    if champion.tags["estimator"] == BAD:
        raise BrokenError(f"day {day}: a bad candidate is champion")


def _files(root: Path) -> set[Path]:
    return {file for file in (root / "dev" / "tables").rglob("*") if file.is_file()}


def _age(root: Path, before: set[Path], now: dt.datetime) -> None:
    """Let what the day wrote be as old as the day."""
    for file in _files(root) - before:
        os.utime(file, (now.timestamp(), now.timestamp()))


def _registry_rows(root: Path) -> int:
    total = 0
    for file in (root / "registry.db", root / "dev" / "mlflow.db"):
        if file.exists():
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
                tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                total += sum(opened.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables)  # noqa: S608 - names from the database itself
    return total


def _resident() -> int:
    """Return the bytes of memory that this process holds now; 0 where there is no ``/proc``."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
