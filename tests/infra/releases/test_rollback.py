"""Rollback to the previous release with the real Terraform, real wheels and a repository with a history, offline."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.build.release import ROOT, current_release
from infra.build.reproducible_wheel import build_wheel
from infra.releases.applying import ApplyResult, ReleaseRefusedError, apply_saved_plan
from infra.releases.drift import Drift, drift
from infra.releases.ledger import FileLedger
from infra.releases.rebuild import RebuildError, synthesize_checkout
from infra.releases.record import RecordKind, ReleaseOutcome
from infra.releases.rollback import roll_back
from infra.releases.saving import save_plan
from infra.releases.target import Target
from infra.terraform_cli.changes import Action

UV = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
pytestmark = [
    pytest.mark.terraform,
    pytest.mark.skipif(UV is None, reason="uv is not installed: the wheel cannot be built"),
]

SYNTH = '''
"""Writes one workspace stack: the wheel of the commit, jobs that use it, and tables that do not."""

import hashlib, json, os, sys
from pathlib import Path

from jobs import CATALOG, JOBS
from release import commit, wheel

out = Path(sys.argv[sys.argv.index("--out") + 1]).resolve()
folder = out / "stacks" / "dev-workspace"
folder.mkdir(parents=True, exist_ok=True)
file = Path.cwd() / "dist" / wheel()
where = {"provider": "databricks.dev"}
path = "${databricks_file.wheel.path}"
content = {
    "terraform": {
        "required_providers": {"databricks": {"source": "databricks/databricks", "version": "1.99.0"}},
        "backend": {"local": {"path": "../../../terraform.dev-workspace.tfstate"}},
    },
    "provider": {"databricks": [{"alias": "dev", "host": "https://dev.invalid"}]},
    "resource": {
        "databricks_catalog": {"dev": {**where, "name": "dev", "comment": CATALOG}},
        "databricks_file": {
            "wheel": {
                **where,
                "source": "${path.module}/" + os.path.relpath(file, folder),
                "path": "/Volumes/${databricks_catalog.dev.name}/releases/" + wheel(),
            }
        },
        "databricks_job": {
            name: {
                **where, "name": name, "timeout_seconds": timeout, "tags": {"git_commit": commit()},
                "task": [{"task_key": "run", "library": [{"whl": path}]}],
            }
            for name, timeout in JOBS.items()
        },
        "databricks_permissions": {
            f"job_{name}": {
                **where, "job_id": "${databricks_job." + name + ".id}",
                "access_control": [{"group_name": "people", "permission_level": "CAN_VIEW"}],
            }
            for name in JOBS
        },
    },
    "output": {
        "wheel": {"value": path},
        "wheel_sha256": {
            "value": hashlib.sha256(file.read_bytes()).hexdigest(), "depends_on": ["databricks_file.wheel"],
        },
    },
}
(folder / "cdk.tf.json").write_text(json.dumps(content))
'''
RELEASE = """
import subprocess, tomllib


def commit():
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()


def wheel():
    version = tomllib.load(open("pyproject.toml", "rb"))["project"]["version"]
    return f"lakehouse_mlops-{version}+g{commit()[:12]}-py3-none-any.whl"
"""


class History:
    """A repository, its commits, and the offline environment that they are released into."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.root = folder / "repository"
        self.ledger = FileLedger(path=folder / "states" / "releases.dev.jsonl")
        self.target = Target(
            environment="dev", folder=folder / "states", offline=True, cache=cache,
            ledger=self.ledger,
        )  # fmt: skip
        self.said: list[str] = []
        self._write("infra/__main__.py", SYNTH)
        self._write("infra/__init__.py", "")
        self._write("release.py", RELEASE)
        self._write("pipelines/__init__.py", "")
        for name in ("pyproject.toml", "requirements/build.txt"):
            self._write(name, (ROOT / name).read_text(encoding="utf-8"))
        self._git("init", "--quiet")

    def commit(self, *, code: str, jobs: dict[str, int], catalog: str = "all data") -> str:
        """Make a commit with this code of the jobs, these jobs with their time-outs, and this catalog."""
        self._write("ml/__init__.py", code)
        self._write("jobs.py", f"JOBS = {jobs!r}\nCATALOG = {catalog!r}\n")
        self._git("add", ".")
        self._git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "change")
        return current_release(self.root).commit

    def release(self) -> ApplyResult:
        """Build, synthesize, plan and apply what is committed."""
        built = build_wheel(self.root)
        stacks = synthesize_checkout(self.root, self.target.folder)
        folder = self.target.folder.parent / f"plan-{built.commit[:12]}"
        kept = save_plan(stacks, self.target, built, folder, uncommitted=False, say=self.said.append)
        day = dt.timedelta(days=1)
        return apply_saved_plan(
            stacks, self.target, built, folder, sha256=kept.sha256, maximum_age=day, say=self.said.append
        )

    def roll_back(self, *, dry_run: bool = False, deployed: str | None = None) -> Any:
        """Go back to the release before."""
        return roll_back(self.target, self.root, dry_run=dry_run, deployed=deployed, say=self.said.append)

    def drift(self) -> tuple[Drift, ...]:
        """Look for drift, with the rolled-back release checked out."""
        stacks = synthesize_checkout(self.root, self.target.folder)
        return drift(stacks, self.target, self.root, say=self.said.append)

    def deployed(self) -> dict[str, dict[str, Any]]:
        """Return what exists: every resource's values by its address, and the outputs."""
        state = json.loads((self.target.folder / "state" / "dev-workspace.tfstate").read_text(encoding="utf-8"))
        found = {f"{r['type']}.{r['name']}": r["instances"][0]["attributes"] for r in state["resources"]}
        return {**found, "outputs": {name: o["value"] for name, o in state["outputs"].items()}}

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)


@pytest.fixture
def history(tmp_path: Path, cache: Path) -> History:
    """Return a repository without a commit."""
    return History(tmp_path, cache)


def test_wheel_and_jobs_of_the_release_before_are_there_again_and_the_rest_is_untouched(history: History) -> None:
    """B changes code and a job, takes one away and adds one. Back to A: its bytes, its jobs, no more of B's."""
    a = history.commit(code="A = 1\n", jobs={"training": 60, "scoring": 60})
    assert history.release().outcome is ReleaseOutcome.SUCCEEDED
    first = history.deployed()
    b = history.commit(code="B = 2\n", jobs={"training": 90, "monitoring": 60})
    assert history.release().outcome is ReleaseOutcome.SUCCEEDED
    second = history.deployed()
    assert second["outputs"]["wheel_sha256"] != first["outputs"]["wheel_sha256"]

    looked = history.roll_back(dry_run=True)
    assert looked.outcome is None
    assert history.deployed() == second

    with pytest.raises(ReleaseRefusedError, match=f"dev is not rolled back from {a[:12]}: {b[:12]}, by the release of"):
        history.roll_back(deployed=a)
    went = history.roll_back(deployed="HEAD")
    assert (went.outcome, went.to.commit) == (ReleaseOutcome.SUCCEEDED, a)
    assert {change.address: change.action for change in went.decision.changes} == {
        "databricks_file.wheel": Action.UPDATE,
        "databricks_job.training": Action.UPDATE,
        "databricks_job.scoring": Action.CREATE,
        "databricks_permissions.job_scoring": Action.CREATE,
        "databricks_job.monitoring": Action.DESTROY,
        "databricks_permissions.job_monitoring": Action.DESTROY,
    }
    third = history.deployed()
    assert set(third) == set(first)
    assert third["databricks_job.training"]["timeout_seconds"] == 60
    assert third["databricks_job.training"]["tags"] == {"git_commit": a}
    assert third["databricks_file.wheel"]["path"] == first["databricks_file.wheel"]["path"]
    assert third["databricks_catalog.dev"] == second["databricks_catalog.dev"]
    assert third["outputs"] == first["outputs"]
    record = history.target.ledger.read()[-1]
    assert (record.kind, record.commit, record.wheel_sha256) == (
        RecordKind.ROLLBACK,
        a,
        first["outputs"]["wheel_sha256"],
    )

    with pytest.raises(
        ReleaseRefusedError, match=f"dev is not rolled back from {b[:12]}: {a[:12]}, by the rollback of"
    ):
        history.roll_back(deployed="HEAD")
    with pytest.raises(RebuildError, match="'none' names no commit of this repository"):
        history.roll_back(deployed="none")
    with pytest.raises(ReleaseRefusedError, match="dev has no release to roll back to"):
        history.roll_back()

    assert not any(history.drift())
    path = history.target.folder / "state" / "dev-workspace.tfstate"
    state = path.read_text(encoding="utf-8").replace('"timeout_seconds": 60', '"timeout_seconds": 61', 1)
    path.write_text(state, encoding="utf-8")
    (found,) = history.drift()
    (change,) = found.differing
    assert (change.action, change.attributes) == (Action.UPDATE, ("timeout_seconds",))
    assert history.target.ledger.read()[-1] == record

    path.write_text(state.replace('"timeout_seconds": 61', '"timeout_seconds": 60', 1), encoding="utf-8")
    cut_off = next(r for r in history.target.ledger.read() if r.commit == b and r.outcome is ReleaseOutcome.STARTED)
    history.target.ledger.append(cut_off)
    (found,) = history.drift()
    assert any(f"the last release did not finish: commit {b[:12]}, started at" in line for line in history.said)
    assert "databricks_job.monitoring" in {change.address for change in found.differing}
    assert history.roll_back(dry_run=True).to.commit == a


@pytest.mark.proof
def test_a_rollback_of_more_than_code_or_to_another_wheel_changes_nothing(history: History) -> None:
    """B changed the catalog, which a rollback would change too; and the record states the hash of the released wheel."""
    history.commit(code="A = 1\n", jobs={"training": 60})
    history.release()
    history.commit(code="B = 2\n", jobs={"training": 60}, catalog="other data")
    history.release()
    before, records = history.deployed(), history.target.ledger.read()
    with pytest.raises(
        ReleaseRefusedError, match=r"databricks_catalog\.dev would be updated \(comment\): it is neither"
    ):
        history.roll_back()
    assert history.deployed() == before
    assert history.target.ledger.read() == records

    path = history.ledger.path
    path.write_text(path.read_text(encoding="utf-8").replace(str(records[0].wheel_sha256), "0" * 64), encoding="utf-8")
    with pytest.raises(RebuildError, match="the one that was released had 0000"):
        history.roll_back()
    assert history.deployed() == before


def test_before_the_first_release_there_is_no_rollback_target(history: History) -> None:
    """The refusal is one sentence, and no folder of the environment is created."""
    with pytest.raises(ReleaseRefusedError, match=r"dev has no release to roll back to: nothing was released yet\."):
        history.roll_back()
    assert not history.target.folder.exists()
