"""`cdktf deploy` applies through the guards of `apply`: identity, record, exactly the approved plan; with the real Terraform."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.build.release import ROOT
from infra.releases.guarded_apply import QUESTION, StackRequest, apply_stack
from infra.releases.ledger import FileLedger
from infra.releases.record import ReleaseOutcome
from infra.releases.recording import ReleaseRefusedError
from infra.releases.target import Target
from infra.terraform_cli.driver import Terraform, TerraformError
from tests.infra.releases.test_real_deployment import RELEASE, write

pytestmark = pytest.mark.terraform
GUARDED = ROOT / "infra" / "terraform_cli" / "guarded"
CDKTF = ROOT / "node_modules" / ".bin" / "cdktf"


def folder_of(root: Path, stack: str) -> Path:
    """The folder in which the cdktf command line runs Terraform."""
    return root / "cdktf.out" / "stacks" / stack


def guarded(root: Path, stack: str, *words: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the program as the cdktf command line does."""
    return subprocess.run(
        [GUARDED, *words], cwd=folder_of(root, stack), input=answer, capture_output=True, text=True, check=False
    )


def records(root: Path) -> list[tuple[str, str, list[str]]]:
    """Outcome, kind and stacks of every record of dev."""
    file = root / "releases.dev.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(line["outcome"], line["kind"], line["stacks"]) for line in map(json.loads, lines)]


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A synthesized platform, initialised and not yet applied."""
    write(tmp_path, "small")
    assert guarded(tmp_path, "dev-platform", "init", "-input=false").returncode == 0
    return tmp_path


def test_an_apply_is_recorded_before_and_after(platform: Path) -> None:
    """What it prints is what the cdktf command line passes on; a second one changes nothing and records nothing."""
    done = guarded(platform, "dev-platform", "apply", "-auto-approve", "-input=false")
    assert done.returncode == 0, done.stderr
    assert "Plan: 1 to add" in done.stdout
    assert "Apply complete!" in done.stdout
    expected = [("started", "release", ["dev-platform"]), ("succeeded", "release", ["dev-platform"])]
    assert records(platform) == expected
    again = guarded(platform, "dev-platform", "apply", "-auto-approve")
    assert (again.returncode, records(platform)) == (0, expected)


def test_exactly_the_plan_is_applied_that_was_approved(platform: Path) -> None:
    """Any answer but yes changes and records nothing."""
    refused = guarded(platform, "dev-platform", "apply", answer="no\n")
    assert QUESTION["apply"] in refused.stdout
    assert (refused.returncode, records(platform)) == (1, [])
    assert not (platform / "terraform.dev-platform.tfstate").exists()
    approved = guarded(platform, "dev-platform", "apply", answer="yes\n")
    assert approved.returncode == 0, approved.stderr
    assert [outcome for outcome, _, _ in records(platform)] == ["started", "succeeded"]


def test_a_destruction_is_asked_for_in_terraform_s_words(platform: Path) -> None:
    """And recorded."""
    assert guarded(platform, "dev-platform", "apply", "-auto-approve").returncode == 0
    done = guarded(platform, "dev-platform", "destroy", answer="yes\n")
    assert QUESTION["destroy"] in done.stdout
    assert "Destroy complete!" in done.stdout or "1 destroyed" in done.stdout
    assert len(records(platform)) == 4


def test_other_commands_are_terraform_s_own(platform: Path) -> None:
    """To the letter."""
    plain = subprocess.run(["terraform", "version", "-json"], capture_output=True, text=True, check=True)
    assert guarded(platform, "dev-platform", "version", "-json").stdout == plain.stdout
    assert guarded(platform, "dev-platform", "no-such-command").returncode == 1


@pytest.mark.parametrize(
    ("stack", "words", "why"),
    [
        ("dev-platform", ["apply", "-target=terraform_data.network"], "such an apply has no reviewed plan"),
        ("dev-platform", ["apply", "-refresh-only"], "such an apply has no reviewed plan"),
        ("..", ["apply"], "is not the folder of a synthesized stack"),
    ],
)
def test_what_would_go_around_the_guards_is_refused(platform: Path, stack: str, words: list[str], why: str) -> None:
    """In one sentence, before anything is planned."""
    done = guarded(platform, stack, *words)
    assert done.returncode == 2
    assert why in done.stderr
    assert records(platform) == []


def stack_of(root: Path, content: Mapping[str, Any]) -> tuple[Terraform, Target]:
    """A stack of dev with this content beside the shared outputs of the account, and where its releases are recorded."""
    place = {"path": "../../../terraform.account.tfstate"}
    stacks = {
        "account": {
            "terraform": {"backend": {"local": place}}, "output": {"runner_dev": {"value": "11111111-dev"}},
        },
        "dev-platform": {
            "terraform": {"backend": {"local": {"path": "../../../terraform.dev-platform.tfstate"}}},
            "data": {"terraform_remote_state": {"account": {"backend": "local", "config": place}}},
            **content,
        },
    }  # fmt: skip
    for name, written in stacks.items():
        folder_of(root, name).mkdir(parents=True)
        (folder_of(root, name) / "cdk.tf.json").write_text(json.dumps(written))
    account = Terraform(stack="account", folder=folder_of(root, "account"), environment=dict(os.environ))
    account.init()
    account.deploy()
    terraform = Terraform(stack="dev-platform", folder=folder_of(root, "dev-platform"), environment=dict(os.environ))
    terraform.init()
    ledger = FileLedger(path=root / "releases.dev.jsonl")
    return terraform, Target(environment="dev", folder=root, offline=False, ledger=ledger)


def run(terraform: Terraform, target: Target, who: str) -> int:
    """Apply without a question as somebody who is signed in."""
    user = {"name": who, "type": "servicePrincipal"}
    return apply_stack(
        StackRequest(command="apply", approved=True), terraform, target, RELEASE, ask=lambda: "", say=lambda _: None,
        az=lambda _: json.dumps(user),
    )  # fmt: skip


def test_nobody_but_the_identity_of_the_stack_applies_it(tmp_path: Path) -> None:
    """The plan has read the application id from the states; nothing is changed or recorded for anybody else."""
    terraform, target = stack_of(tmp_path, {"resource": {"terraform_data": {"network": {"input": "a"}}}})
    with pytest.raises(ReleaseRefusedError, match="dev-platform is applied by the identity of dev"):
        run(terraform, target, "22222222-somebody")
    assert target.ledger.read() == ()
    assert terraform.has_changes()
    assert run(terraform, target, "11111111-dev") == 0
    assert not terraform.has_changes()


def test_an_apply_that_fails_is_recorded_as_failed(tmp_path: Path) -> None:
    """With Terraform's reason; what was made stays."""
    broken = {"input": "a", "provisioner": [{"local-exec": {"command": "echo no space; exit 7"}}]}
    terraform, target = stack_of(tmp_path, {"resource": {"terraform_data": {"network": broken}}})
    with pytest.raises(TerraformError, match="exit status 7"):
        run(terraform, target, "11111111-dev")
    assert [record.outcome for record in target.ledger.read()] == [ReleaseOutcome.STARTED, ReleaseOutcome.FAILED]


@pytest.mark.skipif(
    not (CDKTF.exists() and shutil.which("node")),
    reason="the cdktf command line is not installed: `npm ci` installs it",
)
def test_the_real_command_line_goes_through_the_guards(tmp_path: Path) -> None:
    """It finds the program by TERRAFORM_BINARY_NAME and shows what that prints."""
    write(tmp_path, "small")
    stack = {"name": "dev-platform", "constructPath": "dev-platform", "annotations": [], "dependencies": []}
    place = "stacks/dev-platform"
    paths = {
        "workingDirectory": place,
        "synthesizedStackPath": f"{place}/cdk.tf.json",
        "stackMetadataPath": f"{place}/metadata.json",
    }
    (tmp_path / "cdktf.out" / "manifest.json").write_text(
        json.dumps({"version": "0.21.0", "stacks": {"dev-platform": {**stack, **paths}}})
    )
    file = folder_of(tmp_path, "dev-platform") / "cdk.tf.json"
    about = {"metadata": {"backend": "local", "stackName": "dev-platform", "version": "0.21.0"}, "outputs": {}}
    file.write_text(json.dumps({"//": about, **json.loads(file.read_text())}))
    (tmp_path / "cdktf.json").write_text(
        json.dumps({"language": "python", "app": "true", "projectId": "p", "sendCrashReports": "false"})
    )
    environment = {**os.environ, "TERRAFORM_BINARY_NAME": str(GUARDED), "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        [CDKTF, "deploy", "--skip-synth", "--auto-approve", "dev-platform"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [outcome for outcome, _, _ in records(tmp_path)] == ["started", "succeeded"]
