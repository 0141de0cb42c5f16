"""The paths that changed since a commit, as git reports them."""

import subprocess
from pathlib import Path

from infra.build.release import ROOT

NO_COMMIT = "none"


def changed_paths(base: str, root: Path = ROOT) -> tuple[str, ...] | None:
    """Return the paths that differ between a commit and the one that is checked out.

    Parameters
    ----------
    base
        A commit, branch or tag; ``none`` where nothing was deployed yet.
    root
        The repository.

    Returns
    -------
    tuple of str or None
        Both names of a renamed file. None if the repository does not contain `base`, for example after the history was
        rewritten or in a shallow clone.
    """
    if base == NO_COMMIT or not _git(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"
    ):
        return None
    listed = _git(root, "diff", "--name-only", "--no-renames", "-z", "--end-of-options", base, "HEAD")
    return None if listed is None else tuple(path for path in listed.split("\0") if path)


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git printed; None if it failed."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 # git, as in `infra.build.reproducible_wheel`
    return done.stdout if done.returncode == 0 else None
