"""What the pipelines `release` and `nightly` run: approved, broken, cancelled, or with a finding."""

import base64
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.azure_pipelines.played import commands_of, published
from infra.azure_pipelines.shape import every_job
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import Pipelines
from tests.azuredevops.scenarios import jobs, night, ran, release, texts


def test_a_tag_shows_the_saved_plan_and_applies_exactly_that_plan(pipelines: Pipelines) -> None:
    """The hash that is applied is the one shown before the approval, and nothing is planned again."""
    stages = release(pipelines)
    assert jobs(stages["review"]) == {"plan": "Succeeded", "keep": "Succeeded"}
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Succeeded",
        "go_back": "Skipped",
        "released": "Succeeded",
    }
    shown = texts(stages, "review")
    assert "output.sh sha256,wheel .venv/bin/python -m infra kept build/plan" in shown
    assert shown.index("output.sh sha256 .venv/bin/python -m infra wheel\n") < shown.index(
        "cmp dist/*.whl build/wheel/*.whl"
    )
    output = texts(stages, "prod")
    assert "infra apply prod --plan build/plan --sha256 3c --maximum-age 24h" in output
    assert "smoke.sh prod the.whl" in output
    assert "infra plan" not in output
    assert "infra rollback" not in output
    assert "##vso[build.addbuildtag]released" in output


def test_a_release_without_a_wheel_runs_the_same_steps(pipelines: Pipelines) -> None:
    """The stacks are made with the tested wheel, and the smoke test expects no wheel in the jobs."""
    stages = release(pipelines, wheel="none")
    assert jobs(stages["prod"])["released"] == "Succeeded"
    output = texts(stages, "prod")
    assert 'sha256sum dist/*.whl | grep "^1a "' in output
    assert "smoke.sh prod none" in output


def test_a_broken_release_without_a_wheel_is_not_rolled_back(pipelines: Pipelines) -> None:
    """The run fails without a rollback, because no job has changed."""
    stages = release(pipelines, wheel="none", failing=("prod.smoke.Smoke",), smoke="broken")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Skipped",
        "released": "Skipped",
    }


def test_a_release_that_nobody_approves_in_time_is_not_tagged_as_released(pipelines: Pipelines) -> None:
    """No build tag is set, although the service reports such a run as succeeded."""
    stages = release(pipelines, timed_out=True)
    assert ran(stages) == ["review"]
    assert "addbuildtag" not in "".join(step.text for _, step in commands_of(stages))


def test_a_failed_smoke_test_rolls_prod_back(pipelines: Pipelines) -> None:
    """The rollback runs, the run fails, and it is not tagged as released."""
    stages = release(pipelines, failing=("prod.smoke.Smoke",), smoke="broken")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Succeeded",
        "released": "Skipped",
    }
    assert "infra rollback prod" in texts(stages, "prod")
    assert stages["prod"].result == "Failed"


def test_an_unreachable_workspace_causes_no_rollback(pipelines: Pipelines) -> None:
    """The run fails without a rollback when nothing is known about the release."""
    stages = release(pipelines, failing=("prod.smoke.Smoke",), smoke="unknown")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Skipped",
        "released": "Skipped",
    }


def test_a_set_up_that_failed_before_the_smoke_test_causes_no_rollback(pipelines: Pipelines) -> None:
    """The run fails without a rollback."""
    stages = release(pipelines, failing=("prod.smoke.Install the locked requirements",))
    assert jobs(stages["prod"])["go_back"] == "Skipped"
    assert stages["prod"].result == "Failed"


@pytest.mark.parametrize("step", ["Hold the wheel to its hash", "Take plan-prod", "Apply plan $(planSha256)"])
def test_a_plan_that_was_not_applied_is_neither_tested_nor_rolled_back(pipelines: Pipelines, step: str) -> None:
    """After a failed apply the smoke test, the rollback and the tag are all skipped."""
    stages = release(pipelines, failing=(f"prod.apply.{step}",))
    assert jobs(stages["prod"]) == {
        "apply": "Failed",
        "smoke": "Skipped",
        "go_back": "Skipped",
        "released": "Skipped",
    }


@pytest.mark.parametrize("step", ["Take plan-prod", "What would be done to prod", "Build the wheel again",
                                  "Compare it with the one that was tried"])  # fmt: skip
def test_a_commit_without_a_tested_plan_and_wheel_never_reaches_the_approval(pipelines: Pipelines, step: str) -> None:
    """The stage of prod does not run if the plan is missing or altered, or the wheel differs from the tested one."""
    assert ran(release(pipelines, failing=(f"review.plan.{step}",))) == ["review"]


def test_a_cancelled_release_is_neither_tagged_nor_rolled_back(pipelines: Pipelines) -> None:
    """The cancellation may come during the apply or during the smoke test."""
    for job in ("prod.apply", "prod.smoke"):
        stages = release(pipelines, cancelled_in=job)
        assert jobs(stages["prod"])["released"] == "Skipped"
        assert jobs(stages["prod"])["go_back"] == "Skipped"
        assert stages["prod"].result == "Canceled"


def test_nightly_checks_every_environment(pipelines: Pipelines) -> None:
    """It checks the drift of all stacks, the status of all environments, the waivers and the dependencies."""
    stages = night(pipelines)
    assert all(stage.result == "Succeeded" for stage in stages.values())
    output = "\n".join(texts(stages, name) for name in stages)
    for place in ("account", *ENVIRONMENTS):
        assert f"infra drift {place}" in output
    for environment in ENVIRONMENTS:
        assert f"pipelines status --env {environment} --remote" in output
    assert "infra waivers --within 14d" in output
    assert "make audit" in output


@pytest.mark.parametrize("failing", ["drift_dev.drift.Drift", "status_prod.status.Status", "audit.audit.Audit",
                                     "waivers.waivers.Waivers"])  # fmt: skip
def test_a_finding_in_one_stage_does_not_stop_the_others(pipelines: Pipelines, failing: str) -> None:
    """Every stage but the failed one succeeds."""
    stages = night(pipelines, failing=failing)
    assert [name for name, stage in stages.items() if stage.result != "Succeeded"] == [failing.partition(".")[0]]


def test_nightly_skips_unconnected_environments(pipelines: Pipelines) -> None:
    """Their stages for drift and status are skipped."""
    stages = night(pipelines, without=("prod", "account"))
    assert [name for name, stage in stages.items() if stage.result == "Skipped"] == [
        "drift_account", "drift_prod", "status_prod",
    ]  # fmt: skip


def test_a_workspace_is_found_by_the_resource_id_that_its_platform_stack_gives_it(pipelines: Pipelines) -> None:
    """The step passes the Azure resource id, from which the Databricks SDK finds the address."""
    stages = night(pipelines)
    (step,) = [step for where, step in commands_of(stages) if where == "status_dev.status" and "status" in step.text]
    assert step.env == {
        "DATABRICKS_AZURE_RESOURCE_ID": "/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/resourceGroups/rg-mrd-dev"
        "/providers/Microsoft.Databricks/workspaces/dbw-mrd-dev"
    }


def test_a_release_keeps_its_evidence_before_anybody_approves_it(pipelines: Pipelines) -> None:
    """Plan and wheel are artifacts of its own run, which has a lease; without the lease nothing reaches prod."""
    stages = release(pipelines)
    assert published(stages) == {"shown-plan-1", "tried-wheel-1", "released-1"}
    assert ran(release(pipelines, failing=("review.keep.Lease",))) == ["review"]


def test_the_step_with_the_token_runs_no_code_of_the_tagged_commit(pipelines: Pipelines) -> None:
    """Its job checks nothing out, and its command is in the template, which is that of main."""
    (job,) = [job for where, _, job in every_job(pipelines["release"]) if where == "review.keep"]
    checkout, lease = job["steps"]
    assert checkout == {"checkout": "none"}
    assert not re.search(r"\.azuredevops|\.venv|python|make ", lease["bash"])


def test_the_lease_is_one_that_the_service_takes(pipelines: Pipelines, tmp_path: Path) -> None:
    """The command is run as it is written, against a server of this test: its body has the fields of a new lease."""
    got: dict[str, Any] = {}

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            got.update(path=self.path, sign_in=self.headers["Authorization"], body=json.loads(self.rfile.read(size)))
            self.send_response(got.get("status", 200))
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    (job,) = [job for where, _, job in every_job(pipelines["release"]) if where == "review.keep"]
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        given = {
            "PATH": os.environ["PATH"], "SYSTEM_COLLECTIONURI": f"http://127.0.0.1:{server.server_port}/meridian/",
            "SYSTEM_TEAMPROJECTID": "p1", "SYSTEM_DEFINITIONID": "3", "BUILD_BUILDID": "77", "SYSTEM_ACCESSTOKEN": "of-this-run",
        }  # fmt: skip
        words = ["bash", "-c", job["steps"][1]["bash"]]
        done = subprocess.run(words, env=given, cwd=tmp_path, capture_output=True, text=True, check=False)
        got["status"] = 403
        refused = subprocess.run(words, env=given, cwd=tmp_path, capture_output=True, text=True, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert refused.returncode != 0
    assert got["path"] == "/meridian/p1/_apis/build/retention/leases?api-version=7.1"
    assert base64.b64decode(got["sign_in"].removeprefix("Basic ")) == b":of-this-run"
    (lease,) = got["body"]
    assert lease == {"daysValid": 730, "definitionId": 3, "runId": 77, "ownerId": "Pipeline:3", "protectPipeline": True}
