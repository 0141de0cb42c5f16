"""Upkeep of a Delta table in a folder: fewer files, a short log, no files that nothing needs.

What goes is decided here and not by `deltalake`: its clean-up of the log goes by age alone, and so would remove the commits
of a version that is to be kept; its vacuum goes by when a file was taken out of the table, which it forgets. A version
that has a checkpoint of its own can be read without any other commit. So the log keeps, beside what is younger than the
retention, a checkpoint for each kept version; the folder keeps every file that one of these versions has.
"""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable

from pipelines.lakehouse.tables.store import Upkeep

OWN_CLEAN_UP = "delta.enableExpiredLogCleanup"
"""The property that lets `deltalake` shorten a log by itself."""
NUMBERED = re.compile(r"(\d{20})\.")
"""How the files of a log begin: with the version that they are about."""
LOG = "_delta_log"


def maintain(path: str, *, before: datetime, keep: Collection[int]) -> Upkeep:
    """Compact a table, write a checkpoint, and remove what is older than an instant and not of a kept version.

    Every step leaves a table that can be read and written, so it may be cut off anywhere and repeated.

    Parameters
    ----------
    path
        The table's folder.
    before
        Versions that were the newest at this instant or later stay.
    keep
        Older versions that stay as well; one that is gone already is left out.
    """
    table = DeltaTable(path)
    if table.metadata().configuration.get(OWN_CLEAN_UP) != "false":  # made by an older release
        table.alter.set_table_properties({OWN_CLEAN_UP: "false"})
    compacted = int(table.optimize.compact()["numFilesRemoved"])
    commits = _commits(path)
    oldest = max((version for version, at in commits.items() if at < before), default=min(commits))
    kept = tuple(sorted(version for version in set(keep) if version < oldest and _checkpointed(path, version)))
    if not _checkpointed(path, oldest):
        return Upkeep(compacted=compacted, kept=kept)
    DeltaTable(path).create_checkpoint()
    needed = {file for version in (*kept, oldest) for file in _files(path, version)}
    needed.update(file for version in commits if version > oldest for file in _added(path, version))
    removed = _remove_files(path, needed, before)
    done = Upkeep(compacted=compacted, files=removed, commits=_shorten(path, oldest, kept), kept=kept)
    remove_hint(path)
    return done


def remove_hint(path: str) -> None:
    """Remove the file that says where the last checkpoint is; without it, readers look into the log's folder.

    With it, Sail cannot read a version before that checkpoint ("Missing commit file"), and `deltalake` makes a checkpoint
    at every hundredth commit.
    """
    with suppress(OSError):  # there is none, or this process may only read
        Path(path, LOG, "_last_checkpoint").unlink()


def _commits(path: str) -> dict[int, datetime]:
    """Return when each version in the log was committed: the time of its file, which nothing changes later."""
    found = ((NUMBERED.match(file.name), file) for file in Path(path, LOG).glob("*.json"))
    return {int(number[1]): _changed(file) for number, file in found if number and file.name == f"{number[1]}.json"}


def _checkpointed(path: str, version: int) -> bool:
    """Give a version a checkpoint of its own; False if the version cannot be read any more."""
    if any(Path(path, LOG).glob(f"{version:020d}.checkpoint*.parquet")):
        return True
    try:
        DeltaTable(path, version=version).create_checkpoint()
    except Exception:  # noqa: BLE001 - deltalake has no one error for commits that are gone
        return False
    return True


def _files(path: str, version: int) -> Iterator[Path]:
    """Yield the files of a version."""
    for uri in DeltaTable(path, version=version).file_uris():
        yield Path(unquote(urlparse(uri).path) if uri.startswith("file:") else uri)


def _added(path: str, version: int) -> Iterator[Path]:
    """Yield the files that a commit added."""
    for line in Path(path, LOG, f"{version:020d}.json").read_text(encoding="utf-8").splitlines():
        if added := json.loads(line).get("add"):
            yield Path(path, unquote(added["path"]))


def _remove_files(path: str, needed: Collection[Path], before: datetime) -> int:
    """Remove data files that no version has; a young one may belong to a commit that is being made."""
    data = (file for file in Path(path).rglob("*.parquet") if LOG not in file.parts)
    unneeded = [file for file in data if file not in needed and _changed(file) < before]
    for file in unneeded:
        file.unlink(missing_ok=True)
    return len(unneeded)


def _shorten(path: str, oldest: int, kept: Collection[int]) -> int:
    """Remove the log of the versions before the oldest one, those that are kept excepted; return how many commits."""
    commits = 0
    for file in sorted(Path(path, LOG).iterdir()):
        found = NUMBERED.match(file.name)
        if found and int(found[1]) < oldest and int(found[1]) not in kept:
            file.unlink(missing_ok=True)
            commits += file.suffix == ".json"
    return commits


def _changed(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)
