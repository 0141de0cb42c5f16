"""The environment of a task: its own interpreter, into which the deployed wheel is installed as a cluster installs it.

The packages that the wheel needs are those of the interpreter that serves the cloud, because no index is asked; the
delivered file of requirements is compared with them, and a difference fails the installation as it does on a cluster.
"""

import hashlib
import importlib.metadata
import shutil
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml.spec.errors import LakehouseError

SCRIPT = "on_cluster.py"


class LibraryInstallationError(LakehouseError):
    """A library of a task that cannot be installed; the task does not start."""


@dataclass(frozen=True, kw_only=True)
class Libraries:
    """What a task installs: the bytes of its wheel with their file name, and its pinned requirements."""

    wheel: str
    content: bytes
    requirements: str = ""


def installed(libraries: Libraries, folder: Path) -> Path:
    """Return the interpreter of an environment with a wheel, made once for the same bytes.

    Raises
    ------
    LibraryInstallationError
        If the wheel is none, or a required package is missing here or has another version.
    """
    unmet = list(_unmet(libraries.requirements))
    if unmet:
        raise LibraryInstallationError(
            f"requirements of {libraries.wheel} that are not installed here: {', '.join(unmet)}."
        )
    place = folder / hashlib.sha256(libraries.content).hexdigest()[:16]
    if not place.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            _make(libraries, Path(made) / "environment")
            shutil.move(Path(made) / "environment", place)
    return place / "bin" / "python"


def _make(libraries: Libraries, place: Path) -> None:
    venv.EnvBuilder(with_pip=False, symlinks=True).create(place)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    archive = place / libraries.wheel
    archive.write_bytes(libraries.content)
    try:
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(packages)
    except zipfile.BadZipFile as error:
        raise LibraryInstallationError(f"{libraries.wheel} is not a wheel: {error}.") from error
    shared = "\n".join(dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))
    (packages / "platform.pth").write_text(f"{shared}\n", encoding="utf-8")


def _unmet(requirements: str) -> Iterator[str]:
    """Yield every pinned requirement that this interpreter does not have in exactly that version."""
    for line in requirements.splitlines():
        stated = line.partition(" \\")[0].partition(" #")[0].strip()
        if not stated or stated.startswith(("#", "-")):
            continue
        from packaging.requirements import Requirement

        wanted = Requirement(stated)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if not found or found not in wanted.specifier:
            yield f"{wanted} (found {found or 'none'})"
