"""What the person who approves a release is shown of its plan: ``python -m infra kept``."""

import json
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.build.release import ROOT
from infra.releases.saved_plan import Manifest, Wheel, file_hashes, write_manifest
from tests.azuredevops.conftest import FOLDER
from tests.azuredevops.test_pipeline_scripts import run

CREATE = {"address": "a.b", "type": "a", "name": "b", "mode": "managed", "change": {"actions": ["create"], "after": {}}}


WHEEL = Wheel(name="the.whl", sha256="1a" * 32)


@pytest.fixture(params=[WHEEL], ids=["the.whl"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A saved plan of prod that creates one resource, with one deferred stack."""
    (tmp_path / "prod-platform.json").write_text(json.dumps({"resource_changes": [CREATE]}))
    (tmp_path / "prod-platform.txt").write_text("the plan as Terraform prints it\n")
    for ending in ("plan", "lock.hcl"):
        (tmp_path / f"prod-platform.{ending}").write_text(f"the {ending}")
    manifest = Manifest(
        environment="prod", commit="c0ffee" * 6, created_at="2026-11-21T09:00:00+00:00", terraform="1.11.4", providers={},
        wheel=request.param, stacks={"prod-platform": {}}, files=file_hashes(tmp_path),
        deferred={"prod-workspace": ("prod-platform.workspace_url",)},
    )  # fmt: skip
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_a_saved_plan_is_shown_with_its_changes_its_wheel_and_its_hash(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The changes and the deferred stack come first; the last lines are the ones that the pipeline reads."""
    assert main(["kept", str(kept)]) == 0
    lines = capsys.readouterr().out.splitlines()
    stated = json.loads((kept / "manifest.json").read_text())["sha256"]
    assert lines[0].startswith(f"prod at commit {'c0ffee' * 6}")
    assert lines[1].startswith("prod-platform: 1 ")
    assert lines[2] == "  create: a.b"
    assert lines[3] == "prod-workspace waits for prod-platform.workspace_url"
    assert lines[4:] == [f"sha256 {stated}", "wheel the.whl", f"wheel_sha256 {'1a' * 32}"]


@pytest.mark.parametrize("kept", [None], indirect=True)
def test_a_saved_plan_without_a_wheel_is_shown_with_the_wheel_none(kept: Path) -> None:
    """The script of the pipeline sets the hash and the wheel `none` as output variables."""
    done = run(FOLDER / "output.sh", "sha256,wheel", ROOT / ".venv/bin/python", "-m", "infra", "kept", kept)
    assert done.returncode == 0, done.stderr
    stated = json.loads((kept / "manifest.json").read_text())["sha256"]
    assert done.stdout.splitlines() == [
        f"##vso[task.setvariable variable=sha256;isOutput=true]{stated}",
        "##vso[task.setvariable variable=wheel;isOutput=true]none",
    ]
    assert "create: a.b" in done.stderr


def test_the_option_details_prints_the_whole_plan(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output contains the plan as Terraform prints it."""
    assert main(["kept", str(kept), "--details"]) == 0
    assert "the plan as Terraform prints it" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["edit", "add", "remove", "manifest", "nothing there"])
def test_a_saved_plan_that_was_altered_is_refused_without_a_hash(
    kept: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """An edited, added or removed file and an edited or missing manifest give exit code 2 and no hash."""
    file = kept / "prod-platform.json"
    if change == "edit":
        file.write_text(file.read_text() + " ")
    elif change == "add":
        (kept / "more.json").write_text("{}")
    elif change == "remove":
        file.unlink()
    elif change == "manifest":
        (kept / "manifest.json").write_text((kept / "manifest.json").read_text().replace("the.whl", "that.whl"))
    else:
        (kept / "manifest.json").unlink()
    assert main(["kept", str(kept)]) == 2
    output = capsys.readouterr()
    assert "sha256 " not in output.out
    assert output.err.startswith("error: ")
