"""A real deployment: no generic provider, a resource of Terraform itself, states on the disk next to the output."""

import datetime as dt
import fcntl
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.release import Release
from infra.releases.applying import ApplyResult, apply_saved_plan
from infra.releases.drift import Drift, drift
from infra.releases.ledger import FileLedger
from infra.releases.rebuild import synthesize_checkout
from infra.releases.record import ReleaseOutcome, deployments
from infra.releases.saving import save_plan
from infra.releases.target import Target
from infra.terraform_cli import driver as terraform
from infra.terraform_cli.driver import APPLY_LOG, TerraformError
from infra.terraform_cli.plans import plan_with_real_providers
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks

pytestmark = pytest.mark.terraform
RELEASE = Release(commit="a" * 40, wheel="none.whl", wheel_path="none.whl", wheel_source="none.whl")


def write(root: Path, size: str, reader: str = "dev-workspace") -> dict[str, SynthesizedStack]:
    """Write a platform that offers a name, and a workspace, or another stack, that makes something of it."""

    def place(stack: str) -> dict[str, str]:
        return {"path": f"../../../terraform.{stack}.tfstate"}

    contents: dict[str, dict[str, Any]] = {
        "dev-platform": {
            "terraform": {"backend": {"local": place("dev-platform")}},
            "resource": {"terraform_data": {"network": {"input": "10.0.0.0/20"}}},
            "output": {"name": {"value": "${terraform_data.network.output}"}},
        },
        reader: {
            "terraform": {"backend": {"local": place(reader)}},
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


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Return an environment in the folder that the test then works in."""
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "none.rc"))
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")
    monkeypatch.chdir(tmp_path)
    ledger = FileLedger(path=tmp_path / "releases.dev.jsonl")
    return Target(environment="dev", folder=tmp_path, offline=False, ledger=ledger)


def test_two_rounds_a_change_and_no_drift(tmp_path: Path, target: Target) -> None:
    """The first deployment takes two rounds, a change takes one; the states are next to the output; there is no drift."""
    ledger = FileLedger(path=tmp_path / "releases.dev.jsonl")
    said: list[str] = []

    def deploy(size: str, name: str) -> ReleaseOutcome:
        stacks = write(tmp_path, size)
        kept = save_plan(stacks, target, RELEASE, Path(name), uncommitted=False, say=said.append)
        day = dt.timedelta(days=1)
        return apply_saved_plan(
            stacks, target, RELEASE, Path(name), sha256=kept.sha256, maximum_age=day, say=said.append
        ).outcome

    def made() -> str:
        state = json.loads((tmp_path / "terraform.dev-workspace.tfstate").read_text(encoding="utf-8"))
        return str(state["resources"][-1]["instances"][0]["attributes"]["input"]["value"])

    assert deploy("small", "one") is ReleaseOutcome.INCOMPLETE
    assert deploy("small", "two") is ReleaseOutcome.SUCCEEDED
    assert made() == "small in 10.0.0.0/20"
    assert deploy("large", "three") is ReleaseOutcome.SUCCEEDED
    assert made() == "large in 10.0.0.0/20"
    assert [record.applied for record in deployments(ledger.read())] == [
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


def test_a_stack_waits_for_one_that_another_identity_has_not_deployed_yet(tmp_path: Path, target: Target) -> None:
    """The account's part of dev needs dev's platform, which the account's identity cannot deploy: no error, no drift."""
    stacks, said = write(tmp_path, "small", reader="dev-account"), list[str]()
    account = replace(target, environment="account")
    kept = save_plan(stacks, account, RELEASE, Path("early"), uncommitted=False, say=said.append)
    assert (dict(kept.stacks), kept.deferred) == ({}, {"dev-account": ("dev-platform",)})
    assert said == ["dev-account: not planned yet, what it reads is not deployed: dev-platform; deploy that first"]
    assert drift(stacks, account, tmp_path, say=said.append) == (Drift(stack="dev-account"),)

    for name in ("platform", "account"):
        place = account if name == "account" else target
        planned = save_plan(stacks, place, RELEASE, Path(name), uncommitted=False, say=said.append)
        assert list(planned.stacks) == [f"dev-{name}"]
        applied = apply_saved_plan(
            stacks, place, RELEASE, Path(name), sha256=planned.sha256, maximum_age=dt.timedelta(days=1),
            say=said.append,
        )  # fmt: skip
        assert applied.outcome is ReleaseOutcome.SUCCEEDED


@contextmanager
def deploying(state: Path) -> Iterator[None]:
    """Hold the lock of a local state as Terraform of a deployment elsewhere would."""
    output = state.with_name(f".{state.name}.lock.info")
    output.write_text(json.dumps({"ID": "1a", "Who": "releases@agent", "Created": "2026-11-21T09:00:00Z"}), "utf-8")
    with state.open("r+") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        yield
        output.unlink()


def test_a_plan_to_read_takes_no_lock_and_a_deployment_waits_for_it(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of a pull request and the nightly drift run during a deployment, and no deployment fails because of them."""
    stacks = {"dev-platform": write(tmp_path, "small")["dev-platform"]}
    kept = save_plan(stacks, target, RELEASE, Path("one"), uncommitted=False, say=lambda _: None)

    def apply() -> ApplyResult:
        day = dt.timedelta(days=1)
        return apply_saved_plan(
            stacks, target, RELEASE, Path("one"), sha256=kept.sha256, maximum_age=day, say=lambda _: None
        )

    state = tmp_path / "terraform.dev-platform.tfstate"
    state.touch()
    monkeypatch.setattr(terraform, "WAIT_FOR_LOCK", "-lock-timeout=1s")
    with deploying(state):
        assert list(plan_with_real_providers(stacks)) == ["dev-platform"]
        (looked,) = drift(stacks, target, tmp_path, say=lambda _: None)
        assert not looked.error
        with pytest.raises(TerraformError, match="the state is locked"):
            save_plan(stacks, target, RELEASE, Path("two"), uncommitted=False, say=lambda _: None)
        assert "the state is locked" in apply().reason
    monkeypatch.setattr(terraform, "WAIT_FOR_LOCK", "-lock-timeout=10m")
    with ThreadPoolExecutor(max_workers=1) as pool:
        with deploying(state):
            waiting = pool.submit(apply)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=2)
        assert waiting.result().outcome is ReleaseOutcome.SUCCEEDED


def test_an_apply_goes_on_when_nobody_reads_its_lines_any_more(tmp_path: Path, target: Target) -> None:
    """The reader of the output has ended; what is applied and recorded is the same."""
    stacks = {"dev-platform": write(tmp_path, "small")["dev-platform"]}
    kept = save_plan(stacks, target, RELEASE, Path("one"), uncommitted=False, say=lambda _: None)

    def say(line: str) -> None:
        if line.startswith("  "):
            raise BrokenPipeError(32, "Broken pipe")

    day = dt.timedelta(days=1)
    applied = apply_saved_plan(stacks, target, RELEASE, Path("one"), sha256=kept.sha256, maximum_age=day, say=say)
    assert (applied.outcome, applied.applied) == (ReleaseOutcome.SUCCEEDED, ("dev-platform",))
    assert [record.outcome for record in target.ledger.read()] == [ReleaseOutcome.STARTED, ReleaseOutcome.SUCCEEDED]
    log = (stacks["dev-platform"].folder / APPLY_LOG).read_text(encoding="utf-8")
    assert "Apply complete! Resources: 1 added" in log


def test_an_earlier_commit_uses_the_local_states_of_the_tree(tmp_path: Path) -> None:
    """Synthesized in a folder that goes away, it must not look for states there."""
    tree = tmp_path / "tree"
    (tree / "infra").mkdir(parents=True)
    (tree / "infra" / "__init__.py").touch()
    (tree / "infra" / "__main__.py").write_text("", encoding="utf-8")
    write(tree, "small")
    stacks = synthesize_checkout(tree, tmp_path / "project")
    beside = str(tmp_path / "project" / "terraform.")
    assert stacks["dev-workspace"].backend == ("local", {"path": f"{beside}dev-workspace.tfstate"})
    ((_, _, config),) = stacks["dev-workspace"].remote_states()
    assert config == {"path": f"{beside}dev-platform.tfstate"}
