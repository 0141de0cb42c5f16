"""A model is promoted in a deployed environment: the SDK starts the deployed job, and the alias shows the result."""

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
    """The workspace of prod with the jobs of the use case and version 1 as champion."""
    logged_in.held.jobs = deployed_jobs("prod", jobs_of=AIR_TIME)
    logged_in.held.catalogs = {"prod"}
    logged_in.held.models[NAME] = champion(1)
    monkeypatch.setattr(connection, "RealClock", lambda: clock)
    return logged_in


def champion(number: int) -> RegisteredModelInfo:
    """Return the registered model with the alias champion at a version."""
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
    """Run the command promote with a given end of the run and champion after it; return code, output and errors."""
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


def test_promote_starts_the_deployed_delivery_job_with_source_and_version(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gate has moved the alias: the output names both versions, and the exit code is 0."""
    code, out, _ = promote(prod, capsys, then=2)
    assert code == 0
    assert "version 2 is champion of air_time in prod, instead of 1" in out
    (body,) = prod.bodies("run-now")
    assert body["job_id"] == DELIVERY
    assert body["job_parameters"] == {"source": "staging", "version": "7"}


def test_a_run_that_promoted_nothing_ends_with_exit_code_1(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The alias decides, not the result of the run."""
    code, out, _ = promote(prod, capsys, then=1)
    assert code == 1
    assert "nothing was moved: version 1 stays champion of air_time in prod" in out
    assert "the gate promoted nothing; its reasons are in the verdicts" in out


def test_promoting_the_champion_again_ends_with_exit_code_0(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The deployed job skips its evaluation, and the output says so."""
    code, out, _ = promote(prod, capsys, judged=SUCCEEDED, said=NOT_NEEDED)
    assert code == 0
    assert "nothing was judged: it is the champion already" in out


@pytest.mark.parametrize(("then", "said"), [(1, "version 1 stays champion"), (2, "version 2 is champion")])
def test_a_failed_run_ends_with_exit_code_1_and_shows_the_current_champion(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str], then: int, said: str
) -> None:
    """The run may have failed in a task after the one that moved the alias."""
    code, out, _ = promote(prod, capsys, ended=FAILED, then=then)
    assert code == 1
    assert said in out


@pytest.mark.parametrize(("then", "code"), [(1, 0), (2, 1)])
def test_a_rollback_starts_the_deployed_job_whose_identity_may_move_the_alias(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str], then: int, code: int
) -> None:
    """The job gets the reason, and the exit code is 0 only if the alias has moved."""
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


def test_promoting_a_use_case_that_is_trained_in_prod_is_refused_without_a_request(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2; the declarations decide."""
    code = command_line.main(["promote", "flight_delay", "--from", "staging", "--to", "prod", "--remote"])
    assert code == 2
    assert "flight_delay is trained in prod itself" in capsys.readouterr().err
    assert prod.asked == []


@pytest.mark.parametrize(("name", "option"), [("source", "--from"), ("version", "--version")])
def test_a_parameter_that_an_option_states_is_refused(
    prod: LoopbackWorkspace, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    """The exit code is 2, the error names the option to use, and no request is sent."""
    words = ["--from", "staging", "--to", "prod", "--param", f"{name}=1"]
    assert command_line.main(["promote", "air_time", *words, "--remote"]) == 2
    assert f"--param {name}=... is not read: give {option} instead" in capsys.readouterr().err
    assert prod.asked == []


def test_a_profile_without_remote_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 2, because the option would have no effect."""
    code = command_line.main(["promote", "air_time", "--from", "staging", "--to", "prod", "--profile", "x"])
    assert code == 2
    assert "--profile is about a deployed environment" in " ".join(capsys.readouterr().err.split())
