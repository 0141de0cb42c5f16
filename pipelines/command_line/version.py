"""Version and commit of the product: those of the installed wheel, or of the source tree that runs."""

import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

PACKAGE = "lakehouse-mlops"
TREE = Path(__file__).parents[2]


def version_number() -> str:
    """Return the three numbers of the version, as `pyproject.toml` states them."""
    return _stated()[0]


def version() -> str:
    """Return the version and the commit in words."""
    number, commit = _stated()
    return f"{number} (source tree, commit {_checked_out()})" if commit is None else f"{number} (commit {commit})"


def _stated() -> tuple[str, str | None]:
    """Return number and commit of the wheel; the number and None of a source tree."""
    try:
        number, _, commit = metadata.version(PACKAGE).partition("+g")
    except metadata.PackageNotFoundError:
        project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"]), None
    return number, commit or "unknown"


def _checked_out() -> str:
    """Return the first twelve digits of the commit that is checked out, as in the version of a wheel."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607 - git from the PATH, as every developer has it
            cwd=TREE, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
