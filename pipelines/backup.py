"""Copies of all local environments: made while no job runs, checked file by file, restored in one step.

A backup is of the whole root, because the environments share one registry and a delivered model refers to the run of
another environment. It is a folder: the files under ``files``, and ``manifest.json`` with the SHA-256 of each. Times of
files are kept, because maintenance goes by them.
"""

import datetime as dt
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ml.spec.errors import LakehouseError, RequestError
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import jobs
from pipelines.execution.locks import hold

MANIFEST, FILES = "manifest.json", "files"
FORMAT = 1
LOCKS = "locks"
"""The folder of an environment that belongs to running processes and is in no backup."""
SQLITE = ".db"
SIDE_FILES = ("-wal", "-shm", "-journal")
"""How the files end that SQLite keeps beside a database; its own copy includes them."""
CHUNK = 1 << 20


class BackupError(LakehouseError):
    """A backup that cannot be made or restored; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What was copied: from where or to where, how many files, how many bytes."""

    root: Path
    files: int
    size: int


def back_up(root: Path, to: Path) -> Copied:
    """Copy every environment under a root into a new folder.

    All jobs' locks are held meanwhile, so what is copied is of one moment.

    Parameters
    ----------
    root
        The folder of all local environments.
    to
        The folder to make; it must not exist, or be empty.

    Raises
    ------
    BackupError
        If there is nothing to copy, the target is in use or inside the root, or a file is a link.
    LockHeldError
        If a job is running, with who runs it.
    """
    root, to = root.resolve(), to.resolve()
    environments = [root / env.catalog for env in ENVIRONMENTS.values() if (root / env.catalog).is_dir()]
    if not environments:
        raise BackupError(f"{root} holds no environment, so there is nothing to back up: name another --root.")
    if to == root or root in to.parents:
        raise BackupError(f"{to} is inside {root}: a backup must not contain itself. Name a folder elsewhere.")
    _require_empty(to, "a backup goes into a new folder")
    with _no_job_runs(root), _complete(to) as folder:
        stored = {name: _copy(root / name, folder / FILES / name) for name in _names(root)}
        manifest = {
            "format": FORMAT, "root": str(root), "made_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "files": stored,
        }  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    return Copied(root=root, files=len(stored), size=sum(file["bytes"] for file in stored.values()))


def restore(backup: Path, root: Path) -> Copied:
    """Bring a backup back to where it was made; nothing is written unless every file is as it was.

    The root appears in one step. Runs and models name their files by absolute path, so no other root will do.

    Raises
    ------
    RequestError
        If the folder is no backup.
    BackupError
        If the backup is damaged, was made of another root, or the root is not empty.
    """
    backup, root = backup.resolve(), root.resolve()
    manifest = _manifest(backup)
    if manifest["root"] != str(root):
        raise BackupError(
            f"{backup} is a backup of {manifest['root']}, and its models name their files by that path: they would not "
            f"be found under {root}. Restore with --root {manifest['root']}."
        )
    _require_empty(root, "a restore overwrites nothing")
    if damage := _damage(backup, manifest["files"]):
        shown = "; ".join(damage[:5]) + (f"; and {len(damage) - 5} more" if len(damage) > 5 else "")
        raise BackupError(f"{backup} is damaged: {shown}. Nothing was restored: use another backup.")
    with _complete(root) as folder:
        for name, stored in manifest["files"].items():
            copied = _copy(backup / FILES / name, folder / name)
            if copied["sha256"] != stored["sha256"]:
                raise BackupError(f"{name} changed while it was being restored from {backup}. Nothing was restored.")
    size = sum(file["bytes"] for file in manifest["files"].values())
    return Copied(root=root, files=len(manifest["files"]), size=size)


@contextmanager
def _no_job_runs(root: Path) -> Iterator[None]:
    """Hold the locks of all jobs of all environments, also of those that are declared no more."""
    declared = {job.address for job in jobs()}
    with ExitStack() as held:
        for environment in ENVIRONMENTS.values():
            folder = root / environment.catalog
            if folder.is_dir():
                known = {file.name.removesuffix(".lock") for file in (folder / LOCKS).glob("*.lock")}
                for job in sorted(declared | known):
                    held.enter_context(hold(folder, job, environment=environment.name, run_id=f"backup {os.getpid()}"))
        yield


def _names(root: Path) -> list[str]:
    """Return the files to copy, relative to the root."""
    names = []
    for file in sorted(root.rglob("*")):
        if file.is_symlink():
            raise BackupError(f"{file} is a link, which a backup cannot hold: put the file itself there.")
        relative = file.relative_to(root)
        in_locks = len(relative.parts) > 1 and relative.parts[1] == LOCKS
        if file.is_file() and not in_locks and not file.name.endswith(SIDE_FILES):
            names.append(relative.as_posix())
    return names


def _copy(source: Path, target: Path) -> dict[str, Any]:
    """Copy a file with its times; return what the manifest says of it. SQLite copies its own databases."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == SQLITE:
        with closing(sqlite3.connect(source)) as open_source, closing(sqlite3.connect(target)) as open_target:
            open_source.backup(open_target)
        shutil.copystat(source, target)
    else:
        shutil.copy2(source, target)
    return {"sha256": _digest(target), "bytes": target.stat().st_size}


def _manifest(backup: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
        if found["format"] == FORMAT and {"root", "files"} <= found.keys():
            return found
    except FileNotFoundError:
        what = f"{backup} has no {MANIFEST}" if backup.is_dir() else f"there is no folder {backup}"
        raise RequestError(f"{what}, so it is no backup: name the folder that `backup --to FOLDER` made.") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise BackupError(f"{backup / MANIFEST} is not the manifest of a backup of format {FORMAT}: use another backup.")


def _damage(backup: Path, files: dict[str, Any]) -> list[str]:
    """Return what is wrong with the files of a backup; empty if nothing is."""
    present = {file.relative_to(backup / FILES).as_posix() for file in (backup / FILES).rglob("*") if file.is_file()}
    wrong = [f"{name} is missing" for name in sorted(files.keys() - present)]
    wrong += [f"{name} is not in the manifest" for name in sorted(present - files.keys())]
    same = sorted(files.keys() & present)
    return wrong + [f"{name} was altered" for name in same if _digest(backup / FILES / name) != files[name]["sha256"]]


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(CHUNK):
            found.update(part)
    return found.hexdigest()


def _require_empty(folder: Path, why: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} exists and is not empty, and {why}: name another folder, or move that one away.")


@contextmanager
def _complete(folder: Path) -> Iterator[Path]:
    """Give a folder beside another one that takes its place at the end; after an error nothing is left of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        made = Path(beside, "new")
        made.mkdir()
        yield made
        if folder.exists():
            folder.rmdir()  # empty, as was asked for
        made.rename(folder)
