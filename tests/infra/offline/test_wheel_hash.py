"""The stacks name one wheel by its hash: Terraform itself refuses to deploy another file in its place."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.commands import synth
from infra.config.loading import Settings
from infra.constructs.deployment import deployments
from infra.constructs.release import Release
from infra.constructs.workspace.catalog import wheel_file
from infra.constructs.workspace.context import WorkspaceContext
from infra.offline.runs import plan_offline
from infra.releases.saved_plan import sha256_of
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import RemoteState, Stack
from infra.terraform_cli.driver import TerraformError
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases

NAME = "lakehouse_mlops-0.1.0+gabc-py3-none-any.whl"


@pytest.mark.terraform
def test_a_wheel_of_another_hash_is_not_deployed(tmp_path: Path, cache: Path, settings: Settings) -> None:
    """Planned with the wheel that was synthesized; with a byte changed, refused by Terraform with the remedy."""
    path = tmp_path / "dist" / NAME
    path.parent.mkdir()
    path.write_bytes(b"the wheel")
    source = f"${{path.module}}/../../../dist/{NAME}"
    release = Release(commit="abc", wheel=NAME, wheel_path=str(path), wheel_source=source, sha256=sha256_of(path))
    stack = Stack(name="dev-workspace", description="", state=RemoteState(stack="dev-workspace", azure=None))
    provider = stack.provider("databricks", "workspace", host="https://dev.invalid")
    deployment = deployments(settings, use_cases(), release)["dev"]
    workspace = WorkspaceContext(stack=stack, provider=provider, deployment=deployment, job_principal="jobs")
    wheel_file(workspace, release, folder="/Volumes/dev/deployment/releases")
    stacks = read_stacks(synthesize([stack], tmp_path / "cdktf.out"))
    assert set(plan_offline(stacks, tmp_path / "run", cache=cache)) == {"dev-workspace"}
    path.write_bytes(b"the whee1")
    with pytest.raises(TerraformError, match=rf"(?s)Resource precondition failed.*of sha256\s+{release.sha256}"):
        plan_offline(stacks, tmp_path / "run", cache=cache)


def test_nothing_is_synthesized_with_another_wheel_than_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`synth --expect` compares with the wheel in dist, built or not, before anything is written."""
    words = ["synth", "--out", str(tmp_path / "out"), "--expect", "0" * 64]
    built = Release(commit="abc", wheel=NAME, wheel_path="", wheel_source="", sha256="1" * 64)
    for found, said in (
        (built, f"dist/ holds one of sha256 {'1' * 64}"),
        (replace(built, sha256=None), "holds no lake"),
    ):
        monkeypatch.setattr(synth, "current_release", lambda release=found, **_: release)
        assert main(words) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
