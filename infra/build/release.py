"""Which code is deployed: the commit of the repository and the wheel that is built from it.

`infra.build.reproducible_wheel` builds the wheel.
"""

import hashlib
import os
import subprocess
import tomllib
from pathlib import Path

from infra.constructs.release import Release

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
REQUIREMENTS = Path("requirements", "job.txt")
"""The exact versions of what the wheel imports, with hashes; jobs install them beside the wheel."""
UNKNOWN_COMMIT = "unknown"


def current_release(root: Path = ROOT, out: Path | None = None) -> Release:
    """Return the release of the commit that is checked out, with the wheel's hash if it is built.

    Parameters
    ----------
    root
        The repository.
    out
        The folder to synthesize into, by default ``cdktf.out`` in the repository.
    """
    commit = current_commit(root)
    file_name = wheel_name(commit, root)
    path = root / "dist" / file_name
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    stack_folder = (out or root / "cdktf.out").resolve() / "stacks" / "any"

    def source(file: Path) -> str:
        return f"${{path.module}}/{Path(os.path.relpath(file, stack_folder)).as_posix()}"

    needed = root / REQUIREMENTS
    return Release(
        commit=commit,
        wheel=file_name,
        wheel_path=str(path),
        wheel_source=source(path),
        sha256=digest,
        requirements_source=source(needed),
        requirements_sha256=hashlib.sha256(needed.read_bytes()).hexdigest() if needed.exists() else "",
    )


def current_commit(root: Path = ROOT) -> str:
    """Return the full hash of the commit that is checked out, or ``unknown`` outside a repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 # git from the PATH, as every developer has it
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN_COMMIT
    return done.stdout.strip()


def wheel_version(commit: str, root: Path = ROOT) -> str:
    """Return the version of a commit's wheel: the project's version and, as local part, the commit."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['version']}+g{commit[:12]}"


def wheel_name(commit: str, root: Path = ROOT) -> str:
    """Return the file name of a commit's wheel."""
    return f"lakehouse_mlops-{wheel_version(commit, root)}-py3-none-any.whl"
