"""``review``: say what the working tree means in each environment, compared with a commit or by Terraform's plans."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import ROOT, current_commit, current_release
from infra.build.reproducible_wheel import PACKED
from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.releases.rebuild import checked_out, merge_base, synthesize_checkout
from infra.review.comparing import Meaning, SynthesizedEstate, compare
from infra.review.markdown import comment
from infra.review.plans import joined, meaning_of_plans, read_plans
from infra.review.strictness import looser_in_prod
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from ml.spec.errors import RequestError
from pipelines.declarations.registry import use_cases

BRANCHES = ("origin/main", "main")


EPILOG = "Exit codes: 0 reviewed, with or without changes; 2 not possible."


def run(
    more_plans: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Further files for --plan.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="REF",
            help="Compare with where the tree left this commit or branch. Default: origin/main, main.",
        ),
    ] = None,
    plan: Annotated[
        list[Path] | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Use these plans, <stack>.json each, for their stacks: `plan --json` or `--keep` wrote them.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the Markdown there, for `comment`.")
    ] = None,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Compare and print, and write the Markdown if a file is given."""
    if more_plans and not plan:
        raise RequestError(f"{more_plans[0]} belongs to no option: write --plan before the first plan.")
    plans = read_plans([*(plan or ()), *(more_plans or ())])
    commit = merge_base(ROOT, *((base,) if base else BRANCHES))
    meanings, after = reviewed(commit, settings, plans)
    text = comment(meanings, [*notes(commit, plans), *looser_notes(after)])
    print(text, end="")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    return 0


def looser_notes(stacks: Mapping[str, SynthesizedStack]) -> list[str]:
    """Return what prod has looser than staging, a paragraph; nothing if it is at least as strict."""
    found = looser_in_prod(stacks)
    return ["**Looser in prod than in staging:** " + "; ".join(looser.sentence for looser in found)] if found else []


def reviewed(
    base: str, settings: Path, plans: Mapping[str, Mapping[str, object]]
) -> tuple[Mapping[str, Meaning], Mapping[str, SynthesizedStack]]:
    """Return what the tree means beside a commit, with what plans mean for the stacks that they plan, and the tree's stacks."""
    with tempfile.TemporaryDirectory() as folder, checked_out(base, ROOT) as tree:
        synthesize(stacks(load_settings(settings), use_cases(), current_release()), Path(folder) / "after")
        after = read_stacks(Path(folder) / "after")
        before = synthesize_checkout(tree, ROOT)
    compared = compare(
        SynthesizedEstate(stacks={name: stack for name, stack in before.items() if name not in plans}, commit=base),
        SynthesizedEstate(
            stacks={name: stack for name, stack in after.items() if name not in plans}, commit=current_commit(ROOT)
        ),
    )
    planned = meaning_of_plans(plans)
    names = [*compared, *(name for name in planned if name not in compared)]
    return {name: joined(compared.get(name, Meaning()), planned.get(name, Meaning())) for name in names}, after


def notes(base: str, plans: Mapping[str, object]) -> list[str]:
    """Return what was compared, and whether the code of the jobs changes."""
    lines = [
        f"Compared with {base[:12]}: the synthesized stacks, without the commit that each deployment writes again."
    ]
    if plans:
        lines.append(f"By Terraform's plan against what exists: {', '.join(sorted(plans))}.")
    code = _changed_code(base)
    lines.append(
        f"The code of the jobs changes in {len(code)} file{'s' if len(code) > 1 else ''}: each deployment takes it along."
        if code
        else "The code of the jobs does not change."
    )
    return lines


def _changed_code(base: str) -> list[str]:
    command = ["git", "diff", "--name-only", base, "--", *(name for name in PACKED if name != "README.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 # git, our arguments
    return done.stdout.split()
