"""Make a version of the product: its number and its section of the changes.

The tag comes after the merge; its commands are printed.

Examples
--------
  python -m infra version
  python -m infra version 0.2.0
"""

import datetime as dt
import subprocess
import sys
from typing import Annotated

import typer

from infra.build.release import ROOT
from infra.build.versioning import new_version, stated_version

EPILOG = "How a version is released is in CONTRIBUTING.md. An environment is released by `apply`, whatever the version."


def run(
    number: Annotated[
        str | None, typer.Argument(metavar="NUMBER", help="MAJOR.MINOR.PATCH. Default: print the stated one.")
    ] = None,
) -> int:
    """Write the version into pyproject.toml and CHANGELOG.md, and print the commands that release it."""
    project, changes = ROOT / "pyproject.toml", ROOT / "CHANGELOG.md"
    texts = project.read_text(encoding="utf-8"), changes.read_text(encoding="utf-8")
    if number is None:
        print(stated_version(texts[0]))
        return 0
    tags = subprocess.run(["git", "tag", "--list"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607 - git from the PATH
    made = new_version(
        number,
        project=texts[0],
        changes=texts[1],
        tags=tuple(tags.stdout.split()),
        today=dt.datetime.now(dt.UTC).date(),
    )
    if made.mistakes:
        for mistake in made.mistakes:
            print(f"error: {mistake}.", file=sys.stderr)
        return 2
    project.write_text(made.project, encoding="utf-8")
    changes.write_text(made.changes, encoding="utf-8")
    print(f"{number} is in pyproject.toml and CHANGELOG.md. Merge both by a pull request, then on the merged commit:")
    print(f'git tag --annotate {made.tag} --message "Version {number}"\ngit push origin {made.tag}')
    return 0
