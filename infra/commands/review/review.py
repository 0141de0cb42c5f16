"""Say what the working tree means in each environment, compared with a commit or by Terraform's plans.

Examples
--------
  python -m infra review
  python -m infra review --base origin/main --out build/review/review.md
  python -m infra review --plan build/plan/prod-platform.json build/plan/prod-workspace.json
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import ROOT
from infra.commands.options import SettingsFolder
from infra.commands.review.reviewing import reviewed
from infra.config.loading import FOLDER
from infra.releases.rebuild import merge_base
from infra.review.as_json import as_json
from infra.review.markdown import comment
from infra.review.page import page
from infra.review.plans import deferred, read_plans
from infra.review.record import EXIT_CODES, ReviewSeverity
from ml.spec.errors import RequestError

BRANCHES = ("origin/main", "main")
EPILOG = (
    "Exit codes: 0 reviewed, with or without changes; 2 not possible. With --exit-code also "
    f"{EXIT_CODES[ReviewSeverity.MEDIUM]} for severity medium (something is loosened, waived, dearer, or somebody gains a right) and "
    f"{EXIT_CODES[ReviewSeverity.HIGH]} for severity high (data at risk, a path between environments opened, more power over prod)."
)


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
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the whole record there, as JSON.")
    ] = None,
    page_file: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Write a page there that needs no other file.")
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with a code that tells the severity of the change.")
    ] = False,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Compare and print, and write what a file is given for."""
    if more_plans and not plan:
        raise RequestError(f"{more_plans[0]} belongs to no option: write --plan before the first plan.")
    files = [*(plan or ()), *(more_plans or ())]
    plans = read_plans(files)
    for stack, outputs in deferred(files).items():
        note = f"note: {stack} is not planned yet, it waits for {', '.join(outputs)}; its files are compared"
        print(note, file=sys.stderr)
    commit = merge_base(ROOT, *((base,) if base else BRANCHES))
    record = reviewed(commit, settings, plans)
    text = comment(record)
    print(text, end="")
    for file, content in ((out, text), (json_file, as_json(record)), (page_file, page(record))):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
    return EXIT_CODES[record.severity] if exit_code else 0
