"""Jobs of the emulated workspaces really run: from the deployed wheel, as the identity of the job, with its grants alone."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType
from databricks.sdk.service.compute import Library
from databricks.sdk.service.jobs import (
    ConditionTask,
    ConditionTaskOp,
    JobParameterDefinition,
    JobRunAs,
    PythonWheelTask,
    Run,
    RunJobTask,
    Task,
    TaskDependency,
)

from infra.emulated_cloud.prepared import ANALYST, new_cloud
from infra.emulated_cloud.server import served
from infra.emulated_compute.compute import computing
from tests.infra.emulated_compute.small_wheel import NAME, small_wheel

DEV = "aaaaaaaa-0000-4000-8000-000000000001"
WHEEL = f"/Volumes/shop/deployment/releases/{NAME}"
SECONDS = 120


class Workspace:
    """The workspace of dev, with the wheel in its volume."""

    def __init__(self, hosts: dict[str, str], tokens: dict[str, Any]) -> None:
        self._hosts, self._tokens = hosts, tokens
        self.dev = self.client("dev")
        person = self.client("person")
        metastore = person.metastores.summary().metastore_id or ""
        person.grants.update(
            "metastore", metastore, changes=[PermissionsChange(add=[Privilege.CREATE_CATALOG], principal=DEV)]
        )
        self.dev.catalogs.create("shop")
        for schema in ("deployment", "bronze"):
            self.dev.schemas.create(schema, "shop")
        self.dev.volumes.create("shop", "deployment", "releases", VolumeType.MANAGED)
        self.dev.files.upload(WHEEL, io.BytesIO(small_wheel()))

    def client(self, who: str) -> WorkspaceClient:
        """Return a client of one identity."""
        return WorkspaceClient(host=self._hosts["dev"], token=self._tokens["identities"][who]["token"], auth_type="pat")

    def job(self, *tasks: Task, run_as: JobRunAs | None = None, **more: Any) -> int:
        """Create a job and return its number."""
        number = self.dev.jobs.create(name="job", tasks=list(tasks), run_as=run_as, **more).job_id
        assert number is not None
        return number

    def ended(self, run_id: int) -> Run:
        """Return a run once it has ended."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            run = self.dev.jobs.get_run(run_id)
            if run.state is not None and run.state.result_state is not None:
                return run
            time.sleep(0.1)
        raise AssertionError(f"run {run_id} has not ended")

    def run(self, number: int, **parameters: str) -> Run:
        """Run a job to its end."""
        return self.ended(self.dev.jobs.run_now(number, job_parameters=parameters or None).run_id)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A served cloud whose jobs run."""
    folder, cloud = tmp_path_factory.mktemp("cloud"), new_cloud()
    with served(cloud, folder / "served") as addresses, computing(cloud, folder / "compute", addresses.hosts):
        yield Workspace(addresses.hosts, json.loads(addresses.tokens.read_text(encoding="utf-8")))


def wheel_task(key: str, *words: str, needs: tuple[str, ...] = (), **more: Any) -> Task:
    """Return a task that calls the wheel's entry point."""
    return Task(
        task_key=key, depends_on=[TaskDependency(task_key=need) for need in needs],
        python_wheel_task=PythonWheelTask(package_name="small", entry_point="small", parameters=list(words)),
        libraries=[Library(whl=WHEEL)], **more,
    )  # fmt: skip


def results(run: Run) -> dict[str, str]:
    """Return how each task has ended."""
    return {
        task.task_key: task.state.result_state.value
        for task in run.tasks or []
        if task.state and task.state.result_state
    }


def failure(workspace: Workspace, run: Run) -> str:
    """Return what the first failed task says."""
    failed = next(task for task in run.tasks or [] if results(run)[task.task_key] == "FAILED")
    return str(workspace.dev.jobs.get_run_output(failed.run_id or 0).error)


def test_a_task_writes_as_the_jobs_identity_which_owns_what_it_creates(workspace: Workspace) -> None:
    """The table is in the catalog with the owner, and its file where the engine keeps it."""
    run = workspace.run(workspace.job(wheel_task("write", "create", "shop.bronze.orders")))
    assert results(run) == {"write": "SUCCESS"}
    assert workspace.dev.tables.get("shop.bronze.orders").owner == DEV


def test_a_task_without_the_grant_fails_and_names_it(workspace: Workspace) -> None:
    """The same wheel, run as somebody who has one privilege more each time."""
    workspace.run(workspace.job(wheel_task("write", "create", "shop.bronze.grants")))
    number = workspace.job(
        wheel_task("read", "read", "shop.bronze.grants"), run_as=JobRunAs(user_name=ANALYST.principal)
    )
    missing = []
    for kind, name, privilege in (
        ("catalog", "shop", Privilege.USE_CATALOG), ("schema", "shop.bronze", Privilege.USE_SCHEMA),
        ("table", "shop.bronze.grants", Privilege.SELECT),
    ):  # fmt: skip
        missing.append(failure(workspace, workspace.run(number)))
        workspace.dev.grants.update(
            kind, name, changes=[PermissionsChange(add=[privilege], principal=ANALYST.principal)]
        )
    assert [text.split(" have ")[1].split(" on ")[0] for text in missing] == ["USE CATALOG", "USE SCHEMA", "SELECT"]
    assert results(workspace.run(number)) == {"read": "SUCCESS"}


def test_reading_is_not_writing(workspace: Workspace) -> None:
    """Who may select may not append."""
    workspace.run(workspace.job(wheel_task("write", "create", "shop.bronze.closed")))
    for kind, name, privilege in (
        ("catalog", "shop", Privilege.USE_CATALOG), ("schema", "shop.bronze", Privilege.USE_SCHEMA),
        ("table", "shop.bronze.closed", Privilege.SELECT),
    ):  # fmt: skip
        workspace.dev.grants.update(
            kind, name, changes=[PermissionsChange(add=[privilege], principal=ANALYST.principal)]
        )
    run = workspace.run(
        workspace.job(wheel_task("add", "append", "shop.bronze.closed"), run_as=JobRunAs(user_name=ANALYST.principal))
    )
    assert "does not have MODIFY on Table 'shop.bronze.closed'" in failure(workspace, run)


def test_values_reach_conditions_and_other_jobs(workspace: Workspace) -> None:
    """The branch that is not taken is left out, and the job of the other one is run with the value."""
    other = workspace.job(
        wheel_task("show", "value", "{{job.parameters.rows}}"),
        parameters=[JobParameterDefinition(name="rows", default="0")],
    )
    condition = ConditionTask(op=ConditionTaskOp.GREATER_THAN, left="{{tasks.count.values.rows}}", right="2")
    run = workspace.run(workspace.job(
        wheel_task("count", "value", "3"),
        Task(task_key="enough", condition_task=condition, depends_on=[TaskDependency(task_key="count")]),
        Task(task_key="go", run_job_task=RunJobTask(job_id=other, job_parameters={"rows": "{{tasks.count.values.rows}}"}),
             depends_on=[TaskDependency(task_key="enough", outcome="true")]),
        Task(task_key="stop", run_job_task=RunJobTask(job_id=other), depends_on=[TaskDependency(task_key="enough", outcome="false")]),
    ))  # fmt: skip
    assert results(run) == {"count": "SUCCESS", "enough": "SUCCESS", "go": "SUCCESS", "stop": "EXCLUDED"}
    started = next(iter(workspace.dev.jobs.list_runs(job_id=other)))
    assert workspace.dev.jobs.get_run(started.run_id or 0).job_parameters[0].value == "3"  # type: ignore[index] # it has one


def test_a_failed_task_is_tried_again_as_often_as_the_job_says(workspace: Workspace, tmp_path: Path) -> None:
    """The second attempt succeeds; without retries the run fails, and a repair runs the failed task alone."""
    run = workspace.run(workspace.job(wheel_task("once_more", "flaky", str(tmp_path / "a"), max_retries=1)))
    assert results(run) == {"once_more": "SUCCESS"}
    assert [task.attempt_number for task in run.tasks or []] == [1]
    number = workspace.job(
        wheel_task("first", "value", "1"), wheel_task("second", "flaky", str(tmp_path / "b"), needs=("first",))
    )
    failed = workspace.run(number)
    assert results(failed) == {"first": "SUCCESS", "second": "FAILED"}
    workspace.dev.jobs.repair_run(failed.run_id or 0, rerun_tasks=["second"])
    assert results(workspace.ended(failed.run_id or 0)) == {"first": "SUCCESS", "second": "SUCCESS"}


def test_a_cancelled_run_ends_what_it_was_doing(workspace: Workspace) -> None:
    """The run ends long before the task would have ended by itself."""
    run = workspace.dev.jobs.run_now(workspace.job(wheel_task("wait", "sleep")))
    while workspace.dev.jobs.get_run(run.run_id).tasks[0].state.life_cycle_state.value != "RUNNING":  # type: ignore[index, union-attr] # it has one
        time.sleep(0.1)
    workspace.dev.jobs.cancel_run(run.run_id)
    assert results(workspace.ended(run.run_id)) == {"wait": "CANCELED"}


def test_a_task_reads_the_files_of_volumes(workspace: Workspace) -> None:
    """Below the path that they have on the platform."""
    workspace.dev.files.upload("/Volumes/shop/deployment/releases/note.txt", io.BytesIO(b"delivered"))
    run = workspace.run(workspace.job(wheel_task("show", "volume", "/Volumes/shop/deployment/releases/note.txt")))
    assert "delivered" in str(workspace.dev.jobs.get_run_output((run.tasks or [])[0].run_id or 0).logs)


def test_a_library_that_is_not_there_fails_the_task(workspace: Workspace) -> None:
    """Its name is in the error."""
    task = wheel_task("run", "value", "1")
    task.libraries = [Library(whl="/Volumes/shop/deployment/releases/none.whl")]
    assert "none.whl was not found" in failure(workspace, workspace.run(workspace.job(task)))
