"""Builds the wheel of a commit reproducibly: the same bytes on every machine and at any time, never from the work tree.

The bytes are the same because the sources come from ``git archive``, file times from the commit (``SOURCE_DATE_EPOCH``),
and the build tools from locked requirements, and because nothing is compressed: what zlib makes of the same bytes differs
between its versions, and so between images of agents. The local part of the version is the commit, so the file name states the
content. `infra.build.release` names the file; `infra.constructs.workspace.catalog` uploads it.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from infra.build.release import ROOT, UNKNOWN_COMMIT, current_commit, current_release, wheel_version
from infra.constructs.release import Release
from ml.spec.errors import NotPossibleError

PACKED = ("pyproject.toml", "README.md", "LICENSE", "ml", "pipelines")
"""The content of the wheel; changes in the rest of the repository do not change it."""


UNIX = 3
"""The system that an archive states for its files' rights."""


class WheelBuildError(NotPossibleError):
    """The wheel cannot be built; the message has the cause and the remedy."""


def build_wheel(root: Path = ROOT, *, expect: str | None = None) -> Release:
    """Build the wheel of the commit that is checked out, into ``dist/``.

    Parameters
    ----------
    root
        The repository.
    expect
        The sha256 that it must have; None for any.

    Returns
    -------
    Release
        With the hash of the wheel's bytes.

    Raises
    ------
    WheelBuildError
        If this is not a repository, uv is missing, the build fails, or it gives another wheel than expected. An unexpected
        wheel is removed from ``dist/``, where a deployment would find it.
    """
    commit = current_commit(root)
    if commit == UNKNOWN_COMMIT:
        raise WheelBuildError(
            f"{root} is not a git repository: the wheel is built from a commit. Clone the repository."
        )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        _export(root, commit, source)
        _state_version(source / "pyproject.toml", wheel_version(commit, root))
        built = _build(source, Path(folder) / "built", root, epoch=_git(root, "show", "-s", "--format=%ct", commit))
        (root / "dist").mkdir(exist_ok=True)
        pack_uncompressed(built, root / "dist" / built.name)
    release = current_release(root)
    if release.sha256 is None:
        raise WheelBuildError(f"uv built {built.name} instead of {release.wheel}: look into {root / 'dist'}.")
    if expect is not None and release.sha256 != expect.strip().lower():
        Path(release.wheel_path).unlink()
        raise WheelBuildError(
            f"{release.wheel} has sha256 {release.sha256}, but {expect} is expected: it is removed. Check out the commit of the "
            "expected wheel and build it there."
        )
    return release


def has_uncommitted_changes(root: Path = ROOT, *, everything: bool = False) -> bool:
    """Return whether the tree differs from the commit in the content of the wheel, or (`everything`) in any file."""
    return bool(_git(root, "status", "--porcelain", "--", *(() if everything else PACKED)))


def _export(root: Path, commit: str, source: Path) -> None:
    """Unpack the wheel's content from the commit."""
    held = [name for name in PACKED if _git(root, "ls-tree", "--name-only", commit, name)]
    archive = source.with_suffix(".tar")
    _git(root, "archive", "--format=tar", f"--output={archive}", commit, *held)
    with tarfile.open(archive) as packed:
        packed.extractall(source, filter="data")
    if "README.md" not in held:
        # pyproject.toml names the file; a commit before the first README still builds.
        (source / "README.md").write_text("", encoding="utf-8")


def _state_version(pyproject: Path, version: str) -> None:
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', text, count=1), encoding="utf-8")


def pack_uncompressed(wheel: Path, target: Path) -> None:
    """Write a wheel again with the same entries in the same order, none of them compressed."""
    with zipfile.ZipFile(wheel) as packed, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as stored:
        for entry in packed.infolist():
            kept = zipfile.ZipInfo(entry.filename, entry.date_time)
            kept.external_attr, kept.create_system = entry.external_attr, UNIX
            stored.writestr(kept, packed.read(entry))


def _build(source: Path, out: Path, root: Path, epoch: str) -> Path:
    """Build the wheel of a source tree into a new folder and return it."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        raise WheelBuildError("uv is not installed: `make test` puts it into the project's own environment.")
    constraints = root / "requirements" / "build.txt"
    command = [uv, "build", "--wheel", "--quiet", "--out-dir", str(out), "--python", sys.executable]
    if constraints.exists():
        command += ["--build-constraints", str(constraints), "--require-hashes"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    done = subprocess.run(  # noqa: S603 # uv with arguments of ours
        [*command, str(source)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise WheelBuildError(f"uv build failed: {done.stderr.strip()}")
    (built,) = out.glob("*.whl")
    return built


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 # git, as above
    if done.returncode != 0:
        raise WheelBuildError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
