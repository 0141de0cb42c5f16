"""Check every stack against policy, ours and Checkov's, with the waivers that hold today.

Examples
--------
  python -m infra check
  python -m infra check --judged-by main
"""

import datetime as dt
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.build.release import ROOT
from infra.build.wheel_content import read_wheel
from infra.checks.checkov import checkov_findings
from infra.checks.contract import contract_findings, deployed_wheels
from infra.checks.finding import PolicyFinding, Stacks
from infra.checks.registry import findings
from infra.checks.secrets import secrets_in_files
from infra.checks.security_analysis import coverage_table
from infra.checks.state_storage import state_findings
from infra.checks.waivers import EXPIRED, NEVER, TOO_LONG, WAIVERS, Review, Waiver, read_waivers, review
from infra.commands.options import OUT, SettingsFolder, SynthesizedFolder, WaiversFile
from infra.commands.review.judge import CEILINGS, judge, judges_of, last_release
from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.offline.runs import plan_offline
from infra.releases.rebuild import merge_base
from infra.terraform_cli.synthesized import read_stacks
from ml.spec.errors import RequestError
from pipelines.declarations.registry import jobs, use_cases


def run(
    out: SynthesizedFolder = OUT,
    settings: SettingsFolder = FOLDER,
    wheel: Annotated[
        Path | None,
        typer.Option(
            "--wheel",
            metavar="FILE",
            help="The wheel to compare the jobs with. Default: the one that the stacks upload.",
        ),
    ] = None,
    waivers: WaiversFile = WAIVERS,
    plans: Annotated[bool, typer.Option("--plans", help="Let Checkov see offline plans too; needs Terraform.")] = False,
    skip_checkov: Annotated[bool, typer.Option("--skip-checkov", help="Our own checks only, in a second.")] = False,
    judged_by: Annotated[
        str | None,
        typer.Option(
            "--judged-by",
            metavar="REF",
            help="Take checks, ceilings and waivers from where the tree left this commit or branch; @FILE reads it from a "
            "file, which is missing before the first release.",
        ),
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Print which checks of the Security Analysis Tool are decided here, and stop."),
    ] = False,
) -> int:
    """Check; 1 if a finding is open, 2 if something could not be read."""
    if coverage:
        print("\n".join(coverage_table()))
        return 0
    if judged_by is not None:
        commit = _judging_commit(judged_by)
        if commit is not None:
            return _judged(commit, out=out, settings=settings, wheel=wheel, skip_checkov=skip_checkov)
    if plans and skip_checkov:
        raise RequestError("--plans is for Checkov, and --skip-checkov leaves it out: give one of them.")
    stacks = read_stacks(out)
    accepted = read_waivers(waivers)
    found = own_findings(stacks, load_settings(settings), wheel, out)
    if not skip_checkov:
        found = (*found, *checkov_findings(stacks, _plans(stacks) if plans else {}))
    reviewed = review(found, accepted, dt.datetime.now(tz=dt.UTC).date())
    print("\n".join(report(reviewed, skipped_checkov=skip_checkov)))
    return int(bool(reviewed.open))


def own_findings(
    stacks: Stacks, settings: Settings, wheel: Path | None = None, out: Path = Path("cdktf.out")
) -> tuple[PolicyFinding, ...]:
    """Return what our checks, the isolation proof and the contract with the code find.

    Parameters
    ----------
    wheel
        The wheel to hold the jobs to; None for what the stacks upload.
    out
        Where the stacks were synthesized; the wheel's place is stated from there.
    """
    wheels = {wheel} if wheel else set(deployed_wheels(stacks, out).values())
    contract = [f for path in sorted(wheels) for f in contract_findings(stacks, read_wheel(path), jobs())]
    return (*findings(stacks, settings, use_cases()), *state_findings(settings), *_secrets_in_text(), *contract)


TEXTS = ("infra/settings/*.yaml", "infra/*.yaml", ".azuredevops/**/*.yml", ".azuredevops/*.sh")
"""What is kept as text beside the code, and must hold no secret either."""


def _secrets_in_text() -> tuple[PolicyFinding, ...]:
    return secrets_in_files([file for pattern in TEXTS for file in ROOT.glob(pattern)], ROOT)


def _judging_commit(named: str) -> str | None:
    """Return the commit that judges; None if there is none yet, which is said: then the tree's own checks decide."""
    base = last_release(Path(named.removeprefix("@")), ROOT) if named.startswith("@") else named
    if base is None:
        print(
            "judged by its own checks, ceilings and waivers: there was no release yet, this is the first one.",
            flush=True,
        )
        return None
    commit = merge_base(ROOT, base)
    if CEILINGS in judges_of(commit, ROOT):
        return commit
    print(
        f"judged by its own checks, ceilings and waivers: commit {commit[:12]} has none, so this change brings the first "
        f"{CEILINGS}, and who reviews it decides on them.",
        flush=True,
    )
    return None


def _judged(commit: str, *, out: Path, settings: Path, wheel: Path | None, skip_checkov: bool) -> int:
    """Check with the checks, ceilings and waivers of a commit of the tree's history."""
    print(f"judged by the checks, ceilings and waivers of {commit[:12]}:", flush=True)
    found = [wheel] if wheel else list(deployed_wheels(read_stacks(out), out).values())[:1]
    paths = [
        *(("--wheel", str(one.resolve())) for one in found),
        ("--out", str(out.resolve())),
        ("--settings", str(settings.resolve())),
    ]
    words = [word for pair in paths for word in pair] + (["--skip-checkov"] if skip_checkov else [])
    return judge(commit, ROOT, words)


def report(reviewed: Review, *, skipped_checkov: bool = False) -> list[str]:
    """Return the lines that `check` prints."""
    lines = [*_lines(reviewed.open)]
    covered: dict[Waiver, list[str]] = {}
    for finding, waiver in reviewed.waived:
        covered.setdefault(waiver, []).append(finding.resource)
    for waiver, where in covered.items():
        lines.append(
            f"waived until {waiver.expires} by {waiver.owner}: {waiver.check} {', '.join(where)}: {waiver.reason}"
        )
    if not skipped_checkov:
        lines += [f"unused waiver: {w.check} {w.resource} ({w.owner}); remove it." for w in reviewed.unused]
    lines.append(f"{len(reviewed.open)} open, {len(reviewed.waived)} waived.")
    checks = {finding.check for finding in reviewed.open} - {EXPIRED, TOO_LONG}
    if accepted := sorted(checks - NEVER):
        lines.append(
            f"Change what {', '.join(accepted)} finds, or let its owner accept it until a day by an entry in "
            f"infra/{WAIVERS.name}: check, resource, reason, owner, expires."
        )
    if refused := sorted(checks & NEVER):
        lines.append(
            f"No waiver excuses {', '.join(refused)}: change the settings, or the ceilings in infra/ceilings.yaml with "
            "whoever owns them."
        )
    return lines


def _lines(found: Iterable[PolicyFinding]) -> list[str]:
    return [f"{finding.check} {finding.resource}: {finding.message}" for finding in found]


def _plans(stacks: Stacks) -> dict[str, Mapping[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return {name: planned.content for name, planned in plan_offline(stacks, Path(folder)).items()}
