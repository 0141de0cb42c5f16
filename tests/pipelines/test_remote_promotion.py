"""A model is promoted into a deployed environment: the real SDK starts the deployed job, the alias tells what came of it."""

import pytest
from databricks.sdk.service.catalog import RegisteredModelAlias, RegisteredModelInfo

from pipelines import __main__ as command_line
from pipelines.declarations.registry import use_case
from pipelines.remote import connection
from tests.pipelines.deployed import FAILED, RUNNING, SUCCEEDED, deployed_jobs, snapshot, task

AIR_TIME = use_case("air_time")
NAME = f"prod.{AIR_TIME.model.address}"
DELIVERY = 100 + [job.name for job in AIR_TIME.jobs].index("delivery")


@pytest.fixture
def prod(logged_in, clock, monkeypatch):
    """Prod's workspace, with the jobs of the use case and a champion."""
    logged_in.held.jobs = deployed_jobs("prod", jobs_of=AIR_TIME)
    logged_in.held.catalogs = {"prod"}
    logged_in.held.models[NAME] = champion(1)
    monkeypatch.setattr(connection, "RealClock", lambda: clock)
    return logged_in


def champion(number):
    """The registered model with its alias."""
    return RegisteredModelInfo(
        full_name=NAME, aliases=[RegisteredModelAlias(alias_name="champion", version_num=number)]
    )


def promote(prod, capsys, *, ended=SUCCEEDED, then=1):
    """Promote, with the run ending so and the champion then being that version: exit code, output, errors."""
    shown = {"job": "air_time.delivery", "job_id": DELIVERY}
    prod.held.runs[501] = [
        snapshot(501, RUNNING, task("copy", 1, RUNNING), **shown),
        snapshot(501, ended, task("copy", 1, SUCCEEDED), task("promote", 4, ended), **shown),
    ]

    def start(_job, _body):
        prod.held.models[NAME] = champion(then)
        return 501

    prod.start_job = start
    code = command_line.main(["promote", "air_time", "--from", "staging", "--to", "prod", "--version", "7", "--remote"])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), " ".join(captured.err.split())


def test_the_deployed_delivery_job_is_started_with_what_was_asked_for(prod, capsys):
    """Its gate moved the alias: that is what is said, and the exit code is 0."""
    code, out, _ = promote(prod, capsys, then=2)
    assert code == 0
    assert "version 2 is champion of air_time in prod" in out
    (body,) = prod.bodies("run-now")
    assert body["job_id"] == DELIVERY
    assert body["job_parameters"] == {"source": "staging", "version": "7"}


def test_a_run_that_promoted_nothing_is_no_success(prod, capsys):
    """The alias is where it was, whatever the run's own result says."""
    code, out, _ = promote(prod, capsys, then=1)
    assert code == 1
    assert "nothing was promoted in prod, version 1 stays champion" in out


def test_a_run_that_failed_promoted_nothing(prod, capsys):
    """Also where the alias has moved meanwhile: that was somebody else."""
    code, out, _ = promote(prod, capsys, ended=FAILED, then=1)
    assert code == 1
    assert "nothing was promoted in prod" in out


def test_a_way_that_is_none_asks_nobody(prod, capsys):
    """Refused by the declarations alone."""
    code = command_line.main(["promote", "flight_delay", "--from", "staging", "--to", "prod", "--remote"])
    assert code == 2
    assert "flight_delay is trained in prod itself" in capsys.readouterr().err
    assert prod.asked == []


def test_a_profile_without_a_workspace_is_a_mistake_of_the_call(capsys):
    """An option that would do nothing is refused."""
    code = command_line.main(["promote", "air_time", "--from", "staging", "--to", "prod", "--profile", "x"])
    assert code == 2
    assert "--profile is about a deployed environment" in " ".join(capsys.readouterr().err.split())
