"""Checkov in one run, and the command `check` with its exit codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.__main__ import main
from infra.checks import checkov
from infra.checks.checkov import CheckovError, checkov_findings
from infra.checks.finding import PolicyFinding
from infra.checks.waivers import Review, read_waivers
from infra.commands.review import check as commands
from infra.terraform_cli.synthesized import SynthesizedStack

ROOT = Path(__file__).parents[3]
STORAGE = "azurerm_storage_account"


EVERY = pytest.param("every", marks=pytest.mark.proof)


@pytest.fixture(scope="module", params=["dev", EVERY])
def found(request: pytest.FixtureRequest, shipped: dict[str, SynthesizedStack]) -> tuple[PolicyFinding, ...]:
    """Run Checkov once over dev's stacks, or all, with one account opened in dev, and a plan of that account."""
    if request.param != "every":
        shipped = {name: stack for name, stack in shipped.items() if name.startswith(request.param)}
    content: Any = shipped["dev-platform"].content
    account = content["resource"][STORAGE]["lake"]
    opened = {**account, "min_tls_version": "TLS1_0"}
    changed = {**content, "resource": {**content["resource"], STORAGE: {"lake": account, "open": opened}}}
    stack = SynthesizedStack(name="dev-platform", folder=shipped["dev-platform"].folder, content=changed)
    return checkov_findings({**shipped, "dev-platform": stack}, {"planned": plan(opened)})


def plan(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as ``terraform show -json`` gives it, with one storage account."""
    resource = {
        "address": f"{STORAGE}.open", "mode": "managed", "type": STORAGE, "name": "open",
        "provider_name": "registry.terraform.io/hashicorp/azurerm",
    }  # fmt: skip
    return {
        "format_version": "1.2", "terraform_version": "1.11.4",
        "planned_values": {"root_module": {"resources": [{**resource, "values": arguments}]}},
        "resource_changes": [{**resource, "change": {"actions": ["create"], "before": None, "after": arguments}}],
        "configuration": {},
    }  # fmt: skip


def test_what_checkov_finds_in_the_shipped_stacks_is_waived(found: tuple[PolicyFinding, ...]) -> None:
    """Every finding of a built-in check has a waiver with a reason; nothing else is open."""
    shipped = [finding for finding in found if not finding.resource.endswith(".open")]
    waivers = read_waivers()
    assert shipped
    assert [finding for finding in shipped if not any(waiver.covers(finding) for waiver in waivers)] == []


@pytest.mark.parametrize("found", [EVERY], indirect=True)
def test_every_shipped_waiver_of_checkov_is_used(found: tuple[PolicyFinding, ...]) -> None:
    """A waiver whose cause was mended is removed."""
    waivers = [waiver for waiver in read_waivers() if waiver.check.startswith("CKV")]
    assert [waiver for waiver in waivers if not any(waiver.covers(finding) for finding in found)] == []


def test_checkov_reports_stack_type_and_name(found: tuple[PolicyFinding, ...]) -> None:
    """An account with an old TLS version is found in the stack by its full address, and in the plan too."""
    tls = {finding.resource for finding in found if finding.check == "CKV_AZURE_44"}
    assert tls == {f"dev-platform/{STORAGE}.open", f"planned/{STORAGE}.open"}


def test_a_checkov_without_a_result_is_an_error_and_no_clean_bill(
    shipped: dict[str, SynthesizedStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash must never look like no findings."""
    monkeypatch.setattr(checkov.sys, "executable", "/bin/false")
    with pytest.raises(CheckovError, match="Checkov gave no result"):
        checkov_findings(shipped, {})


def check(*arguments: object) -> int:
    """Run the command as `python -m infra check` does."""
    return main(["check", *(str(argument) for argument in arguments)])


@pytest.fixture
def call(shipped: dict[str, SynthesizedStack], code: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return the command on the shipped stacks and this tree's code, without Checkov."""
    monkeypatch.setattr(commands, "read_wheel", lambda _path: code)
    output = shipped["account"].folder.parents[1]

    def called(*arguments: object) -> int:
        where = () if "--out" in arguments else ("--out", output)
        return check(*where, "--skip-checkov", *arguments)

    return called


def test_the_shipped_stacks_pass(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is open: exit code 0."""
    assert call() == 0
    assert "0 open" in capsys.readouterr().out


def test_what_is_open_is_answered_with_what_can_be_done() -> None:
    """A waiver where one may excuse it, a change where none does, and nothing where nothing is open."""
    opened = tuple(
        PolicyFinding(check=check, resource="dev-platform/a.b", message="x.")
        for check in ("CKV_AZURE_158", "state-is-closed", "waiver-expired")
    )
    counted, change, never = commands.report(Review(open=opened, waived=(), unused=()))[-3:]
    assert counted == "3 open, 0 waived."
    assert change.startswith("Change what CKV_AZURE_158 finds, or let its owner accept it until a day")
    assert "infra/waivers.yaml: check, resource, reason, owner, expires." in change
    assert never.startswith("No waiver excuses state-is-closed: ")
    assert commands.report(Review(open=(), waived=(), unused=())) == ["0 open, 0 waived."]


def test_an_undeclared_opening_fails_with_one_line_per_finding(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings that no longer declare the opening, stacks that still have it: exit code 1 and who reaches whom."""
    for path in (ROOT / "infra" / "settings").glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("reads: [prod]", "reads: []")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    assert call("--settings", tmp_path) == 1
    said = capsys.readouterr().out
    assert "environments-are-isolated prod-workspace/databricks_" in said
    assert "No waiver excuses environments-are-isolated" in said


def test_an_expired_waiver_fails_the_command(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even with nothing else open."""
    path = tmp_path / "waivers.yaml"
    entry = "{check: job-ends, resource: 'x/y.z', reason: it was accepted for a year, owner: me, expires: 2020-01-01}"
    path.write_text(f"waivers: [{entry}]", encoding="utf-8")
    assert call("--waivers", path) == 1
    assert "waiver-expired x/y.z: the waiver of job-ends by me ended on 2020-01-01" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--waivers", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--out", "nowhere"], "run `python -m infra synth` first"),
    ],
)
def test_what_cannot_be_looked_at_is_exit_code_2(
    arguments: list[str], sentence: str, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither passed nor failed: one sentence on standard error."""
    assert call(*arguments) == 2
    assert sentence in capsys.readouterr().err


def test_a_missing_wheel_is_exit_code_2(
    shipped: dict[str, SynthesizedStack], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The contract cannot be checked without the wheel that would be deployed."""
    output = shipped["account"].folder.parents[1]
    assert check("--out", output, "--skip-checkov", "--wheel", tmp_path / "x.whl") == 2
    assert "build it with `python -m infra wheel`" in capsys.readouterr().err
