"""A model is promoted into a deployed environment: the real SDK starts the deployed job, the alias tells what came of it."""

from collections.abc import Mapping
from typing import Any

import pytest
from databricks.sdk.service import jobs
from databricks.sdk.service.catalog import RegisteredModelAlias, RegisteredModelInfo

from pipelines import __main__ as command_line
from pipelines.declarations.registry import use_case
from pipelines.remote import connection
from tests.pipelines.remote.deployed import FAILED, NOT_NEEDED, RUNNING, SUCCEEDED, deployed_jobs, snapshot, task
from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace, VirtualClock

AIR_TIME = use_case("air_time")
NAME = f"prod.{AIR_TIME.model.address}"
DELIVERY, ROLLBACK = (100 + [job.name for job in AIR_TIME.jobs].index(name) for name in ("delivery", "rollback"))


@pytest.fixture
def prod(logged_in: LoopbackWorkspace, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> LoopbackWorkspace:
    """Prod's workspace, with the jobs of the use case and a champion."""
    logged_in.held.jobs = deployed_jobs("prod", jobs_of=AIR_TIME)
    logged_in.held.catalogs = {"prod"}
    logged_in.held.models[NAME] = champion(1)
    monkeypatch.setattr(connection, "RealClock", lambda: clock)
    return logged_in


def champion(number: int) -> RegisteredModelInfo:
    """The registered model with its alias."""
    return RegisteredModelInfo(
        full_name=NAME, aliases=[RegisteredModelAlias(alias_name="champion", version_num=number)]
    )


def promote(
    prod: LoopbackWorkspace,
    capsys: pytest.CaptureFixture[str],
    *,
    ended: jobs.RunStatus = SUCCEEDED,
    then: int = 1,
    judged: jobs.RunStatus = SUCCEEDED,
    said: jobs.RunResultState | None = None,
) -> tuple[int, str, str]:
    """Promote, with the run ending so and the champion then being that version: exit code, output, errors."""
    shown = {"job": "air_time.delivery", "job_id": DELIVERY}
    prod.held.runs[501] = [
        snapshot(501, RUNNING, task("copy", 1, RUNNING), **shown),
        snapshot(501, ended, task("copy", 1, SUCCEEDED), task("promote", 4, judged, result=said), **shown),
    ]

    def start(_job: int, _body: Mapping[str, Any]) -> int:
        prod.held.models[NAME] = champion(then)
        return 501

    prod.start_job = start
    code = command_line.main(["promote", "air_time", "--from", "staging", "--to", "prod", "--version", "7", "--remote"])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), " ".join(captured.err.split())


def test_the_deployed_delivery_job_is_started_with_what_was_asked_for(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its gate moved the alias: that is what is said, and the exit code is 0."""
    code, out, _ = promote(prod, capsys, then=2)
    assert code == 0
    assert "version 2 is champion of air_time in prod, instead of 1" in out
    (body,) = prod.bodies("run-now")
    assert body["job_id"] == DELIVERY
    assert body["job_parameters"] == {"source": "staging", "version": "7"}


def test_a_run_that_promoted_nothing_is_no_success(prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    """The alias is where it was, whatever the run's own result says."""
    code, out, _ = promote(prod, capsys, then=1)
    assert code == 1
    assert "nothing was moved: version 1 stays champion of air_time in prod" in out
    assert "the gate promoted nothing; its reasons are in the verdicts" in out


def test_a_version_that_is_champion_already_is_no_failure(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The deployed job judges nothing then, and a repeated command succeeds."""
    code, out, _ = promote(prod, capsys, judged=SUCCEEDED, said=NOT_NEEDED)
    assert code == 0
    assert "nothing was judged: it is the champion already" in out


@pytest.mark.parametrize(("then", "said"), [(1, "version 1 stays champion"), (2, "version 2 is champion")])
def test_a_run_that_failed_is_no_success_and_the_alias_is_told_as_it_is(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str], then: int, said: str
) -> None:
    """It may have failed after the alias had moved, in the task that serves."""
    code, out, _ = promote(prod, capsys, ended=FAILED, then=then)
    assert code == 1
    assert said in out


@pytest.mark.parametrize(("then", "code"), [(1, 0), (2, 1)])
def test_a_rollback_starts_the_deployed_job_whose_identity_may_move_the_alias(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str], then: int, code: int
) -> None:
    """With the reason; the alias tells whether it did."""
    prod.held.models[NAME] = champion(2)
    shown = {"job": "air_time.rollback", "job_id": ROLLBACK}
    prod.held.runs[501] = [snapshot(501, SUCCEEDED, task("take_back", 1, SUCCEEDED), **shown)]

    def start(_job: int, _body: Mapping[str, Any]) -> int:
        prod.held.models[NAME] = champion(then)
        return 501

    prod.start_job = start
    assert command_line.main(["rollback", "air_time", "--env", "prod", "--remote", "--reason", "too late"]) == code
    (body,) = prod.bodies("run-now")
    assert (body["job_id"], body["job_parameters"]) == (ROLLBACK, {"reason": "too late"})
    out = " ".join(capsys.readouterr().out.split())
    assert ("version 1 is champion of air_time in prod, instead of 2" in out) is (then == 1)


def test_a_way_that_is_none_asks_nobody(prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused by the declarations alone."""
    code = command_line.main(["promote", "flight_delay", "--from", "staging", "--to", "prod", "--remote"])
    assert code == 2
    assert "flight_delay is trained in prod itself" in capsys.readouterr().err
    assert prod.asked == []


@pytest.mark.parametrize(("name", "option"), [("source", "--from"), ("version", "--version")])
def test_a_parameter_that_an_option_states_is_refused(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    """Otherwise it would be heard by nobody."""
    words = ["--from", "staging", "--to", "prod", "--param", f"{name}=1"]
    assert command_line.main(["promote", "air_time", *words, "--remote"]) == 2
    assert f"--param {name}=... is not read: give {option} instead" in capsys.readouterr().err
    assert prod.asked == []


def test_a_profile_without_a_workspace_is_a_mistake_of_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that would do nothing is refused."""
    code = command_line.main(["promote", "air_time", "--from", "staging", "--to", "prod", "--profile", "x"])
    assert code == 2
    assert "--profile is about a deployed environment" in " ".join(capsys.readouterr().err.split())
