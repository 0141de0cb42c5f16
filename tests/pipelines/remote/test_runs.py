"""Deployed jobs are started and followed: the real SDK over HTTP, against a workspace on loopback."""

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service import jobs
from rich.status import Status

from pipelines import __main__ as command_line
from pipelines.command_line import interrupts
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import job
from pipelines.remote import connection
from pipelines.remote.connection import Remote, connect
from pipelines.remote.errors import InterruptedRunError, NotDeployedError, RemoteError
from pipelines.remote.following import Pace, RunResult
from pipelines.remote.progress import Phase, phase_of
from pipelines.remote.repairs import continue_run
from pipelines.remote.runs import follow_started, start_and_follow
from tests.pipelines.remote.deployed import (
    BLOCKED,
    CANCELLED,
    FAILED,
    NOT_NEEDED,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    UPSTREAM_FAILED,
    Code,
    Cycle,
    deployed_jobs,
    snapshot,
    status,
    task,
)
from tests.pipelines.remote.loopback_workspace import Fault, LoopbackWorkspace, RefusalError, VirtualClock

UNSUCCESSFUL = {
    jobs.RunResultState.CANCELED, jobs.RunResultState.TIMEDOUT, jobs.RunResultState.UPSTREAM_FAILED,
    jobs.RunResultState.UPSTREAM_CANCELED, jobs.RunResultState.MAXIMUM_CONCURRENT_RUNS_REACHED,
    jobs.RunResultState.FAILED, jobs.RunResultState.SUCCESS_WITH_FAILURES,
}  # fmt: skip
ROOT = Path(__file__).parents[3]
FEATURES, TRAINING, MONITORING = (job(f"flight_delay.{name}") for name in ("features", "training", "monitoring"))
INGESTED = (task("ingest", 1, SUCCEEDED), task("build_features", 2, RUNNING), task("build_labels", 3, RUNNING))
DONE = (task("ingest", 1, SUCCEEDED), task("build_features", 2, SUCCEEDED), task("build_labels", 3, SUCCEEDED))


@pytest.fixture
def said() -> list[str]:
    """The lines that the user is shown."""
    return []


@pytest.fixture
def staging(logged_in: LoopbackWorkspace) -> LoopbackWorkspace:
    """The workspace of staging: every job of the use case is deployed, and run 501 of features succeeds."""
    logged_in.held.jobs = deployed_jobs("staging")
    logged_in.held.catalogs = {"staging"}
    logged_in.held.runs[501] = [
        snapshot(501, RUNNING, task("ingest", 1, RUNNING), task("build_features", 2, BLOCKED)),
        snapshot(501, RUNNING, *INGESTED),
        snapshot(501, SUCCEEDED, *DONE),
    ]
    return logged_in


@pytest.fixture
def remote(
    staging: LoopbackWorkspace,  # noqa: ARG001 - the workspace to which the configuration points
    clock: VirtualClock,
    said: list[str],
) -> Remote:
    """A connection to staging."""
    return connect("staging", say=said.append, clock=clock)


def run(
    remote: Remote, declared: Job = FEATURES, parameters: Mapping[str, str] | None = None, **options: Any
) -> tuple[RunResult, list[tuple[str, Phase]]]:
    """Start a job and follow it; return the result, and the task and phase of each line that was shown."""
    shown = []
    result = start_and_follow(remote, declared, parameters or {}, show=shown.append, **options)
    return result, [(one.task, one.phase) for one in shown]


def test_a_run_is_started_followed_and_succeeds(remote: Remote, staging: LoopbackWorkspace, said: list[str]) -> None:
    """The request has the parameters and a token for idempotency; each change of a task is shown once, with links."""
    result, shown = run(remote, parameters={"until": "2013-02-01"})
    assert result.succeeded
    assert result.exit_code == 0
    (body,) = staging.bodies("run-now")
    assert body["job_id"] == 100
    assert body["job_parameters"] == {"until": "2013-02-01"}
    assert "only" not in body
    assert 16 <= len(body["idempotency_token"]) <= 64
    assert shown == [
        ("ingest", Phase.RUNNING), ("ingest", Phase.SUCCEEDED), ("build_features", Phase.RUNNING),
        ("build_labels", Phase.RUNNING), ("build_features", Phase.SUCCEEDED), ("build_labels", Phase.SUCCEEDED),
    ]  # fmt: skip
    assert any("/jobs/100/runs/501" in line for line in said)
    assert result.sentence.endswith("https://adb.example/jobs/100/runs/501")


def test_the_job_is_found_by_its_exact_name_on_any_page(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The platform's own filter ignores case, so names that differ only in case are passed over."""
    (features,) = (one for one in staging.held.jobs if one.settings.name == "flight_delay.features")
    others = [
        jobs.Job(
            job_id=900 + place, settings=jobs.JobSettings(name="Flight_Delay.FEATURES", tags={"environment": "dev"})
        )
        for place in range(5)
    ]
    staging.held.jobs = [*others, features]
    result, _ = run(remote)
    assert result.succeeded
    assert staging.bodies("run-now")[0]["job_id"] == features.job_id
    assert sum("jobs/list" in asked for asked in staging.asked) == 3


def test_all_tasks_of_a_run_are_read_from_several_pages(remote: Remote, staging: LoopbackWorkspace) -> None:
    """Three tasks on pages of two are all in the result."""
    result, _ = run(remote)
    assert [one.task for one in result.tasks] == ["ingest", "build_features", "build_labels"]
    assert sum("page_token" in asked and "runs/get" in asked for asked in staging.asked) == 2


def test_the_pauses_between_requests_grow_to_a_maximum(
    remote: Remote, staging: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """Each pause is the previous one times the growth, up to the longest."""
    staging.held.runs[501] = [*[snapshot(501, RUNNING)] * 6, snapshot(501, SUCCEEDED, *DONE)]
    run(remote, pace=Pace(first_seconds=1, growth=2, longest_seconds=5))
    assert clock.waited == [1, 2, 4, 5, 5, 5]
    assert list(itertools.islice(Pace().pauses(), 3)) == [2.0, 3.0, 4.5]


def test_a_failed_task_is_shown_with_its_error_and_the_end_of_its_trace(
    remote: Remote, staging: LoopbackWorkspace
) -> None:
    """The trace has no colour codes, the exit code is 1, and the tasks after it have the phase upstream failed."""
    trace = "\n".join(["Traceback", *(f"frame {n}" for n in range(60)), "\x1b[0;31mTaskError\x1b[0m: no rows"])
    staging.held.runs[501] = [
        snapshot(501, FAILED, task("ingest", 1, FAILED), task("build_features", 2, SKIPPED, result=UPSTREAM_FAILED))
    ]
    staging.held.outputs[1] = jobs.RunOutput(error="TaskError: no rows", error_trace=trace)
    shown = []
    result = start_and_follow(remote, FEATURES, {}, show=shown.append)
    assert result.exit_code == 1
    assert "failed in ingest" in result.sentence
    assert "Workload failed" in result.sentence
    ingest, built = shown
    assert ingest.error == "TaskError: no rows"
    assert ingest.trace.splitlines()[-1] == "TaskError: no rows"
    assert len(ingest.trace.splitlines()) == 31
    assert "\x1b" not in ingest.trace
    assert built.phase is Phase.UPSTREAM_FAILED


def test_a_success_with_failures_is_a_success_that_names_what_failed(
    remote: Remote, staging: LoopbackWorkspace
) -> None:
    """As for a local run: what came after the failed task did not need it. The run can be repaired without naming tasks."""
    ended = status(Cycle.TERMINATED, Code.SUCCESS_WITH_FAILURES)
    staging.held.runs[501] = [snapshot(501, ended, task("ingest", 1, FAILED), *DONE[1:])]
    result = run(remote)[0]
    assert result.exit_code == 0
    assert ": succeeded with failures in ingest: " in result.sentence
    assert continue_run(remote, FEATURES, 501, {}).run_id == 501


def test_an_unknown_end_of_a_run_is_a_failure(remote: Remote, staging: LoopbackWorkspace) -> None:
    """A run that has terminated without a known code has the phase failed."""
    staging.held.runs[501] = [snapshot(501, status(Cycle.TERMINATED), *DONE)]
    assert run(remote)[0].phase is Phase.FAILED


def test_only_the_code_success_without_a_failed_result_is_a_success() -> None:
    """Checked for every combination of code and result; no state before the end counts as ended."""
    for code, result in itertools.product([None, *Code], [None, *jobs.RunResultState]):
        ended = phase_of(status(Cycle.TERMINATED, code), jobs.RunState(result_state=result))
        assert ended.ended
        if ended is Phase.SUCCEEDED:
            assert code is Code.SUCCESS
            assert result not in UNSUCCESSFUL
    for state in set(Cycle) - {Cycle.TERMINATED}:
        assert not phase_of(status(state), None).ended
    assert not phase_of(None, None).ended


def test_a_run_cancelled_by_another_user_is_reported_as_cancelled(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The exit code is 1, and the sentence contains the platform's message with the user's name."""
    staging.held.runs[501] = [snapshot(501, RUNNING, *INGESTED), snapshot(501, CANCELLED, *INGESTED)]
    result, _ = run(remote)
    assert result.exit_code == 1
    assert "cancelled, by somebody or something else (Run cancelled by ada@meridian-air.example)" in result.sentence


def test_a_queued_run_is_reported_once_and_waited_for(
    remote: Remote, staging: LoopbackWorkspace, said: list[str]
) -> None:
    """The run succeeds after the one that held the job."""
    details = jobs.QueueDetails(
        code=jobs.QueueDetailsCodeCode.MAX_CONCURRENT_RUNS_REACHED,
        message="Queued due to reaching maximum concurrent runs.",
    )
    queued = jobs.RunStatus(state=Cycle.QUEUED, queue_details=details)
    staging.held.runs[501] = [snapshot(501, queued), snapshot(501, queued), snapshot(501, SUCCEEDED, *DONE)]
    assert run(remote)[0].succeeded
    assert sum("is queued: Queued due to reaching" in line for line in said) == 1


@pytest.mark.parametrize("code", [Code.SKIPPED, Code.MAX_CONCURRENT_RUNS_EXCEEDED, Code.MAX_JOB_QUEUE_SIZE_EXCEEDED])
def test_a_skipped_run_ends_with_exit_code_1(remote: Remote, staging: LoopbackWorkspace, code: Code) -> None:
    """The phase is skipped, and the sentence contains the platform's message."""
    staging.held.runs[501] = [snapshot(501, status(Cycle.TERMINATED, code, "the queue is full"))]
    result, _ = run(remote)
    assert result.phase is Phase.SKIPPED
    assert result.exit_code == 1
    assert "the queue is full" in result.sentence


def test_a_repaired_run_shows_the_newest_attempt(remote: Remote, staging: LoopbackWorkspace) -> None:
    """Of several attempts at a task the last one counts, at any position in the list."""
    staging.held.runs[501] = [
        snapshot(501, RUNNING, task("ingest", 1, FAILED), task("ingest", 11, RUNNING, attempt=1)),
        snapshot(501, SUCCEEDED, task("ingest", 11, SUCCEEDED, attempt=1), task("ingest", 1, FAILED)),
    ]
    shown = []
    result = start_and_follow(remote, FEATURES, {}, show=shown.append)
    assert result.succeeded
    assert [(one.run_id, one.attempt, one.phase) for one in shown] == [(11, 2, Phase.RUNNING), (11, 2, Phase.SUCCEEDED)]


def test_a_retried_task_is_shown_again_in_the_same_state(remote: Remote, staging: LoopbackWorkspace) -> None:
    """Running in the first attempt and running in the second are two lines."""
    staging.held.runs[501] = [
        snapshot(501, RUNNING, task("ingest", 1, RUNNING)),
        snapshot(501, RUNNING, task("ingest", 1, FAILED), task("ingest", 11, RUNNING, attempt=1)),
        snapshot(501, SUCCEEDED, task("ingest", 1, FAILED), task("ingest", 11, SUCCEEDED, attempt=1)),
    ]
    _, shown = run(remote)
    assert shown == [("ingest", Phase.RUNNING), ("ingest", Phase.RUNNING), ("ingest", Phase.SUCCEEDED)]


def test_a_job_that_a_task_starts_is_followed_as_well(remote: Remote, staging: LoopbackWorkspace) -> None:
    """Its tasks are shown under the name of their own job, and its error is in the result."""
    staging.start_job = lambda _job, _body: 601
    waiting = (task("decide", 60, SUCCEEDED), task("retrain", 61, BLOCKED, starts=101))
    retraining = (task("decide", 60, SUCCEEDED), task("retrain", 61, RUNNING, starts=101))
    retrained = (task("decide", 60, SUCCEEDED), task("retrain", 61, FAILED, starts=101))
    name = {"job": "flight_delay.monitoring", "job_id": 103}
    staging.held.runs[601] = [
        snapshot(601, RUNNING, *waiting, **name), snapshot(601, RUNNING, *retraining, **name),
        snapshot(601, RUNNING, *retraining, **name), snapshot(601, FAILED, *retrained, **name),
    ]  # fmt: skip
    started = {"job": "flight_delay.training", "job_id": 101}
    staging.held.runs[701] = [
        snapshot(701, RUNNING, task("assemble", 71, RUNNING), **started),
        snapshot(701, FAILED, task("assemble", 71, FAILED), **started),
    ]
    staging.held.outputs[61] = jobs.RunOutput(run_job_output=jobs.RunJobOutput(run_id=701))
    staging.held.outputs[71] = jobs.RunOutput(error="TaskError: there are no labels yet")
    shown = []
    result = start_and_follow(remote, MONITORING, {}, show=shown.append)
    assert [(one.job, one.task, one.phase) for one in shown if one.task == "assemble"] == [
        ("flight_delay.training", "assemble", Phase.RUNNING), ("flight_delay.training", "assemble", Phase.FAILED),
    ]  # fmt: skip
    assert "TaskError: there are no labels yet" in [one.error for one in shown]
    (nested,) = result.started
    assert (nested.run_id, nested.phase) == (701, Phase.FAILED)
    assert result.run_ids == {601, 60, 61, 701, 71}


def test_a_job_that_was_not_started_is_not_followed(remote: Remote, staging: LoopbackWorkspace) -> None:
    """A task that its condition excluded has no run, and no output is requested."""
    staging.held.runs[501] = [snapshot(501, SUCCEEDED, task("retrain", 61, SKIPPED, starts=101, result=NOT_NEEDED))]
    result, shown = run(remote, MONITORING)
    assert result.started == ()
    assert shown == [("retrain", Phase.NOT_NEEDED)]
    assert not any("get-output" in asked for asked in staging.asked)


def test_only_and_skip_choose_tasks(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The request lists the tasks to run in the order of the job."""
    run(remote, TRAINING, only=["promote", "evaluate"])
    run(remote, TRAINING, skip=["serve", "train_logistic_regression"])
    one, two = (body["only"] for body in staging.bodies("run-now"))
    assert one == ["evaluate", "promote"]
    assert two == ["assemble", "train_gradient_boosting", "evaluate", "promote", "model_card"]


@pytest.mark.parametrize(
    ("declared", "options", "message"),
    [
        (TRAINING, {"only": ["evalute"]}, "did you mean 'evaluate'"),
        (TRAINING, {"only": ["promote"], "skip": ["promote"]}, "no task of flight_delay.training is left to run"),
        (MONITORING, {"only": ["retraining_needed"]}, "needs the values of decide"),
        (MONITORING, {"skip": ["decide"]}, "needs the values of decide"),
        (MONITORING, {"parameters": {"untill": "2013-04-01"}}, "did you mean 'until'"),
        (MONITORING, {"parameters": {"until": "April"}}, "is not an ISO date"),
    ],
)
def test_wrong_tasks_and_parameters_are_refused_without_a_request(
    remote: Remote, staging: LoopbackWorkspace, declared: Job, options: dict[str, Any], message: str
) -> None:
    """They are checked against the declaration on this machine."""
    staging.asked.clear()
    with pytest.raises(DeclarationError, match=message):
        run(remote, declared, **options)
    assert staging.asked == []


def test_a_job_that_is_not_deployed_is_not_started(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The error says to deploy the stack, or, if the catalog is missing too, that this may be another workspace."""
    staging.held.jobs = []
    with pytest.raises(
        NotDeployedError, match=r"flight_delay\.features is not deployed in staging .* deploy staging-workspace"
    ):
        run(remote)
    staging.held.catalogs = {"dev"}
    with pytest.raises(
        NotDeployedError, match="the workspace sees no catalog 'staging' either: is it the workspace of staging"
    ):
        run(remote)
    assert staging.bodies("run-now") == []


def test_a_job_of_another_environment_is_not_started(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The tag of the job names prod, so the error says that this is another workspace; the exit code is 2."""
    staging.held.jobs = deployed_jobs("prod")
    with pytest.raises(
        NotDeployedError, match=r"is not the workspace of staging: its job .* environment=prod"
    ) as refused:
        run(remote)
    assert refused.value.exit_code == 2
    assert staging.bodies("run-now") == []


def test_a_job_of_the_same_name_without_our_tag_is_not_started(remote: Remote, staging: LoopbackWorkspace) -> None:
    """Without the tag `environment` the job may be anybody's."""
    staging.held.jobs = [jobs.Job(job_id=7, settings=jobs.JobSettings(name="flight_delay.features"))]
    with pytest.raises(NotDeployedError, match="environment=none"):
        run(remote)


def test_a_job_that_is_deployed_twice_is_not_started(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The error names both ids."""
    staging.held.jobs = [*deployed_jobs("staging"), *deployed_jobs("staging", first_id=200)]
    with pytest.raises(NotDeployedError, match=r"deployed 2 times in staging \(ids 100, 200\)"):
        run(remote)
    assert staging.bodies("run-now") == []


def test_a_lost_answer_starts_no_second_run(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The request is repeated with the same token, and one run has started."""
    begun = []
    staging.start_job = lambda _job, _body: begun.append(1) or 501
    answer = staging.answer

    def lost(method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        output = answer(method, path, query, body)
        if path.endswith("run-now") and len(staging.bodies("run-now")) == 1:
            raise RefusalError(500, "INTERNAL_ERROR", "the connection broke")
        return output

    staging.answer = lost
    assert run(remote)[0].succeeded
    one, two = staging.bodies("run-now")
    assert one == two
    assert len(begun) == 1


def test_ctrl_c_leaves_the_run_running_and_prints_its_link(
    remote: Remote, staging: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """The exit code is 130, and no cancellation is sent."""
    clock.interrupt_at = 1
    with pytest.raises(
        InterruptedRunError, match=r"goes on without being followed: .*/jobs/100/runs/501"
    ) as interrupted:
        run(remote)
    assert interrupted.value.exit_code == 130
    assert staging.bodies("runs/cancel") == []


def test_ctrl_c_cancels_the_run_with_cancel_on_interrupt(
    remote: Remote, staging: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """The exit code is 130, and the command waits until the run has ended."""
    clock.interrupt_at = 1
    with pytest.raises(InterruptedRunError, match=r"run 501 of flight_delay\.features was cancelled") as interrupted:
        run(remote, cancel_on_interrupt=True)
    assert interrupted.value.exit_code == 130
    assert staging.bodies("runs/cancel") == [{"run_id": 501}]
    assert len(clock.waited) == 2


def test_a_ctrl_c_that_a_library_keeps_for_itself_is_heard_before_the_next_pause(
    remote: Remote, staging: LoopbackWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops an exception that a signal raises within a callback; the pause after it is longer than a command has to end."""
    staging.held.runs[501] = [snapshot(501, RUNNING, *INGESTED), snapshot(501, CANCELLED, *INGESTED)]

    def dropped(_progress: object) -> None:
        monkeypatch.setattr(interrupts._state, "number", signal.SIGINT)

    with pytest.raises(InterruptedRunError, match=r"run 501 of flight_delay\.features was cancelled"):
        start_and_follow(remote, FEATURES, {}, show=dropped, cancel_on_interrupt=True)
    assert staging.bodies("runs/cancel") == [{"run_id": 501}]


def test_a_refused_cancellation_is_reported(remote: Remote, staging: LoopbackWorkspace, clock: VirtualClock) -> None:
    """A user may be allowed to see runs and not to cancel them; the error says that the run may still be running."""
    clock.interrupt_at = 1
    staging.faults = [Fault("runs/cancel", RefusalError(403, "PERMISSION_DENIED", "User cannot manage the run"))]
    with pytest.raises(InterruptedRunError, match=r"may still be running .*User cannot manage the run"):
        run(remote, cancel_on_interrupt=True)


def test_waiting_for_a_cancelled_run_ends_after_two_minutes(
    remote: Remote, staging: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """The error says that the run may still be running."""
    clock.interrupt_at = 1
    answer = staging.answer
    staging.answer = lambda method, path, *rest: {} if path.endswith("cancel") else answer(method, path, *rest)
    staging.held.runs[501] = [snapshot(501, RUNNING, *INGESTED)]
    with pytest.raises(InterruptedRunError, match=r"may still be running .run 501 had not ended after 120 s"):
        run(remote, cancel_on_interrupt=True)


def test_ctrl_c_while_starting_says_that_it_may_have_started(
    remote: Remote, staging: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """The error has the link of the job, because the id of the run is unknown."""
    staging.faults = [Fault("run-now", RefusalError(500, "INTERNAL_ERROR", "try later"))]
    clock.interrupt_at = 1
    with pytest.raises(
        InterruptedRunError, match=r"interrupted while flight_delay\.features was being started: .*/jobs/100"
    ):
        run(remote)


def test_an_earlier_run_that_is_running_is_followed(remote: Remote, staging: LoopbackWorkspace) -> None:
    """No run is started; choosing other tasks for it raises an error."""
    started = continue_run(remote, FEATURES, 501, {})
    assert follow_started(remote, started, show=lambda _task: None).succeeded
    assert staging.bodies("run-now") == []
    staging.held.runs[501] = [snapshot(501, RUNNING, *INGESTED)]
    with pytest.raises(DeclarationError, match="is still running, and what it runs cannot be changed"):
        continue_run(remote, FEATURES, 501, {}, only=["ingest"])


def test_an_earlier_run_that_failed_is_repaired(remote: Remote, staging: LoopbackWorkspace) -> None:
    """The failed or the named tasks run again, after the latest repair if there is one."""
    item = jobs.RepairHistoryItem(id=12, type=jobs.RepairHistoryItemType.REPAIR)
    failed = snapshot(501, FAILED, task("ingest", 1, FAILED))
    failed.repair_history = [jobs.RepairHistoryItem(type=jobs.RepairHistoryItemType.ORIGINAL), item]
    staging.held.runs[501] = [failed]
    continue_run(remote, FEATURES, 501, {})
    continue_run(remote, FEATURES, 501, {"until": "2013-02-01"}, only=["build_labels"])
    one, two = staging.bodies("runs/repair")
    assert one == {"run_id": 501, "rerun_all_failed_tasks": True, "latest_repair_id": 12}
    assert two["rerun_tasks"] == ["build_labels"]
    assert two["job_parameters"] == {"until": "2013-02-01"}


def test_a_run_of_another_job_an_unknown_run_and_a_finished_run_are_refused(
    remote: Remote, staging: LoopbackWorkspace
) -> None:
    """No repair is requested."""
    staging.held.runs[502] = [snapshot(502, FAILED, job="flight_delay.training", job_id=101)]
    staging.held.runs[503] = [snapshot(503, SUCCEEDED, *DONE)]
    for run_id in (502, 999):
        with pytest.raises(NotDeployedError, match=f"has no run {run_id} in staging"):
            continue_run(remote, FEATURES, run_id, {})
    with pytest.raises(DeclarationError, match="run 503 has succeeded: name the tasks"):
        continue_run(remote, FEATURES, 503, {})
    assert staging.bodies("runs/repair") == []


def test_a_connection_lost_while_following_reports_that_the_run_goes_on(
    remote: Remote, staging: LoopbackWorkspace
) -> None:
    """The error contains the link of the run."""
    staging.faults = [Fault("runs/get", RefusalError(403, "PERMISSION_DENIED", "no longer allowed"))]
    with pytest.raises(RemoteError, match=r"no longer allowed.* Run 501 goes on without being followed: .*/runs/501"):
        run(remote)


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str],
    staging: LoopbackWorkspace,  # noqa: ARG001 - the workspace to which the configuration points
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs one command in virtual time and returns exit code, output and errors."""
    monkeypatch.setattr(connection, "RealClock", lambda: clock)

    def run_command(*words: str) -> tuple[int, str, str]:
        code = command_line.main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def test_the_command_prints_a_line_per_change_and_the_links(call: Callable[..., tuple[int, str, str]]) -> None:
    """Without a terminal the lines are plain, each with its link."""
    code, out, err = call("run", FEATURES.address, "--env", "staging", "--remote", "--param", "until=2013-02-01")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("run 501 of flight_delay.features in staging: http://127.0.0.1")
    assert "  flight_delay.features, ingest: running  https://adb.example/jobs/100/runs/1" in lines
    assert "  flight_delay.features, ingest: succeeded, 65 s  https://adb.example/jobs/100/runs/1" in lines
    assert lines[-1].startswith("run 501 of flight_delay.features: succeeded: https://")


def test_the_command_prints_what_failed_and_ends_with_1(
    call: Callable[..., tuple[int, str, str]], staging: LoopbackWorkspace
) -> None:
    """Error and trace are printed to standard error."""
    staging.held.runs[501] = [snapshot(501, FAILED, task("ingest", 1, FAILED))]
    staging.held.outputs[1] = jobs.RunOutput(
        error="ValueError: no file", error_trace="Traceback\n  here\nValueError: no file"
    )
    code, out, err = call("run", FEATURES.address, "--env", "staging", "--remote")
    assert code == 1
    assert "flight_delay.features, ingest: failed" in out
    assert "error: flight_delay.features, task ingest: ValueError: no file\nTraceback\n  here\n" in err


def test_on_a_terminal_the_command_shows_the_progress(
    call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of finished tasks is shown in addition to the lines."""
    texts = []
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(Status, "update", lambda _status, text, **_options: texts.append(text))
    code, out, _ = call("run", FEATURES.address, "--env", "staging", "--remote")
    assert code == 0
    assert "flight_delay.features, ingest: succeeded" in out
    assert texts[-1] == "flight_delay.features in staging: 3 of 3 tasks have ended"


def test_the_command_goes_on_with_an_earlier_run(
    call: Callable[..., tuple[int, str, str]], staging: LoopbackWorkspace
) -> None:
    """`--run-id` takes the number at the end of the run's link, and no run is started."""
    code, out, _ = call("run", FEATURES.address, "--env", "staging", "--remote", "--run-id", "501")
    assert code == 0
    assert "run 501 of flight_delay.features is running" in out
    assert staging.bodies("run-now") == []


@pytest.mark.parametrize("options", [(), ("--cancel-on-interrupt",)])
def test_a_real_ctrl_c_ends_the_command_with_130(staging: LoopbackWorkspace, options: tuple[str, ...]) -> None:
    """A signal to a real process during a pause: the run goes on, or is cancelled with `--cancel-on-interrupt`."""
    staging.held.runs[501] = [snapshot(501, RUNNING, *INGESTED)]
    words = ("run", FEATURES.address, "--env", "staging", "--remote", *options)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by a suite that runs in the background
    try:
        command = subprocess.Popen(
            [sys.executable, "-m", "pipelines", *words],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not any("runs/get" in asked for asked in staging.asked) and time.monotonic() < deadline:
        time.sleep(0.02)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    said = "was cancelled" if options else "goes on without being followed"
    assert f"interrupted: run 501 of flight_delay.features {said}" in err
    assert len(staging.bodies("runs/cancel")) == len(options)
    assert "Traceback" not in err
