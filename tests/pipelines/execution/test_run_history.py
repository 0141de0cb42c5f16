"""A run is recorded when it begins and when it ends, by the key of the runs table; it is found whatever happens between."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.declarations.job import After, ConditionTask, Job, Operator, RunJobTask, Task
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs, run_history, runner
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.jobs import run_and_record
from pipelines.execution.locks import LockHeldError, hold
from pipelines.execution.run_history import killed, last_runs, row_of
from pipelines.execution.runner import State, TaskRun, first_task
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.use_cases.air_time.declaration import USE_CASE as AIR_TIME

RUNS = AIR_TIME.table("runs")
SEEN: list[set[tuple[str, int, str]]] = []
ERRORS: list[BaseException] = []


def work(context: Context, *, name: str) -> TaskResult:
    """The code of every task: note what is recorded so far, raise what is planned."""
    SEEN.append(recorded(context.lakehouse))
    if ERRORS:
        raise ERRORS.pop(0)
    return TaskResult(values={"name": name})


def recorded(lakehouse: Lakehouse) -> set[tuple[str, int, str]]:
    """Task, attempt and state of each row; no key stands twice."""
    rows: list[dict[str, Any]] = lakehouse.tables.read(RUNS).toArrow().to_pylist()
    found = {(row["task"], row["attempt"], row["state"]) for row in rows}
    assert len({(row["run_id"], row["task"], row["attempt"]) for row in rows}) == len(rows)
    return found


def task(key: str, *after: Task | After, retries: int = 0) -> Task:
    """A task that runs `work`."""
    return Task(key=key, entry="tests:work", description="", after=after, arguments={"name": key}, retries=retries)


FIRST = task("first", retries=1)
SECOND = task("second", FIRST)
NIGHTLY = Job(use_case="air_time", name="nightly", description="", tasks=(FIRST, SECOND))

BUSY = TaskRun(
    run_id="s", job="air_time.stream", task="stream", attempt=1, state=State.SUCCEEDED,
    started_at=dt.datetime(2100, 1, 1, tzinfo=dt.UTC), seconds=0.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN.clear()
    ERRORS.clear()
    monkeypatch.setattr(runner, "load", lambda _entry: work)


def test_a_run_is_recorded_before_its_first_task_and_once_more_at_its_end(embedded_lakehouse: Lakehouse) -> None:
    """Two commits beside the creation of the table."""
    run_and_record(embedded_lakehouse, NIGHTLY, {})
    assert [{("first", 1, "running")}] * 2 == SEEN
    assert recorded(embedded_lakehouse) == {("first", 1, "succeeded"), ("second", 1, "succeeded")}
    assert embedded_lakehouse.tables.version(RUNS) == 2


def test_a_job_runs_as_its_use_case_is_declared_for_the_run(
    embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default as it is registered."""
    told: list[str] = []

    def tell(context: Context, *, name: str) -> TaskResult:
        told.append(context.use_case.description)
        return TaskResult(values={"name": name})

    monkeypatch.setattr(runner, "load", lambda _entry: tell)
    run_and_record(embedded_lakehouse, NIGHTLY, {}, declared=replace(AIR_TIME, description="another one"))
    run_and_record(embedded_lakehouse, NIGHTLY, {})
    assert told == ["another one"] * 2 + [AIR_TIME.description] * 2


def test_a_repeated_run_counts_its_attempts_on(embedded_lakehouse: Lakehouse) -> None:
    """Also after retries, and for the tasks that it is limited to."""
    ERRORS.append(OSError("full"))
    run_and_record(embedded_lakehouse, NIGHTLY, {}, run_id="r1")
    run_and_record(embedded_lakehouse, NIGHTLY, {}, run_id="r1")
    run_and_record(embedded_lakehouse, NIGHTLY, {}, run_id="r1", only=["second"])
    assert recorded(embedded_lakehouse) == {
        ("first", 1, "failed"), ("first", 2, "succeeded"), ("first", 3, "succeeded"),
        ("second", 1, "succeeded"), ("second", 2, "succeeded"), ("second", 3, "succeeded"), ("first", 0, "excluded"),
    }  # fmt: skip


def test_the_last_run_of_each_task_is_found_however_many_runs_of_others_came_after(
    embedded_lakehouse: Lakehouse,
) -> None:
    """A job that runs every five minutes hides no training that failed last week, and a task that was left out none that failed."""
    weekly = replace(NIGHTLY, name="weekly", tasks=(task("only"),))
    ERRORS.append(OSError("full"))
    run_and_record(embedded_lakehouse, weekly, {})
    for _ in range(2):
        run_and_record(embedded_lakehouse, NIGHTLY, {})
    run_and_record(embedded_lakehouse, NIGHTLY, {}, run_id="r9", skip=["second"])
    many = [row_of(replace(BUSY, run_id=f"s{number}"), as_of=BUSY.started_at, cause="") for number in range(600)]
    embedded_lakehouse.tables.merge(RUNS, records(RUNS, many))
    busy = replace(NIGHTLY, name=BUSY.job.partition(".")[2], tasks=(task(BUSY.task),))
    found = {
        (row["job"], row["task"]): (row["run_id"], row["state"])
        for row in last_runs(embedded_lakehouse, with_jobs(NIGHTLY, weekly, busy))
    }
    assert found["air_time.weekly", "only"][1] == "failed"
    assert found["air_time.nightly", "first"] == ("r9", "succeeded")
    assert found["air_time.nightly", "second"][1] == "succeeded"
    assert len(found) == 4
    of_now = with_jobs(replace(NIGHTLY, tasks=NIGHTLY.tasks[:1]))
    assert [row["task"] for row in last_runs(embedded_lakehouse, of_now)] == ["first"], (
        "what is declared no more is over"
    )


def with_jobs(*jobs: Job) -> UseCase:
    """The use case as if it had declared these jobs."""
    declared = replace(AIR_TIME)
    vars(declared)["jobs"] = jobs
    return declared


def test_a_run_that_ends_while_somebody_looks_is_not_taken_for_killed(
    embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row was read as running, and its lock is gone when that is looked at; a killed one is never more than running."""
    begun = [replace(BUSY, run_id=name, state=State.RUNNING) for name in ("killed", "ends", "goes on")]

    def write(runs: list[TaskRun]) -> None:
        rows = [row_of(one, as_of=BUSY.started_at, cause="") for one in runs]
        embedded_lakehouse.tables.merge(RUNS, records(RUNS, rows))

    def held(_folder: Path | None) -> set[str]:
        write([replace(begun[1], state=State.SUCCEEDED)])
        return {"goes on"}

    write(begun)
    monkeypatch.setattr(run_history, "alive_in", held)
    rows = embedded_lakehouse.tables.read(RUNS).toArrow().to_pylist()
    assert [row["run_id"] for row in killed(embedded_lakehouse, AIR_TIME, rows)] == ["killed"]


def test_an_interrupt_is_recorded_and_raised(embedded_lakehouse: Lakehouse) -> None:
    """The task that it met is interrupted; those after it have no record."""
    ERRORS.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_and_record(embedded_lakehouse, NIGHTLY, {})
    assert recorded(embedded_lakehouse) == {("first", 1, "interrupted")}


def test_what_breaks_the_runner_itself_leaves_no_row_that_is_running(
    embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first task is failed, with the sentence of the error."""

    def broken(*_given: object, **_options: object) -> None:
        raise RuntimeError("no more threads")

    monkeypatch.setattr(jobs, "run_job", broken)
    with pytest.raises(RuntimeError):
        run_and_record(embedded_lakehouse, NIGHTLY, {})
    assert recorded(embedded_lakehouse) == {("first", 1, "failed")}


def test_a_run_that_is_locked_out_leaves_no_record(embedded_lakehouse: Lakehouse) -> None:
    """Nothing is written, not even a table."""
    folder = embedded_lakehouse.folder
    assert folder is not None
    with (
        hold(Path(folder), NIGHTLY.address, environment="dev", run_id="other"),
        pytest.raises(LockHeldError, match="run other"),
    ):
        run_and_record(embedded_lakehouse, NIGHTLY, {})
    assert (SEEN, embedded_lakehouse.tables.exists(RUNS)) == ([], False)


def test_a_started_job_takes_its_own_lock_and_fails_alone(embedded_lakehouse: Lakehouse) -> None:
    """The task that starts it says who holds it."""
    starting = RunJobTask(key="start", description="", job=NIGHTLY, parameters={})
    weekly = Job(use_case="air_time", name="weekly", description="", tasks=(task("look"), starting))
    folder = embedded_lakehouse.folder
    assert folder is not None
    with hold(Path(folder), NIGHTLY.address, environment="dev", run_id="other"):
        done = run_and_record(embedded_lakehouse, weekly, {})
    assert recorded(embedded_lakehouse) == {("look", 1, "succeeded"), ("start", 1, "failed")}
    assert "air_time.nightly is running in 'dev' already" in str(done.last["start"].error)
    assert run_and_record(embedded_lakehouse, weekly, {}).succeeded


def test_the_first_task_is_the_first_that_would_run() -> None:
    """Not one that is left out, nor one that waits for a condition that is left out."""
    look = task("look")
    found = ConditionTask(
        key="found", description="", value=look.value("name"), operator=Operator.EQUAL_TO, right="look", after=(look,)
    )
    act = task("act", found.if_true)
    job = Job(use_case="air_time", name="branching", description="", tasks=(look, found, act, task("rest")))

    def first(only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> str | None:
        chosen = first_task(job, only, skip)
        return chosen.key if chosen else None

    assert (first(), first(skip=("look",)), first(skip=("look", "found"))) == ("look", "found", "rest")
    assert (first(only=("act",)), first(only=("look",), skip=("look",))) == ("act", None)


def test_the_present_of_a_run_is_kept(embedded_lakehouse: Lakehouse) -> None:
    """The first record and the last have the instant that the run took for the present."""
    now = dt.datetime(2013, 2, 1, tzinfo=dt.UTC)
    run_and_record(embedded_lakehouse, NIGHTLY, {}, now=now)
    rows = embedded_lakehouse.tables.read(RUNS).toArrow().to_pylist()
    assert {row["as_of"] for row in rows} == {now}
