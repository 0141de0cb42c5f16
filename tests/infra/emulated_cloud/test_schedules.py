"""One command pauses the schedules of an environment at once, in the emulated cloud by the real SDK; Terraform sees it."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import PauseStatus

from infra.emulated_cloud.prepared import new_cloud
from infra.emulated_cloud.server import served
from infra.synthesis.stack import Stack
from pipelines import __main__ as command_line
from pipelines.declarations.registry import use_case, use_cases
from pipelines.remote.connection import Remote, connect
from pipelines.remote.errors import NotDeployedError, RefusedError
from pipelines.remote.schedules import set_schedules
from tests.pipelines.remote.deployed import deployed_jobs
from tests.pipelines.remote.loopback_workspace import point_to

FLIGHT_DELAY = use_case("flight_delay")
SCHEDULED = {job.address for job in FLIGHT_DELAY.jobs if job.schedule is not None}


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkspaceClient]:
    """Prod in the emulated cloud with the jobs of a use case, whose schedules run; the SDK's configuration points to it."""
    with served(new_cloud(), tmp_path) as found:
        identities = json.loads(found.tokens.read_text(encoding="utf-8"))["identities"]
        point_to(found.hosts["prod"], monkeypatch, tmp_path)
        monkeypatch.setenv("DATABRICKS_TOKEN", identities["prod"]["token"])
        monkeypatch.setenv("OTHER_TOKEN", identities["analyst"]["token"])
        client = WorkspaceClient()
        me = client.current_user.me().user_name
        for job in deployed_jobs("prod", running=True):
            assert job.settings
            body = {**job.settings.as_dict(), "run_as": {"service_principal_name": me}}
            for cluster in body["job_clusters"]:
                del cluster["new_cluster"]["policy_id"]
            client.api_client.do("POST", "/api/2.2/jobs/create", body=body)
        yield client


def states(client: WorkspaceClient) -> dict[str, PauseStatus | None]:
    """The state of each schedule that there is, by job."""
    found = [client.jobs.get(job.job_id) for job in client.jobs.list() if job.job_id]
    return {job.settings.name or "": job.settings.schedule.pause_status for job in found if job.settings and job.settings.schedule}  # fmt: skip


def test_schedules_are_paused_and_resumed_by_one_command(
    prod: WorkspaceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """What else a job states stays; a second call changes nothing."""
    before = {job.job_id: prod.jobs.get(job.job_id or 0).as_dict() for job in prod.jobs.list()}
    where = ["--env", "prod", "--remote", "--use-case", "flight_delay"]
    for action, state, changed in (("pause", "PAUSED", 4), ("pause", "PAUSED", 0), ("resume", "UNPAUSED", 4)):
        assert command_line.main(["schedules", action, *where]) == 0
        assert f"{changed} schedules changed" in capsys.readouterr().out
        assert states(prod) == dict.fromkeys(SCHEDULED, PauseStatus(state))
    assert {number: prod.jobs.get(number or 0).as_dict() for number in before} == before


def test_who_may_not_manage_the_jobs_changes_nothing(prod: WorkspaceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An analyst is refused, or does not see the job."""
    monkeypatch.setenv("DATABRICKS_TOKEN", os.environ["OTHER_TOKEN"])
    remote: Remote = connect("prod", say=lambda _line: None)
    with pytest.raises((NotDeployedError, RefusedError)):
        set_schedules(remote, [FLIGHT_DELAY], paused=True)
    assert set(states(prod).values()) == {PauseStatus.UNPAUSED}


def test_terraform_reports_a_schedule_that_was_paused_by_hand(estate: Mapping[str, Stack]) -> None:
    """Every scheduled job of every environment declares its pause status, and no lifecycle leaves it out of the comparison."""
    for environment in ("dev", "staging", "prod"):
        jobs = [one for one in estate[f"{environment}-workspace"].resources.values() if one.type == "databricks_job"]
        scheduled = [one for one in jobs if "schedule" in one.arguments]
        assert len(scheduled) == sum(job.schedule is not None for found in use_cases() for job in found.jobs)
        for job in scheduled:
            assert job.ignore_changes == ()
            assert "pause_status" in json.dumps(job.arguments["schedule"], default=str)
