"""The commands of a release as they are typed: exit codes, and one sentence where nothing can be done."""

import datetime as dt
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.__main__ import main
from infra.checks.waivers import Waiver, standing
from infra.commands.release import apply, drift, plan
from infra.commands.review import review
from infra.releases.applying import ApplyResult
from infra.releases.drift import Drift
from infra.releases.record import ReleaseOutcome
from infra.releases.saved_plan import Manifest, Wheel, file_hashes, read_manifest, write_manifest
from infra.review.record import ReviewRecord
from infra.terraform_cli.changes import Action, Change

HASH = "0" * 64


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return a folder with one small synthesized stack."""
    folder = tmp_path / "cdktf.out" / "stacks" / "dev-workspace"
    folder.mkdir(parents=True)
    content = {"resource": {"databricks_catalog": {"dev": {"name": "dev"}}}}
    (folder / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "cdktf.out"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a folder with an old saved plan of dev, of another commit."""
    folder = tmp_path / "plan"
    folder.mkdir()
    change = {"actions": ["create"], "before": None, "after": {}}
    plan = {"resource_changes": [{"address": "databricks_catalog.dev", "change": change}]}
    (folder / "dev-workspace.json").write_text(json.dumps(plan), encoding="utf-8")
    for ending in ("plan", "txt", "lock.hcl"):
        (folder / f"dev-workspace.{ending}").write_text(f"the {ending}", encoding="utf-8")
    manifest = Manifest(
        environment="dev", commit="a" * 40, created_at="2026-01-01T00:00:00+00:00", terraform="1.11.4", providers={},
        wheel=Wheel(name="a.whl", sha256="e" * 64), stacks={"dev-workspace": {}}, files=file_hashes(folder),
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["apply", "prd", "--plan", "x", "--sha256", HASH],
        ["drift", "prd"],
        ["rollback", "prd"],
        ["plan", "prd", "--keep", "x", "--offline"],
    ],
)
def test_an_unknown_environment_is_answered_with_the_near_miss(
    words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read or run."""
    assert main([*words, "--out", str(out)]) == 2
    assert "unknown environment 'prd': did you mean 'prod'?" in capsys.readouterr().err


def test_a_plan_that_may_not_be_applied_is_exit_code_2_with_every_reason(
    kept: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each; no state, no record, no Terraform."""
    states = tmp_path / "states"
    words = [
        "apply",
        "dev",
        "--plan",
        str(kept),
        "--sha256",
        HASH,
        "--out",
        str(out),
        "--offline",
        "--states",
        str(states),
    ]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: the plan is not applied:\n- its hash is ")
    assert [
        words for words in ("of commit aaaaaaaaaaaa", "ago, at 2026-01-01", "it uploads a.whl") if words not in said
    ] == []
    assert not states.exists()


def test_a_folder_without_a_plan_is_exit_code_2(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that makes one."""
    assert main(["apply", "dev", "--plan", str(out), "--sha256", HASH, "--out", str(out)]) == 2
    assert main(["kept", str(out)]) == 2
    assert capsys.readouterr().err.count("make one with `python -m infra plan ENV --keep FOLDER`") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"commit": 5}, {"commit": None}, {"files": None}, {"files": []}, {"stacks": {"dev-platform": []}},
        {"stacks": ["dev-platform"]}, {"wheel": {"name": "a.whl"}}, {"wheel": []}, {"deferred": {"dev-platform": "a"}},
        {"created_at": None}, {"files": {"../../etc/passwd": "e" * 64}}, {"stacks": {"../../etc": {}}}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_of_other_types_or_with_a_way_out_of_its_folder_is_refused(
    kept: Path, out: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    """Though it states its own hash: one sentence that names what is wrong, and not the code of a stack that failed."""
    path = kept / "manifest.json"
    content = {**json.loads(path.read_text(encoding="utf-8")), **wrong}
    content.pop("sha256")
    stated = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    path.write_text(json.dumps({**content, "sha256": stated}), encoding="utf-8")
    assert main(["apply", "dev", "--plan", str(kept), "--sha256", stated, "--out", str(out)]) == 2
    assert main(["kept", str(kept)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count(f"error: {path} is not the manifest of a plan ({next(iter(wrong))}") == 2
    assert len(said.err.splitlines()) == 2


def test_a_saved_plan_that_lacks_the_files_of_a_stack_is_not_shown(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its manifest says of them."""
    stated = read_manifest(kept)
    for ending in ("json", "txt", "plan", "lock.hcl"):
        (kept / f"dev-workspace.{ending}").unlink()
    write_manifest(kept, replace(stated, files={}))
    assert main(["kept", str(kept)]) == 2
    assert "are not those that were kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "dev", "--offline", "--keep", "{file}"],
        ["plan", "dev", "--offline", "--keep", "/proc/x"],
        ["plan", "dev", "--offline", "--json", "{file}"],
        ["synth", "--out", "{file}"],
        ["synth", "--out", "/proc/x"],
        ["synth", "--out", "/proc"],
        ["review", "--base", "HEAD", "--out", "/proc/x/y"],
        ["describe", "--json", "/proc/x/y"],
        ["apply", "dev", "--plan", "{file}", "--sha256", HASH],
        ["kept", "{file}"],
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_used_is_one_sentence_that_names_it(
    words: list[str], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where a folder should be, a folder in which nobody may write."""
    file = tmp_path / "README.md"
    file.write_text("a file", encoding="utf-8")
    given = [word.format(file=file) for word in words]
    monkeypatch.setattr(plan, "has_uncommitted_changes", lambda **_: False)
    monkeypatch.setattr(plan, "plan_offline", lambda *_, **__: {})
    monkeypatch.setattr(review, "reviewed", lambda *_: ReviewRecord(base="HEAD", meanings={}))
    assert main([*given, *(["--out", str(out)] if words[0] in ("plan", "apply") else [])]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert str(file) in said[0] or "/proc" in said[0]
    assert file.read_text(encoding="utf-8") == "a file"


@pytest.mark.parametrize("only", ["", " ", ","])
def test_no_stack_at_all_is_not_every_stack(out: Path, capsys: pytest.CaptureFixture[str], only: str) -> None:
    """An empty variable of a pipeline must not deploy everything."""
    assert main(["plan", "dev", "--offline", "--only", only, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert ("names no stack: name one, such as dev-workspace" if only == "," else "--only is empty") in said


def test_a_wrong_length_of_time_is_a_mistake_of_the_command_line(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named with examples."""
    assert main(["apply", "dev", "--plan", str(kept), "--sha256", HASH, "--maximum-age", "soon"]) == 2
    assert "write minutes, hours or days, such as 90m, 24h or 14d" in capsys.readouterr().err


def test_a_saved_plan_is_shown_with_the_lines_that_a_pipeline_reads(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it would do, its hash, its wheel."""
    assert main(["kept", str(kept)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["dev-workspace: 1 to create", "  create: databricks_catalog.dev"]
    assert [line.split()[0] for line in lines[-3:]] == ["sha256", "wheel", "wheel_sha256"]
    assert lines[-2:] == ["wheel a.whl", f"wheel_sha256 {'e' * 64}"]


def test_rollback_before_the_first_release_is_exit_code_2(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to go back to."""
    words = ["rollback", "dev", "--out", str(out), "--offline", "--states", str(tmp_path / "none"), "--dry-run"]
    assert main(words) == 2
    assert "error: dev has no release to roll back to: nothing was released yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "code"), [(ReleaseOutcome.SUCCEEDED, 0), (ReleaseOutcome.FAILED, 1), (ReleaseOutcome.INCOMPLETE, 3)]
)
def test_how_applying_ended_is_the_exit_code(outcome: ReleaseOutcome, code: int) -> None:
    """Every outcome of a deployment that ends by itself has one of its own."""
    assert apply.EXIT_CODES[outcome] == code
    assert set(apply.EXIT_CODES) == set(ReleaseOutcome) - {ReleaseOutcome.STARTED, ReleaseOutcome.INTERRUPTED}


def test_apply_prints_what_was_and_was_not_applied() -> None:
    """In three lines."""
    applied = ApplyResult(
        outcome=ReleaseOutcome.FAILED, applied=(), not_applied=("dev-platform", "dev-workspace"), reason="it failed"
    )
    assert apply.result_lines(applied) == ["applied: no stack", "not applied: dev-platform, dev-workspace", "it failed"]
    assert apply.result_lines(replace(applied, applied=("a",), not_applied=(), reason="")) == ["applied: a"]


CHANGES = tuple(Change(address=f"databricks_job.j{n}", action=Action.UPDATE, attributes=("tags",)) for n in range(22))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((Drift(stack="dev-platform"), Drift(stack="dev-workspace")), 0),
        ((Drift(stack="dev-platform"), Drift(stack="dev-workspace", differing=CHANGES)), 3),
        ((Drift(stack="dev-platform", error="no network"), Drift(stack="dev-workspace", outside=CHANGES)), 1),
    ],
)
def test_drift_has_an_exit_code_of_its_own(
    found: tuple[Drift, ...], code: int, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could not be looked at is neither drift nor none."""
    monkeypatch.setattr(drift, "drift", lambda *_: found)
    assert main(["drift", "dev", "--no-rights", "--out", str(out)]) == code
    said = capsys.readouterr()
    assert ("error: no network" in said.err) == (code == 1)
    if code == 3:
        assert "dev-workspace: 22 not as released" in said.out
        assert "  update: databricks_job.j0: tags" in said.out
        assert "  and 2 more" in said.out


def waiver(expires: str) -> dict[str, Any]:
    """Return a waiver as the file states it."""
    return {
        "check": "job-ends",
        "resource": "x/y.z",
        "reason": "it was accepted for a year",
        "owner": "me",
        "expires": expires,
    }


@pytest.mark.parametrize(("days", "left"), [(0, 0), (-1, -1), (14, 14)])
def test_a_waiver_holds_on_its_last_day(days: int, left: int) -> None:
    """And not on the day after it."""
    today = dt.date(2026, 11, 21)
    stated = Waiver.model_validate(waiver(str(today + dt.timedelta(days=days))))
    (found,) = standing([stated], today)
    assert found.days_left == left


def test_waivers_are_listed_with_their_days_and_an_ended_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that end soon are named; the shipped ones hold."""
    today = dt.datetime.now(tz=dt.UTC).date()
    path = tmp_path / "waivers.yaml"
    soon, later = waiver(str(today + dt.timedelta(days=5))), waiver(str(today + dt.timedelta(days=50)))
    path.write_text(json.dumps({"waivers": [later, soon]}), encoding="utf-8")
    assert main(["waivers", "--within", "14d", "--waivers", str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("5 days left: ends soon")
    assert said[2] == "2 waivers, 0 ended, 1 ending within 14d."
    path.write_text(json.dumps({"waivers": [waiver("2020-01-01")]}), encoding="utf-8")
    assert main(["waivers", "--waivers", str(path)]) == 1
    assert "ENDED" in capsys.readouterr().out
    assert main(["waivers"]) == 0
    assert main(["waivers", "--within", "soon"]) == 2
    assert main(["waivers", "--waivers", str(tmp_path / "none.yaml")]) == 2
