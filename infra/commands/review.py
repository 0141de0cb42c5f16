"""``review``: say what the working tree means in each environment, compared with a commit or by Terraform's plans."""

import argparse
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra.build.release import ROOT, current_commit, current_release
from infra.build.reproducible_wheel import PACKED
from infra.commands.releasing import reporting_refusals
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.releases.rebuild import checked_out, merge_base, synthesize_checkout
from infra.review.comparing import Meaning, SynthesizedEstate, compare
from infra.review.markdown import comment
from infra.review.plans import joined, meaning_of_plans, read_plans
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases

BRANCHES = ("origin/main", "main")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--base",
        metavar="REF",
        help="compare with where the tree left this commit or branch; default: origin/main, main",
    )
    parser.add_argument(
        "--plan", type=Path, nargs="+", default=[], metavar="FILE",
        help="believe these plans, <stack>.json each, for their stacks: what `plan --json` or `--keep` wrote",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the Markdown there, for `comment`")
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")
    parser.epilog = "Exit codes: 0 reviewed, whatever it found; 2 not possible."


def run(args: argparse.Namespace) -> int:
    """Compare and print, and write where asked to."""
    return reporting_refusals(lambda: _review(args))


def _review(args: argparse.Namespace) -> int:
    plans = read_plans(args.plan)
    base = merge_base(ROOT, *((args.base,) if args.base else BRANCHES))
    text = comment(reviewed(base, args.settings, plans), notes(base, plans))
    print(text, end="")
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, encoding="utf-8")
    return 0


def reviewed(base: str, settings: Path, plans: Mapping[str, Mapping[str, object]]) -> Mapping[str, Meaning]:
    """Return what the tree means beside a commit, and what plans mean for the stacks that they plan."""
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
    return {name: joined(compared.get(name, Meaning()), planned.get(name, Meaning())) for name in names}


def notes(base: str, plans: Mapping[str, object]) -> list[str]:
    """Return what was compared, and whether the code of the jobs changes."""
    told = [f"Compared with {base[:12]}: the synthesized stacks, without the commit that each deployment writes anew."]
    if plans:
        told.append(f"By Terraform's plan against what exists: {', '.join(sorted(plans))}.")
    code = _changed_code(base)
    told.append(
        f"The code of the jobs changes in {len(code)} file{'s' if len(code) > 1 else ''}: each deployment takes it along."
        if code
        else "The code of the jobs does not change."
    )
    return told


def _changed_code(base: str) -> list[str]:
    command = ["git", "diff", "--name-only", base, "--", *(name for name in PACKED if name != "README.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 # git, our arguments
    return done.stdout.split()
