"""Finds a delivered file, plain, gzipped or in a zip file, and returns what it holds."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath

import pyarrow as pa

from ml.spec.errors import LakehouseError

ENDINGS = {"": "none", ".gz": "gzip", ".zip": "zip"}
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, pa.ArrowException)
"""What a damaged, encrypted or unknown archive raises while it is read."""


class SourceError(LakehouseError):
    """A delivery that cannot be read at all; none of its rows are ingested."""


def found(folder: Path, name: str) -> list[Path]:
    """Return the files that hold a named file: itself, ``<name>.gz`` and ``<name>.zip``, as far as they exist."""
    return [path for ending in ENDINGS if (path := folder / f"{name}{ending}").is_file()]


def opened(folder: Path, name: str, compression: str) -> bytes:
    """Return the content of a file, without compression.

    Raises
    ------
    SourceError
        If it is not there, there twice, or cannot be decompressed.
    """
    files = found(folder, name)
    if not files:
        raise SourceError(
            f"no {name}, {name}.gz or {name}.zip in {folder}: name the folder, of a run with --param location=FOLDER, of "
            "first-run and backfill with --location FOLDER."
        )
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        raise SourceError(f"{folder} has {names}, and only one of them can be the delivery: keep one.")
    (path,) = files
    packed = ENDINGS.get(path.suffix, "none") if compression == "by name" else compression
    try:
        if packed == "zip":
            return _from_zip(path, name.removesuffix(".zip"))
        return bytes(pa.input_stream(path, compression="gzip" if packed == "gzip" else None).read())
    except _DAMAGES as error:
        reason = (str(error).strip() or "it ends too early").splitlines()[0]
        raise SourceError(
            f"{path.name} in {folder} is not a readable {_kind(packed)} ({reason}): deliver it again."
        ) from error


def _kind(packed: str) -> str:
    return "file" if packed == "none" else f"{packed} file"


def _from_zip(path: Path, name: str) -> bytes:
    """Return the one file of a name that a zip file holds, in whichever folder."""
    with zipfile.ZipFile(path) as archive:
        files = [one for one in archive.namelist() if not one.endswith("/")]
        named = [one for one in files if PurePosixPath(one).name == name]
        if len(named) != 1:
            held = ", ".join(files[:10]) or "nothing"
            raise SourceError(f"{path.name} in {path.parent} holds {held}: deliver exactly one {name} in it.")
        return archive.read(named[0])
