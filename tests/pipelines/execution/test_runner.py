"""The runner runs what a job declares: order, retries, conditions and other jobs; every attempt leaves a record."""

import datetime as dt
from collections.abc import Iterable

import pytest

from ml.spec.errors import retry_helps
from pipelines.declarations.job import (
    After,
    AnyTask,
    ConditionTask,
    Job,
    Operator,
    Parameter,
    RunIf,
    RunJobTask,
    Task,
    TaskValue,
)
from pipelines.declarations.mistakes import DeclarationError
from pipelines.execution import runner
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.runner import Hooks, JobRun, State, TaskRun, readiness, run_job
from pipelines.sources.files import SourceError, check_header

CALLS: list[tuple[str, dict[str, str]]] = []
BEHAVIOUR: dict[str, list[BaseException | TaskResult]] = {}


def work(_context: Context, *, name: str, **given: str) -> TaskResult:
    """The code of every task here: return or raise what `BEHAVIOUR` lists for the task, in order, then succeed."""
    CALLS.append((name, given))
    planned = BEHAVIOUR.get(name)
    outcome = planned.pop(0) if planned else TaskResult(rows=1)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    BEHAVIOUR.clear()
    monkeypatch.setattr(runner, "load", lambda _entry: work)


def task(
    key: str,
    *,
    after: tuple[After | AnyTask, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    retries: int = 0,
    timeout_minutes: int = 60,
    run_if: RunIf = RunIf.ALL_SUCCESS,
) -> Task:
    """A task that runs `work`."""
    return Task(key=key, entry="tests:work", description="", after=after, parameters=parameters, retries=retries,
                arguments={"name": key}, timeout_minutes=timeout_minutes, run_if=run_if)  # fmt: skip


def job(*tasks: AnyTask, name: str = "nightly") -> Job:
    """A job of these tasks."""
    return Job(use_case="trial", name=name, description="", tasks=tasks)


def chain(*keys: str, then: Iterable[AnyTask] = ()) -> Job:
    """A job whose tasks run one after the other, followed by tasks that depend on none."""
    tasks: list[AnyTask] = []
    for key in keys:
        tasks.append(task(key, after=tuple(tasks[-1:])))
    return job(*tasks, *then)


def parameter(name: str, default: str = "") -> Parameter:
    """A parameter of kind text."""
    return Parameter(name=name, default=default, description="")


def context() -> Context:
    """A context without lakehouse and use case: the runner uses neither."""
    return Context(lakehouse=None, use_case=None, run_id="r1", now=dt.datetime(2013, 1, 1, tzinfo=dt.UTC), say=print)


def states(run: JobRun) -> dict[str, State]:
    """The state in which each task ended."""
    return {key: attempt.state for key, attempt in run.last.items()}


def test_tasks_run_in_their_order_and_leave_their_records() -> None:
    """Each record has the task, the attempt, the state and the number of rows."""
    run = run_job(chain("a", "b"), context(), {})
    assert [name for name, _ in CALLS] == ["a", "b"]
    assert run.succeeded
    assert [(one.task, one.attempt, one.state, one.rows) for one in run.attempts] == [
        ("a", 1, State.SUCCEEDED, 1), ("b", 1, State.SUCCEEDED, 1),
    ]  # fmt: skip


def test_a_failing_task_stops_the_tasks_after_it_and_only_those() -> None:
    """Tasks that do not depend on it run; its record has the error without the name of a class."""
    BEHAVIOUR["a"] = [RuntimeError("no disk")]
    run = run_job(chain("a", "b", "c", then=[task("d")]), context(), {})
    assert states(run) == {
        "a": State.FAILED, "b": State.UPSTREAM_FAILED, "c": State.UPSTREAM_FAILED, "d": State.SUCCEEDED,
    }  # fmt: skip
    assert not run.succeeded
    assert run.last["a"].error.endswith(": no disk")
    assert "RuntimeError" not in run.last["a"].error


def trials(*, then: bool = True) -> Job:
    """A job that prepares, tries two ways, and goes on with those that succeeded."""
    begin = task("begin")
    ways = tuple(task(key, after=(begin,)) for key in ("one", "other"))
    choose = task("choose", after=ways, run_if=RunIf.AT_LEAST_ONE_SUCCESS)
    return job(begin, *ways, choose, *((task("end", after=(choose,)),) if then else ()))


def test_one_success_is_enough_where_the_task_after_says_so() -> None:
    """The run has succeeded, and says what failed on the way."""
    BEHAVIOUR["one"] = [ValueError("no solution")]
    run = run_job(trials(), context(), {})
    assert states(run)["one"] is State.FAILED
    assert [states(run)[key] for key in ("other", "choose", "end")] == [State.SUCCEEDED] * 3
    assert (run.succeeded, run.overcome) == (True, ("one",))


def test_without_any_success_the_tasks_after_do_not_run() -> None:
    """Nor if the one that is left was left out on purpose: it did not succeed in this run."""
    BEHAVIOUR.update({"one": [ValueError("no")] * 2, "other": [ValueError("no")]})
    failed = {"choose": State.UPSTREAM_FAILED, "end": State.UPSTREAM_FAILED}
    run = run_job(trials(), context(), {})
    assert (run.succeeded, run.overcome) == (False, ())
    assert states(run).items() >= failed.items()
    left_out = run_job(trials(), context(), {}, skip=["other"])
    assert not left_out.succeeded
    assert states(left_out).items() >= failed.items()


def test_tasks_that_were_all_left_out_count_as_done_before() -> None:
    """So that a part of a job can run again by itself."""
    run = run_job(trials(), context(), {}, only=["choose", "end"])
    assert states(run)["end"] is State.SUCCEEDED
    assert run.succeeded


@pytest.mark.parametrize(("failing", "succeeded"), [("one", True), ("choose", False), ("end", False)])
def test_a_run_fails_with_a_failed_task_after_which_nothing_went_on(failing: str, succeeded: bool) -> None:
    """As Databricks judges a run by its last tasks."""
    BEHAVIOUR[failing] = [ValueError("no")]
    assert run_job(trials(), context(), {}).succeeded is succeeded


def test_a_failed_task_is_the_failure_of_a_run_that_was_asked_for_it_alone() -> None:
    """What would have gone on without it was left out."""
    BEHAVIOUR["one"] = [ValueError("no")]
    assert not run_job(trials(), context(), {}, only=["one"]).succeeded


def test_a_task_is_tried_again_as_often_as_declared() -> None:
    """Each attempt has its own record."""
    BEHAVIOUR["a"] = [RuntimeError("once"), RuntimeError("twice")]
    run = run_job(job(task("a", retries=2)), context(), {})
    assert [(one.attempt, one.state) for one in run.attempts] == [
        (1, State.FAILED), (2, State.FAILED), (3, State.SUCCEEDED),
    ]  # fmt: skip
    assert run.succeeded


def misspelt_header() -> Exception:
    """The error of a delivery whose header misspells a column."""
    with pytest.raises(SourceError) as caught:
        check_header("weather.csv", ["origin", "humidity"], ["origin", "humid"])
    return caught.value


PERMANENT = [
    misspelt_header(), TaskError("no labels yet"), DeclarationError("unknown job"), ValueError("not a number"),
    KeyError("humid"),
]  # fmt: skip
PASSING = [
    OSError("no space left"), ConnectionError("connection reset"), TimeoutError("no answer"),
    RuntimeError("the engine went away"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "attempts"),
    [*((error, 1) for error in PERMANENT), *((error, 3) for error in PASSING)],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else f"{value} attempts",
)
def test_a_permanent_error_is_never_repeated_and_one_that_may_pass_is(error: Exception, attempts: int) -> None:
    """With two retries declared: one attempt, or all three; every record has the same sentence."""
    BEHAVIOUR["a"] = [error, error, error]
    run = run_job(job(task("a", retries=2)), context(), {})
    assert retry_helps(error) is (attempts > 1)
    assert [(one.attempt, one.state) for one in run.attempts] == [
        (attempt, State.FAILED) for attempt in range(1, attempts + 1)
    ]
    assert len({one.error for one in run.attempts}) == 1


def test_parameters_reach_the_tasks_that_name_them_and_no_others() -> None:
    """A given parameter reaches the task that declares it; a task without parameters is called without any."""
    declared = job(task("a", parameters=(parameter("size", "1"),)), task("b"))
    run_job(declared, context(), {"size": "7"})
    assert CALLS == [("a", {"size": "7"}), ("b", {})]


def test_a_parameter_that_is_not_declared_stops_the_run_before_it_begins() -> None:
    """No task is called."""
    with pytest.raises(DeclarationError, match=r"unknown parameter of trial\.nightly 'sizes'"):
        run_job(job(task("a")), context(), {"sizes": "7"})
    assert CALLS == []


def conditional(operator: Operator = Operator.EQUAL_TO) -> Job:
    """A job that branches on the value that its first task returns."""
    look = task("look")
    found = ConditionTask(
        key="found", description="", value=look.value("hit"), operator=operator, right="yes", after=(look,)
    )
    act, rest = task("act", after=(found.if_true,)), task("rest", after=(found.if_false,))
    return job(look, found, act, rest, task("after_act", after=(act,)))


@pytest.mark.parametrize(("hit", "acted"), [("yes", True), ("no", False)])
def test_a_condition_chooses_between_its_branches(hit: str, acted: bool) -> None:
    """The other branch and the tasks after it are not needed; the run succeeds."""
    BEHAVIOUR["look"] = [TaskResult(values={"hit": hit})]
    run = run_job(conditional(), context(), {})
    done = {key for key, state in states(run).items() if state is State.SUCCEEDED}
    assert done == {"look", "found"} | ({"act", "after_act"} if acted else {"rest"})
    assert run.succeeded


def test_not_equal_inverts_a_condition() -> None:
    """With an equal value the branch `if_true` is not needed."""
    BEHAVIOUR["look"] = [TaskResult(values={"hit": "yes"})]
    assert states(run_job(conditional(Operator.NOT_EQUAL), context(), {}))["act"] is State.NOT_NEEDED


def test_a_condition_on_a_value_that_no_task_returned_fails() -> None:
    """The error names the nearest value that exists."""
    BEHAVIOUR["look"] = [TaskResult(values={"hits": "yes"})]
    run = run_job(conditional(), context(), {})
    assert "did you mean 'hits'?" in run.last["found"].error
    assert states(run)["act"] is State.UPSTREAM_FAILED


def test_only_runs_the_named_tasks_with_the_values_of_the_last_run() -> None:
    """A condition that is run again reads the value that its first task returned in an earlier run."""
    run = run_job(
        conditional(),
        context(),
        {},
        only=["found", "act"],
        hooks=Hooks(recall=lambda _job, key: {"hit": "yes"} if key == "look" else {}),
    )
    assert [name for name, _ in CALLS] == ["act"]
    assert states(run)["look"] is State.EXCLUDED


def test_skip_leaves_a_task_out_and_counts_it_as_done() -> None:
    """The task after it runs."""
    run = run_job(chain("a", "b"), context(), {}, skip=["a"])
    assert states(run) == {"a": State.EXCLUDED, "b": State.SUCCEEDED}


def test_skipping_a_condition_runs_neither_of_its_branches() -> None:
    """Both branches are not needed."""
    run = run_job(conditional(), context(), {}, skip=["found"])
    assert states(run)["act"] is states(run)["rest"] is State.NOT_NEEDED


def test_naming_a_branch_runs_it_without_its_condition() -> None:
    """`only` with the branch alone calls the branch."""
    run_job(conditional(), context(), {}, only=["act"])
    assert [name for name, _ in CALLS] == ["act"]


def test_an_unknown_task_is_refused_with_the_near_miss() -> None:
    """The refusal comes before any task runs."""
    with pytest.raises(DeclarationError, match="did you mean 'look'"):
        run_job(conditional(), context(), {}, only=["lok"])


def test_a_job_starts_another_with_values_and_parameters() -> None:
    """References to task values and to parameters are resolved, as on the platform."""
    until = parameter("until")
    training = job(task("fit", parameters=(parameter("cause"), until)), name="training")
    look = task("look")
    given: dict[str, Parameter | TaskValue] = {"cause": look.value("why"), "until": until}
    retrain = RunJobTask(key="retrain", description="", job=training, after=(look,), parameters=given)
    monitoring = job(look, retrain, name="monitoring")
    BEHAVIOUR["look"] = [TaskResult(values={"why": "drift"})]
    run = run_job(monitoring, context(), {"until": "2013-05-01"})
    assert CALLS[-1] == ("fit", {"cause": "drift", "until": "2013-05-01"})
    assert run.started[0].job == "trial.training"


def test_a_failure_in_a_started_job_is_a_failure_of_the_job() -> None:
    """The error names the job that failed."""
    training = job(task("fit"), name="training")
    monitoring = job(RunJobTask(key="retrain", description="", job=training, parameters={}), name="monitoring")
    BEHAVIOUR["fit"] = [RuntimeError("no rows")]
    run = run_job(monitoring, context(), {})
    assert not run.succeeded
    assert "trial.training" in run.last["retrain"].error


def test_a_task_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The declared timeout holds on a laptop too."""
    monkeypatch.setattr(runner, "load", lambda _entry: _forever)
    slow = task("a")
    object.__setattr__(slow, "timeout_minutes", 0.001)
    run = run_job(job(slow), context(), {})
    assert run.last["a"].error.count("task 'a' took longer") == 1


def _forever(_context: Context, *, name: str) -> None:  # noqa: ARG001 - called as every task is
    end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    while dt.datetime.now(dt.UTC) < end:
        pass


def test_an_interrupt_ends_the_run() -> None:
    """Ctrl-C in a task is raised to the caller."""
    BEHAVIOUR["a"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run_job(job(task("a")), context(), {})


def test_every_record_is_reported_as_soon_as_there_is_one() -> None:
    """So are the records of tasks that did not run."""
    seen: list[TaskRun] = []
    BEHAVIOUR["a"] = [RuntimeError("x")]
    run_job(chain("a", "b"), context(), {}, hooks=Hooks(finished=seen.append))
    assert [(one.task, one.state) for one in seen] == [("a", State.FAILED), ("b", State.UPSTREAM_FAILED)]


def test_readiness_is_decided_by_states_alone() -> None:
    """If one predecessor failed and another was not needed, the failure decides."""
    waiting = task("c", after=(task("a"), task("b")))
    assert readiness(waiting, {"a": State.NOT_NEEDED, "b": State.FAILED}, {}) is State.UPSTREAM_FAILED
    assert readiness(waiting, {"a": State.NOT_NEEDED, "b": State.SUCCEEDED}, {}) is State.NOT_NEEDED
    assert readiness(waiting, {"a": State.EXCLUDED, "b": State.SUCCEEDED}, {}) is None
