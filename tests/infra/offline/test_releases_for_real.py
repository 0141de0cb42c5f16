"""The way of a real deployment: no generic provider, Terraform's own resource, states on the disk beside the output."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from infra.deployment import Release
from infra.offline.stacks import SynthesizedStack, read_stacks
from infra.releases.applying import apply_kept
from infra.releases.drifting import drift
from infra.releases.keeping import keep
from infra.releases.ledger import FileLedger
from infra.releases.past import synthesized_at
from infra.releases.record import Outcome
from infra.releases.target import Target

pytestmark = pytest.mark.terraform
RELEASE = Release(commit="a" * 40, wheel="none.whl", wheel_path="none.whl", wheel_source="none.whl")


def write(root: Path, size: str) -> dict[str, SynthesizedStack]:
    """Write a platform that offers a name, and a workspace that makes something of it."""

    def place(stack: str) -> dict[str, str]:
        return {"path": f"../../../terraform.{stack}.tfstate"}

    contents: dict[str, dict[str, Any]] = {
        "dev-platform": {
            "terraform": {"backend": {"local": place("dev-platform")}},
            "resource": {"terraform_data": {"network": {"input": "10.0.0.0/20"}}},
            "output": {"name": {"value": "${terraform_data.network.output}"}},
        },
        "dev-workspace": {
            "terraform": {"backend": {"local": place("dev-workspace")}},
            "data": {"terraform_remote_state": {"dev_platform": {"backend": "local", "config": place("dev-platform")}}},
            "resource": {
                "terraform_data": {
                    "job": {"input": f"{size} in ${{data.terraform_remote_state.dev_platform.outputs.name}}"}
                }
            },
        },
    }
    for name, content in contents.items():
        folder = root / "cdktf.out" / "stacks" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
    return read_stacks(root / "cdktf.out")


def test_two_rounds_a_change_and_no_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First deployment in two rounds, then a change in one; the states lie beside the output; nothing has drifted."""
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "none.rc"))
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")
    monkeypatch.chdir(tmp_path)
    ledger = FileLedger(path=tmp_path / "releases.dev.jsonl")
    target = Target(environment="dev", folder=tmp_path, offline=False, ledger=ledger)
    said: list[str] = []

    def deploy(size: str, name: str) -> Outcome:
        stacks = write(tmp_path, size)
        kept = keep(stacks, target, RELEASE, Path(name), changed=False, say=said.append)
        day = dt.timedelta(days=1)
        return apply_kept(
            stacks, target, RELEASE, Path(name), sha256=kept.sha256, maximum_age=day, say=said.append
        ).outcome

    def made() -> str:
        state = json.loads((tmp_path / "terraform.dev-workspace.tfstate").read_text(encoding="utf-8"))
        return str(state["resources"][-1]["instances"][0]["attributes"]["input"]["value"])

    assert deploy("small", "one") is Outcome.INCOMPLETE
    assert deploy("small", "two") is Outcome.SUCCEEDED
    assert made() == "small in 10.0.0.0/20"
    assert deploy("large", "three") is Outcome.SUCCEEDED
    assert made() == "large in 10.0.0.0/20"
    assert [record.applied for record in ledger.read()] == [
        ("dev-platform",), ("dev-platform", "dev-workspace"), ("dev-platform", "dev-workspace"),
    ]  # fmt: skip
    assert any("terraform_data.job: Modifications complete" in line for line in said)
    assert sorted(path.name for path in (tmp_path / "cdktf.out" / "stacks").iterdir()) == [
        "dev-platform",
        "dev-workspace",
    ]

    ledger.path.unlink()
    assert not any(drift(write(tmp_path, "large"), target, tmp_path, say=said.append))
    platform, workspace = drift(write(tmp_path, "small"), target, tmp_path, say=said.append)
    assert not platform
    assert [change.address for change in workspace.differing] == ["terraform_data.job"]


def test_an_earlier_commit_uses_the_local_states_of_the_tree(tmp_path: Path) -> None:
    """Synthesized in a folder that goes away, it must not look for states there."""
    tree = tmp_path / "tree"
    (tree / "infra").mkdir(parents=True)
    (tree / "infra" / "__init__.py").touch()
    (tree / "infra" / "__main__.py").write_text("", encoding="utf-8")
    write(tree, "small")
    stacks = synthesized_at(tree, tmp_path / "project")
    beside = str(tmp_path / "project" / "terraform.")
    assert stacks["dev-workspace"].backend == ("local", {"path": f"{beside}dev-workspace.tfstate"})
    ((_, _, config),) = stacks["dev-workspace"].remote_states()
    assert config == {"path": f"{beside}dev-platform.tfstate"}
