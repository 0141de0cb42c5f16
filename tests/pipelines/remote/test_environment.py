"""A deployed environment in which every job has run: its status, its smoke, an integration run that leaves no trace.

Jobs, tables and SQL are real, on the embedded lakehouse behind the workspace on loopback.
"""

import dataclasses
import datetime as dt
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service import catalog, compute, jobs
from databricks.sdk.service import sql as sdk
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from ml.monitoring.findings import Finding
from pipelines import __main__ as command_line
from pipelines.declarations import registry
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.execution.check import CheckResult
from pipelines.integration import deployed_tables, local
from pipelines.integration.deployed import integrate
from pipelines.integration.steps import first_step, later_steps
from pipelines.integration.window import DAY_SECONDS
from pipelines.lakehouse.tables.arrow import records
from pipelines.remote import snapshots
from pipelines.remote.connection import Remote, connect
from pipelines.remote.errors import BusyError, InterruptedRunError, RefusedError
from pipelines.remote.following import RunResult
from pipelines.remote.progress import Phase
from pipelines.remote.smoke import smoke
from pipelines.remote.statements import Sql
from tests.pipelines.remote.deployed import RUNNING, WHEEL, deployed_jobs, snapshot, wheel_path
from tests.pipelines.remote.deployed_lakehouse import DeployedLakehouse
from tests.pipelines.remote.loopback_routes import RefusalError
from tests.pipelines.remote.loopback_workspace import Fault, LoopbackWorkspace, StatementResult, VirtualClock, point_to

AIR_TIME = use_case("air_time")
LIVED = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
Break = Callable[[LoopbackWorkspace], object]
"""Breaks one thing of a deployed environment."""
WAREHOUSE = sdk.EndpointInfo(
    id="w1", name="sql-mrd-staging",
    tags=sdk.EndpointTags(custom_tags=[sdk.EndpointTagPair(key="environment", value="staging")]),
)  # fmt: skip

FOUND = Finding(
    window_start=dt.datetime(2026, 9, 1, tzinfo=dt.UTC), window_end=dt.datetime(2026, 10, 1, tzinfo=dt.UTC),
    kind="metric_fell", column_name=":table", slice_key=":all", slice_value=":all", statistic="mean_absolute_error",
    value=12.0, threshold=11.0, since=dt.datetime(2026, 8, 1, tzinfo=dt.UTC), message="The error has grown.",
)  # fmt: skip
"""Of a month before the window; nothing is found in a month that has not ended."""


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory,
    embedded_spark: SparkSession,  # noqa: ARG001 - the engine that all of it runs on
) -> Iterator[DeployedLakehouse]:
    """Staging after each of its jobs has run once on the integration window, with one finding."""
    server, folder = LoopbackWorkspace(), tmp_path_factory.mktemp("staging")
    server.held.warehouses = [WAREHOUSE]
    server.held.files = {wheel_path("staging")}
    lakehouse = DeployedLakehouse(server, folder, AIR_TIME)
    lakehouse.steps = (first_step(AIR_TIME, LIVED), *later_steps(AIR_TIME, AIR_TIME.integration, LIVED))
    ids = {one.settings.name: one.job_id for one in server.held.jobs}
    lakehouse.runs = [
        lakehouse.start(
            ids[step.job.address],
            {"job_parameters": step.parameters, "only": [t.key for t in step.job.tasks if t.key not in step.skip]},
        )
        for step in lakehouse.steps
    ]
    for run_id in lakehouse.runs:
        server.held.runs[run_id].pop(0)
    findings = AIR_TIME.table("findings")
    lakehouse.lakehouse.tables.overwrite_window(
        findings,
        records(findings, [FOUND.as_row()]),
        column="window_start",
        start=FOUND.window_start,
        end=FOUND.window_end,
    )
    yield lakehouse
    server.close()


@pytest.fixture
def staging(lived: DeployedLakehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DeployedLakehouse]:
    """The same environment as the one that the SDK's configuration points to, with air_time as the only use case."""
    monkeypatch.setattr("pipelines.commands.smoke.use_cases", lambda: (AIR_TIME,))
    monkeypatch.setattr("pipelines.commands.options.use_cases", lambda: (AIR_TIME,))
    point_to(lived.server.host, monkeypatch, tmp_path)
    held = lived.server.held
    lived.server.held = dataclasses.replace(held, jobs=deployed_jobs("staging", jobs_of=AIR_TIME), runs=dict(held.runs))
    lived.server.faults.clear()
    lived.publish_models()
    yield lived
    lived.server.held = held
    lived.server.statement = lived.statement
    lived.fail = set()


@pytest.fixture
def said() -> list[str]:
    """The lines that the user is shown."""
    return []


@pytest.fixture
def remote(staging: DeployedLakehouse, said: list[str]) -> Remote:  # noqa: ARG001 - what the configuration points to
    """A connection to staging."""
    return connect("staging", say=said.append, clock=VirtualClock())


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run one command in this process and return exit code, output, and errors in one line."""
    code = command_line.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def content(lakehouse: DeployedLakehouse) -> dict[str, list[str] | int]:
    """Return the content of every table: the rows of small tables, the number of rows of large ones."""
    found = {}
    for table in AIR_TIME.tables:
        rows = DeltaTable(lakehouse.path(table)).to_pyarrow_table()
        found[table.address] = sorted(map(str, rows.to_pylist())) if rows.num_rows < 500 else rows.num_rows
    return found


def held(checks: Iterable[CheckResult]) -> dict[str, str]:
    """Return the checks that failed: what each is about, and what it found."""
    return {check.about: check.found for check in checks if not check.held}


def test_status_shows_runs_versions_verdicts_and_findings(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """Last runs have links, versions have aliases and verdicts, and the last verdict and the findings follow."""
    code, out, err = call(capsys, "status", "--env", "staging", "--remote")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "succeeded" in lines["air_time.monitoring"]
    assert f"/runs/{staging.runs[-1]}" in lines["air_time.monitoring"]
    assert "never ran" in lines["air_time.delivery"]
    champion = staging.lakehouse.models.by_alias(AIR_TIME.model, "champion")
    row = lines[str(champion.number)]
    assert "champion" in row
    assert champion.tags["estimator"] in row
    assert champion.tags["trained_until"][:10] in row
    assert "requested" in row
    assert "promote" in row
    assert "last verdict (" in out
    assert "metric_fell" in out
    assert "The error has grown." in out


def test_status_says_that_it_is_the_data_where_a_delivery_was_not_taken(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse, tmp_path: Path
) -> None:
    """The features job really fails, on a folder without the feed: the status quotes what its task has recorded, as a matter of data.

    Who may not read tables is told which job failed. Both are told the run-book; who may read tables, that the feed's team acts first.
    """
    path = staging.path(AIR_TIME.table("runs"))
    before = DeltaTable(path).version()
    (job_id,) = (one.job_id for one in staging.server.held.jobs if one.settings.name == "air_time.features")
    run = staging.start(job_id, {"job_parameters": {"location": str(tmp_path), "until": "2013-03-20"}})
    staging.server.held.runs[run].pop(0)
    code, out, _ = call(capsys, "status", "--env", "staging", "--remote")
    (line,) = (one for one in out.splitlines() if one.startswith("what to look at: "))
    staging.server.statement = _refused
    blind, seen, _ = call(capsys, "status", "--env", "staging", "--remote")
    DeltaTable(path).restore(before)
    assert (code, line.startswith("what to look at: data: air_time.features: no ")) == (0, True), line
    assert str(tmp_path) in line
    assert blind == 3
    assert "what to look at: platform: air_time.features failed last; repair that before you read findings" in seen
    for text, whose in ((out, f"team {AIR_TIME.team}"), (seen, "ML engineer")):
        assert re.search(rf"today +a job failed +{whose} +docs/run-books\.md#a-job-that-failed", text)


def _refused(_text: str, _catalog: str) -> StatementResult:
    raise RefusalError(400, "BAD_REQUEST", "[INSUFFICIENT_PERMISSIONS] User does not have SELECT on the table")


def test_status_without_rights_on_the_tables_shows_the_runs(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """The exit code is 3, the jobs are shown, and the error is the one of the warehouse."""
    staging.server.statement = _refused
    code, out, err = call(capsys, "status", "--env", "staging", "--remote")
    assert code == 3
    assert "air_time.training" in out
    assert "INSUFFICIENT_PERMISSIONS" in err


def test_smoke_passes_on_an_environment_as_released(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """Exit code 0; it sends only requests that read and only SELECT statements."""
    staging.server.asked.clear()
    staging.server.sent.clear()
    code, out, err = call(capsys, "smoke", "--env", "staging", "--remote", "--wheel", WHEEL, "--schedules", "paused")
    assert (code, err) == (0, "")
    assert "identity" in out
    assert "releases@meridian-air.example" in out
    assert all(asked.startswith(("GET", "HEAD")) or asked.endswith("/sql/statements") for asked in staging.server.asked)
    assert all(body["statement"].startswith("SELECT ") for body in staging.server.bodies("/sql/statements"))


def broken_job(change: Callable[[LoopbackWorkspace, jobs.Job], object]) -> Break:
    """Return a function that breaks the deployed job training."""

    def change_it(server: LoopbackWorkspace) -> None:
        (training,) = (one for one in server.held.jobs if one.settings.name == "air_time.training")
        change(server, training)

    return change_it


def champion_alias(number: int) -> Break:
    """Return a function that sets the alias champion to a version, which need not exist."""

    def change_it(server: LoopbackWorkspace) -> None:
        server.held.models["staging.air_time_models.air_time"].aliases = [
            catalog.RegisteredModelAlias(alias_name="champion", version_num=number)
        ]

    return change_it


def task_of(one: jobs.Job, key: str) -> jobs.Task:
    """Return a task of a deployed job."""
    assert one.settings is not None
    return next(task for task in one.settings.tasks or () if task.task_key == key)


OTHER_WHEEL = wheel_path("staging", "lakehouse_mlops-0.1.0+gffffffffffff-py3-none-any.whl")
BREAKS = {
    "a job is missing": (broken_job(lambda s, one: s.held.jobs.remove(one)), "job air_time.training", "deployed 0 times"),
    "a job is there twice": (
        broken_job(lambda s, one: s.held.jobs.append(jobs.Job(job_id=999, settings=one.settings))),
        "job air_time.training", "deployed 2 times (ids 101, 999)",
    ),
    "a job of another environment": (
        broken_job(lambda _s, one: one.settings.tags.update(environment="dev")), "job air_time.training",
        "its tag environment is dev, not staging",
    ),
    "a task is missing": (
        broken_job(lambda _s, one: one.settings.tasks.remove(task_of(one, "serve"))), "job air_time.training", "task serve is not deployed",
    ),
    "one task has another wheel": (
        broken_job(lambda _s, one: setattr(one.settings.tasks[0].libraries[0], "whl", OTHER_WHEEL)),
        "wheel of all tasks", "air_time.training installs",
    ),
    "one task has no wheel": (
        broken_job(lambda _s, one: setattr(one.settings.tasks[0], "libraries", None)), "wheel of all tasks",
        "air_time.training installs",
    ),
    "the wheel is not there": (lambda s: s.held.files.clear(), "file of the wheel", "is not there"),
    "a schedule is running": (
        lambda s: setattr(s.held.jobs[0].settings.schedule, "pause_status", jobs.PauseStatus.UNPAUSED), "schedules",
        "is running, not paused",
    ),
    "a schedule is another": (
        lambda s: setattr(s.held.jobs[0].settings.schedule, "quartz_cron_expression", "0 0 0 * * ?"), "schedules",
        "is scheduled 0 0 0 * * ?, declared 0 15 * * * ?",
    ),
    "a schedule that nobody declared": (
        broken_job(lambda s, one: setattr(one.settings, "schedule", s.held.jobs[0].settings.schedule)), "schedules",
        "declared never",
    ),
    "the champion's version is gone": (champion_alias(77), "champion of air_time", "version 77 is not there or not ready"),
    "the model is gone": (lambda s: s.held.models.clear(), "champion of air_time", "is not registered"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_smoke_finds_each_deviation_from_the_release(staging: DeployedLakehouse, remote: Remote, name: str) -> None:
    """One deviation fails exactly one check, whose text says what is wrong."""
    break_it, about, message = BREAKS[name]
    files = set(staging.server.held.files)
    break_it(staging.server)
    wrong = held(smoke(remote, (AIR_TIME,), wheel=WHEEL, schedules="paused"))
    staging.server.held.files.update(files)
    assert set(wrong) == {about}
    assert message in wrong[about]


def test_smoke_without_a_wheel_and_schedules_requires_that_all_jobs_agree(
    staging: DeployedLakehouse, remote: Remote
) -> None:
    """Any wheel and any state of the schedules pass, as long as all jobs have the same."""
    assert held(smoke(remote, (AIR_TIME,))) == {}
    staging.server.held.jobs[0].settings.tasks[0].libraries[0].whl = OTHER_WHEEL
    staging.server.held.jobs[0].settings.schedule.pause_status = jobs.PauseStatus.UNPAUSED
    wrong = held(smoke(remote, (AIR_TIME,)))
    assert set(wrong) == {"wheel of all tasks", "schedules"}
    assert "some schedules are running and others paused" in wrong["schedules"]


def test_smoke_reports_every_failed_check_at_once(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """The exit code is 4, which no crash has, with one line for each failed check."""
    staging.server.held.jobs.pop(0)
    staging.server.held.models.clear()
    code, out, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 4
    assert "job air_time.features: deployed 0 times instead of once" in err
    assert "champion of air_time" in err
    assert "checks hold" in out


def test_smoke_passes_on_an_environment_that_has_not_run_yet(staging: DeployedLakehouse, remote: Remote) -> None:
    """A missing champion and missing tables fail no check."""
    staging.server.held.models["staging.air_time_models.air_time"].aliases = []

    def absent(_text: str, _catalog: str) -> StatementResult:
        raise RefusalError(400, "BAD_REQUEST", "[TABLE_OR_VIEW_NOT_FOUND] no such table")

    staging.server.statement = absent
    checks = tuple(smoke(remote, (AIR_TIME,), wheel=WHEEL))
    assert held(checks) == {}
    assert {check.found for check in checks if check.about.startswith("table ")} == {"not written yet"}


def test_smoke_fails_for_a_table_that_must_not_be_read(staging: DeployedLakehouse, remote: Remote) -> None:
    """Exactly the check of this table fails."""
    answer = staging.statement

    def refused(text: str, name: str) -> StatementResult:
        if "`air_time_inference`.`predictions`" in text:
            raise RefusalError(400, "BAD_REQUEST", "[INSUFFICIENT_PERMISSIONS] User does not have SELECT")
        return answer(text, name)

    staging.server.statement = refused
    wrong = held(smoke(remote, (AIR_TIME,)))
    assert set(wrong) == {"table air_time_inference.predictions"}


def test_smoke_with_an_expired_login_ends_with_3_and_not_with_4(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """Exit code 4, which causes a rollback, is for failed checks only, such as a missing right on the model."""
    expired = RefusalError(401, "UNAUTHENTICATED", "the token has expired")
    staging.server.faults = [Fault("unity-catalog/models", expired)]
    code, _, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 3
    assert "does not accept the login" in err
    staging.server.faults = [Fault("unity-catalog/models", RefusalError(403, "PERMISSION_DENIED", "no EXECUTE"))]
    code, _, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 4
    assert "champion of air_time" in err


@pytest.mark.parametrize("path", ["/scim/v2/Me", "/jobs/get", "/unity-catalog/models"])
def test_smoke_with_an_answer_of_another_form_ends_with_3(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A proxy, for example, may answer instead of the workspace; the error is a sentence without a class name."""
    answer = staging.server.answer
    monkeypatch.setattr(staging.server, "answer", lambda *asked: [] if path in asked[1] else answer(*asked))
    code, _, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 3
    assert f"{staging.server.host} gave an answer that cannot be read (could not " in err
    assert "Error" not in err


@pytest.mark.parametrize(
    ("command", "path", "answer"),
    [
        ("status", "/jobs/runs/list", {"runs": None}),
        ("status", "/jobs/list", {"jobs": None}),
        ("smoke", "/jobs/list", {"jobs": None}),
        ("integration", "/jobs/runs/list", {"runs": None}),
        ("integration", "/jobs/list", {"jobs": "none"}),
    ],
)
def test_every_remote_command_ends_with_3_on_an_answer_of_another_form(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse, monkeypatch: pytest.MonkeyPatch, command: str,
    path: str, answer: dict[str, object],
) -> None:  # fmt: skip
    """In one sentence that says what was asked, and nothing was started."""
    monkeypatch.setattr("pipelines.commands.integration.use_cases", lambda: (AIR_TIME,), raising=False)
    right, runs = staging.server.answer, len(staging.server.held.runs)
    monkeypatch.setattr(staging.server, "answer", lambda *asked: answer if path in asked[1] else right(*asked))
    code, _, err = call(capsys, command, "--env", "staging", "--remote")
    assert code == 3, err
    assert "gave an answer that cannot be read (could not " in err
    assert "NoneType" not in err
    assert len(staging.server.held.runs) == runs


def test_the_audit_log_of_a_workspace_is_told_which_version_asked(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """It is the one that the project states, so that a release needs to change no second place."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    staging.server.agents.clear()
    assert call(capsys, "status", "--env", "staging", "--remote")[0] == 0
    named = {agent.split(" ")[0] for agent in staging.server.agents} - {
        "unknown/0.0.0"
    }  # of the SDK, before it logs in
    assert named == {f"{project['name']}/{project['version']}"}


def test_smoke_of_another_environments_workspace_ends_with_2(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """It says nothing about the release, so no pipeline takes prod back for it."""
    for job in staging.server.held.jobs:
        job.settings.tags.update(environment="dev")
    code, out, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 2
    assert "is not the workspace of staging: its jobs bear the tag environment=dev." in err
    assert "checks hold" not in out


def test_smoke_of_a_workspace_with_neither_jobs_nor_catalog_ends_with_2(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """A workspace that sees the catalog and has lost its jobs is the right one: that is a release which is broken."""
    staging.server.held.jobs.clear()
    assert call(capsys, "smoke", "--env", "staging", "--remote")[0] == 4
    staging.server.held.catalogs = set()
    code, _, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 2
    assert "it has none of the jobs and sees no catalog 'staging'" in err


@pytest.mark.usefixtures("staging")
def test_smoke_without_the_sdk_ends_with_3(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken agent says nothing about the release."""
    monkeypatch.setitem(sys.modules, "pipelines.remote.connection", None)
    code, _, err = call(capsys, "smoke", "--env", "staging", "--remote")
    assert code == 3
    assert "staging could not be asked: " in err


def test_smoke_knows_the_wheels_of_serverless_jobs(staging: DeployedLakehouse, remote: Remote) -> None:
    """The wheel is read from the environment of the job where its tasks have no libraries."""
    for job in staging.server.held.jobs:
        for task in job.settings.tasks:
            if task.python_wheel_task:
                task.libraries, task.environment_key = None, "job"
        spec = compute.Environment(environment_version="4", dependencies=[wheel_path("staging")])
        job.settings.environments = [jobs.JobEnvironment(environment_key="job", spec=spec)]
    assert held(smoke(remote, (AIR_TIME,), wheel=WHEEL)) == {}
    staging.server.held.jobs[0].settings.environments[0].spec.dependencies = [OTHER_WHEEL]
    assert set(held(smoke(remote, (AIR_TIME,), wheel=WHEEL))) == {"wheel of all tasks"}


def test_deployed_and_local_integration_count_the_same(staging: DeployedLakehouse, remote: Remote) -> None:
    """SQL on the warehouse gives the counts and days that the local tables give."""
    results = [
        RunResult(run_id=run_id, job=step.job.address, link="", phase=Phase.SUCCEEDED, message="", tasks=())
        for run_id, step in zip(staging.runs, staging.steps, strict=True)
    ]
    ended = list(zip(staging.steps, results, strict=True))
    there = deployed_tables.read_contents(remote, Sql(remote), AIR_TIME, ended, since=LIVED)
    training = staging.runs[[step.job.name for step in staging.steps].index("training")]
    here = local.read_contents(staging.lakehouse, AIR_TIME, str(training))
    by_name = {"ingested": lambda one: one.source, "measured": lambda one: one.metric}
    for field in dataclasses.fields(here):
        one, other = getattr(there, field.name), getattr(here, field.name)
        if field.name in by_name:
            one, other = sorted(one, key=by_name[field.name]), sorted(other, key=by_name[field.name])
        assert one == other, field.name
    assert here.predictions > 10_000
    before = AIR_TIME.integration.until
    days = deployed_tables.count_days(remote, Sql(remote), AIR_TIME, before=before)
    assert set(days) == set(local.count_days(staging.lakehouse, AIR_TIME, before=before))
    assert (min(one.day for one in days), max(one.day for one in days)) == (dt.date(2013, 1, 1), dt.date(2013, 3, 11))
    assert all(0 < one.labelled <= one.requests for one in days if one.day < dt.date(2013, 3, 1))
    assert len(here.measured) == 7


@pytest.mark.parametrize(("meaning", "positive"), [(0.0, False), (1.0, True)])
def test_no_outcome_counts_as_the_label_that_it_means_once_it_is_due(
    staging: DeployedLakehouse, remote: Remote, monkeypatch: pytest.MonkeyPatch, meaning: float, positive: bool
) -> None:
    """There and here: outcomes that come too late are none, and nothing is said of requests that are due after the newest one."""
    stated, before = dataclasses.replace(AIR_TIME, without_outcome=meaning), AIR_TIME.integration.until
    for a_day in (DAY_SECONDS, 1):  # within seconds no outcome is known
        for module in (deployed_tables, local):
            monkeypatch.setattr(module, "DAY_SECONDS", a_day)
        days = deployed_tables.count_days(remote, Sql(remote), stated, before=before)
        assert set(days) == set(local.count_days(staging.lakehouse, stated, before=before))
        *due, newest = sorted((one for one in days if one.labelled), key=lambda one: one.day)
        assert len(due) > 50
        assert newest.labelled <= newest.requests
    assert all((one.labelled, one.positives) == (one.requests, one.requests * positive) for one in due)
    plain = local.count_days(staging.lakehouse, AIR_TIME, before=before)
    assert sum(one.labelled for one in plain) == 0


@pytest.mark.proof
def test_an_integration_run_passes_and_restores_everything(
    staging: DeployedLakehouse, remote: Remote, said: list[str]
) -> None:
    """Every job runs again; tables, aliases and versions are afterwards as before."""
    before = content(staging)
    models = dict(staging.server.held.models)
    aliases = sorted((one.alias_name, one.version_num) for one in models["staging.air_time_models.air_time"].aliases)
    versions = set(staging.server.held.versions)
    ran = len(staging.jobs_ran)
    checks = integrate(remote, AIR_TIME, show=lambda _task: None)
    assert held(checks) == {}
    names = [name.partition(".")[2] for name, _ in staging.jobs_ran[ran:]]
    assert names == ["features", "training", "features", "scoring", "monitoring"]
    assert content(staging) == before
    after = staging.server.held.models["staging.air_time_models.air_time"].aliases
    assert sorted((one.alias_name, one.version_num) for one in after) == aliases
    assert set(staging.server.held.versions) == versions
    assert "before, at " in said[0]
    assert "champion is version" in said[0]
    assert any("versions 3, 4 are deleted" in line for line in said)


def test_a_failed_integration_run_restores_everything_as_well(
    staging: DeployedLakehouse, remote: Remote, said: list[str]
) -> None:
    """The first job fails after it has written: no further job runs, one check fails, and the tables are as before."""
    before = content(staging)
    staging.fail = {"air_time.features"}
    checks = integrate(remote, AIR_TIME, show=lambda _task: None)
    assert list(held(checks)) == ["job air_time.features"]
    assert content(staging) == before
    assert any(re.search(r"clean-up of the tables: (\d+) of \1 are as before", line) for line in said)


def test_commits_of_another_run_are_never_undone(staging: DeployedLakehouse, remote: Remote) -> None:
    """A table with a commit of another run is named and left as it is; all other tables are restored."""
    before = snapshots.snapshot(remote, Sql(remote), AIR_TIME)
    verdicts, runs = (AIR_TIME.table(name) for name in ("verdicts", "runs"))
    for table in (verdicts, runs):
        stored = DeltaTable(staging.path(table))
        write_deltalake(stored, stored.to_pyarrow_table().slice(0, 1), mode="append")
        staging.commits[(staging.path(table), stored.version())] = 900 if table is runs else 901
    rows = DeltaTable(staging.path(verdicts)).to_pyarrow_table().num_rows
    wrong = held(snapshots.restore_snapshot(remote, Sql(remote), AIR_TIME, before, {900}))
    assert set(wrong) == {"clean-up of the tables", f"clean-up of table {verdicts.address}"}
    assert f"{len(before.versions) - 1} of {len(before.versions)} are as before" in wrong["clean-up of the tables"]
    assert "(WRITE) are not of these runs" in wrong[f"clean-up of table {verdicts.address}"]
    assert DeltaTable(staging.path(verdicts)).to_pyarrow_table().num_rows == rows
    assert snapshots.snapshot(remote, Sql(remote), AIR_TIME).versions[runs.address] == before.versions[runs.address] + 2
    DeltaTable(staging.path(verdicts)).restore(before.versions[verdicts.address])


def test_an_alias_moved_by_another_run_is_left(staging: DeployedLakehouse, remote: Remote) -> None:
    """An alias that points to another earlier version stays, and no version is deleted."""
    before = snapshots.snapshot(remote, Sql(remote), AIR_TIME)
    name = "staging.air_time_models.air_time"
    champion = before.models.aliases["champion"]
    other = next(number for number in before.models.numbers if number != champion)
    staging.server.held.models[name].aliases = [catalog.RegisteredModelAlias(alias_name="champion", version_num=other)]
    staging.server.held.versions[(name, 50)] = catalog.ModelVersionInfo(version=50)
    wrong = held(snapshots.restore_snapshot(remote, Sql(remote), AIR_TIME, before, set()))
    assert staging.server.held.versions.pop((name, 50)).version == 50
    assert "somebody else has moved champion meanwhile" in wrong["clean-up of the model"]


def test_ctrl_c_in_an_integration_run_cancels_it_and_restores_the_tables(
    staging: DeployedLakehouse, remote: Remote, said: list[str]
) -> None:
    """The current run is cancelled first, and its commits are undone as well."""
    before = content(staging)
    staging.fail = {"air_time.features"}
    remote.clock._clock.interrupt_at = 1
    with pytest.raises(InterruptedRunError, match="was cancelled"):
        integrate(remote, AIR_TIME, show=lambda _task: None)
    assert content(staging) == before
    assert any(re.search(r"clean-up of the tables: (\d+) of \1 are as before", line) for line in said)


def test_nothing_is_restored_while_a_run_could_not_be_stopped(
    staging: DeployedLakehouse, remote: Remote, said: list[str]
) -> None:
    """No RESTORE is sent, because the run may still be writing, and the message says so."""
    staging.fail = {"air_time.features"}
    remote.clock._clock.interrupt_at = 1
    staging.server.faults = [Fault("runs/cancel", RefusalError(403, "PERMISSION_DENIED", "User cannot manage the run"))]
    staging.server.sent.clear()
    start = staging.start

    def start_and_keep_running(job_id: int, body: Mapping[str, Any]) -> int:
        run_id = start(job_id, body)
        del staging.server.held.runs[run_id][1:]
        return run_id

    staging.server.start_job = start_and_keep_running
    with pytest.raises(InterruptedRunError, match="may still be running"):
        integrate(remote, AIR_TIME, show=lambda _task: None)
    staging.server.start_job = start
    assert "nothing was put back: run" in said[-1]
    assert not any("RESTORE" in body["statement"] for body in staging.server.bodies("/sql/statements"))


def test_a_table_with_more_commits_than_are_read_is_left(
    staging: DeployedLakehouse, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authors of the older commits are unknown, so the table is named and not restored."""
    before = snapshots.snapshot(remote, Sql(remote), AIR_TIME)
    runs = AIR_TIME.table("runs")
    for _ in range(2):
        staging._write_something()
        staging.commits[(staging.path(runs), DeltaTable(staging.path(runs)).version())] = 900
    monkeypatch.setattr(snapshots, "HISTORY", 1)
    wrong = held(snapshots.restore_snapshot(remote, Sql(remote), AIR_TIME, before, {900}))
    assert "more than 1 commits since version" in wrong[f"clean-up of table {runs.address}"]


def test_commits_made_during_the_restore_are_reported(staging: DeployedLakehouse, remote: Remote) -> None:
    """A commit between reading the history and restoring is undone as well, and the check says so."""
    before = snapshots.snapshot(remote, Sql(remote), AIR_TIME)
    runs = AIR_TIME.table("runs")
    staging._write_something()
    staging.commits[(staging.path(runs), DeltaTable(staging.path(runs)).version())] = 900
    answer = staging.statement

    def somebody_is_quicker(text: str, name: str) -> StatementResult:
        if text.startswith("RESTORE"):
            staging._write_something()
        return answer(text, name)

    staging.server.statement = somebody_is_quicker
    wrong = held(snapshots.restore_snapshot(remote, Sql(remote), AIR_TIME, before, {900}))
    assert "and with it somebody's commits between" in wrong[f"clean-up of table {runs.address}"]


def test_an_integration_run_without_rights_on_the_history_does_not_start(
    staging: DeployedLakehouse, remote: Remote
) -> None:
    """The error is raised before any job has started."""

    def refused(text: str, name: str) -> StatementResult:
        if text.startswith("DESCRIBE HISTORY"):
            raise RefusalError(400, "BAD_REQUEST", "[INSUFFICIENT_PERMISSIONS] User does not have SELECT")
        return staging.statement(text, name)

    staging.server.statement = refused
    ran = len(staging.jobs_ran)
    with pytest.raises(RefusedError, match="does not allow you to run 'DESCRIBE HISTORY"):
        integrate(remote, AIR_TIME, show=lambda _task: None)
    assert len(staging.jobs_ran) == ran


def test_an_integration_run_does_not_start_during_another_run(staging: DeployedLakehouse, remote: Remote) -> None:
    """An active run of one of the jobs raises an error, and no job is started."""
    staging.server.held.runs[950] = [snapshot(950, RUNNING, job="air_time.scoring", job_id=102)]
    ran = len(staging.jobs_ran)
    with pytest.raises(BusyError, match=r"air_time\.scoring is running in staging .* would mix with it"):
        integrate(remote, AIR_TIME, show=lambda _task: None)
    assert len(staging.jobs_ran) == ran


@pytest.mark.parametrize("options", [(), ("--remote",)])
def test_an_integration_run_in_prod_is_refused(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse, options: tuple[str, ...]
) -> None:
    """Locally and remotely the exit code is 2, the error names smoke instead, and no request is sent."""
    staging.server.asked.clear()
    code, _, err = call(capsys, "integration", "--env", "prod", *options)
    assert code == 2
    assert "prod is what people rely on: run them in staging" in err
    assert "python -m pipelines smoke" in err
    assert staging.server.asked == []


def test_a_use_case_is_integrated_where_it_is_trained() -> None:
    """In another environment the error names the one in which the use case is trained."""
    from pipelines.declarations.environment import environment
    from pipelines.integration.steps import require_integrable

    only_in_dev = dataclasses.replace(AIR_TIME, trained_in=("dev",))
    with pytest.raises(DeclarationError, match="air_time is not trained in staging: run its integration in dev"):
        require_integrable(environment("staging"), only_in_dev)
    assert registry.use_case("air_time") is AIR_TIME


def test_an_integration_run_with_remote_and_root_is_refused(
    capsys: pytest.CaptureFixture[str], staging: DeployedLakehouse
) -> None:
    """The exit code is 2 and no request is sent, because the folder would not be used."""
    staging.server.asked.clear()
    code, _, err = call(capsys, "integration", "--env", "staging", "--remote", "--root", "here")
    assert code == 2
    assert "--root is about this machine" in err
    assert staging.server.asked == []


@pytest.mark.proof
def test_an_integration_run_on_this_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The run passes and keeps its folder; the same folder is refused a second time."""
    words = ("integration", "--env", "staging", "--use-case", "air_time", "--root", str(tmp_path / "kept"))
    code, out, err = call(capsys, *words)
    assert (code, err) == (0, "")
    assert re.search(r"integration of air_time as staging: (\d+) of \1 checks hold", out)
    assert (tmp_path / "kept" / "staging").is_dir()
    code, _, err = call(capsys, *words)
    assert code == 2
    assert "is not empty: name another folder" in err
