"""Says which table of a folder is damaged, what of it, since when, and how to restore it, before anything is decided on it.

An empty commit is no error to the library that reads the log: it hides what the commit had written. A file that is gone
is noticed only when its rows are computed. So the log and the files it names are looked at before each call of a store;
errors that arise all the same are said in the same form.
"""

import functools
import json
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.spec.errors import LakehouseError
from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.checksums import keep_checksums, require_checksum
from pipelines.lakehouse.tables.store import TableStore

Files = Callable[[Table, int | None], Iterable[tuple[str, int]]]
LOG = "_delta_log"
DIGITS = 20
COMMIT = re.compile(rf"\d{{{DIGITS}}}\.json")
LOOKS_AT_ROWS = frozenset({"facts", "conform"})
"""The calls of a store that touch no table."""
LOOKS = LOOKS_AT_ROWS | {"columns", "version", "read", "history", "stream", "commit_digest", "added"}
"""The calls of a store that write nothing."""
NEEDS_MORE = re.compile(
    r"Unsupported (minimum )?(reader|writer|table feature)|features? .*not supported|DELTA_(INVALID_PROTOCOL|UNSUPPORTED_FEATURES)",
    re.IGNORECASE,
)
"""How the libraries say that a table has a later protocol or a feature that they do not know."""
UNREADABLE = re.compile(
    r"Kernel error|Json error|log segment|Parquet (argument )?error|Object Store error|DELTA_.*(LOG|CHECKSUM|FILE)"
)
"""How they say that they cannot read a file of the table."""


class TableDamageError(LakehouseError):
    """A table whose log or files are not what was written; nothing was read or written."""


class UnsupportedTableError(LakehouseError):
    """A table that a later or another program has changed to a form that this engine cannot use."""


class GuardedStore:
    """A store of tables in folders that refuses what is damaged; every other answer is the store's own.

    Parameters
    ----------
    store
        Whose calls are guarded: those that name a table.
    folder
        Where the tables are, as ``<schema>/<table>``.
    shown
        The same folder by the name that people know.
    files
        How to learn the names and sizes of a table's files at a version, by default the newest; None where the engine
        itself compares files with their checksums.
    """

    def __init__(self, store: TableStore, folder: Path, shown: Path, *, files: Files | None) -> None:
        self._store = store
        self._folder = folder
        self._shown = shown
        self._files = files

    def __getattr__(self, name: str) -> Any:
        """Return a method of the store that looks at its table first."""
        found = getattr(self._store, name)
        return found if name.startswith("_") or not callable(found) else functools.partial(self._guarded, name, found)

    def _guarded(self, name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        table = next((value for value in (*given, *named.values()) if isinstance(value, Table)), None)
        if table is None:
            return method(*given, **named)
        place, shown = (folder / table.schema / table.name for folder in (self._folder, self._shown))
        try:
            return self._looked_after(name, method, table, place, shown, given, named)
        except LakehouseError:
            raise
        except Exception as error:
            said = explained(error, table, place, shown, self._files)
            if said is None:
                raise
            raise said from error

    def _looked_after(
        self,
        name: str,
        method: Callable[..., Any],
        table: Table,
        place: Path,
        shown: Path,
        given: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        if name not in LOOKS_AT_ROWS:
            require_sound_log(table, place, shown)
        if name == "read" and self._files is not None:
            require_files(table, place, shown, self._files(table, named.get("version", given[-1])))
        done = method(*given, **named)
        if name not in LOOKS and self._files is not None:
            keep_checksums(place, [file for file, _ in self._files(table, None)])
        return done


def require_sound_log(table: Table, place: Path, shown: Path) -> None:
    """Refuse a log with an empty commit, a missing one after the newest checkpoint, or a newest one that is torn.

    Raises
    ------
    TableDamageError
        With the commit, its time, and the version to go back to.
    """
    commits = dict(_commits(place))
    if not commits:
        return
    newest, checkpoint = max(commits), _newest_checkpoint(place)
    for version in range(min(commits), newest + 1):
        what = _fault(commits.get(version), is_newest=version == newest)
        # Maintenance removes commits that a later checkpoint makes unnecessary.
        if not what or (version not in commits and version <= checkpoint):
            continue
        if version < newest or version not in commits:
            raise TableDamageError(
                f"table {table.address}: the commit of version {version}{_time(commits.get(version))} is {what}, and later "
                f"ones build on it: restore {shown} from a backup, or move its commits from that one on away, which "
                f"restores version {version - 1}, and run the jobs that write the table again."
            )
        commit = shown / LOG / commits[version].name
        raise TableDamageError(
            f"table {table.address}: the commit of version {version}{_time(commits[version])} is {what}, as after a power failure "
            f"or on a full disk; what is before it is sound: restore version {version - 1} by `mv '{commit}' "
            f"'{commit}.damaged'` and run the job that wrote the table again."
        )


def require_files(table: Table, place: Path, shown: Path, files: Iterable[tuple[str, int]]) -> None:
    """Refuse files that are missing, have another size in bytes than was written, or do not fit their checksums.

    Raises
    ------
    TableDamageError
        With the file, when it was written, and the version to go back to.
    """
    for name, size in files:
        file = place / name
        if not file.exists():
            what = "is missing"
        elif file.stat().st_size != size:
            what = f"has {file.stat().st_size:,} bytes instead of {size:,}"
        else:
            what = require_checksum(file)
        if what:
            raise TableDamageError(
                f"table {table.address}: the file {name}{_since(place, name)} {what}: {_restore(place, shown, name)}"
            )


def explained(error: Exception, table: Table, place: Path, shown: Path, files: Files | None) -> LakehouseError | None:
    """Return a library's error about a table as a sentence; None if it is about something else."""
    text = textwrap.shorten(re.split(r"\n|\s+0: <unknown>", str(error))[0], 240)
    if NEEDS_MORE.search(text):
        version = next((number for number, file in _newest_first(place) if '"protocol"' in file.read_text()), None)
        since = "" if version is None else f" since version {version}{_time(dict(_commits(place))[version])}"
        return UnsupportedTableError(
            f"table {table.address} has a form{since} that this engine cannot use ({text}): use --engine spark, drop the "
            f"feature there (ALTER TABLE delta.`{shown}` DROP FEATURE), or restore the table from a backup of before."
        )
    if UNREADABLE.search(text):
        newest = max(dict(_commits(place)), default=0)
        try:
            require_files(table, place, shown, files(table, None) if files else ())
        except TableDamageError as damage:
            return damage
        except Exception:  # noqa: BLE001, S110 - the log itself cannot be read: the first error says so
            pass
        return TableDamageError(
            f"table {table.address} at version {newest} cannot be read ({text}): restore {shown} from a backup."
        )
    return None


def _commits(place: Path) -> Iterator[tuple[int, os.DirEntry[str]]]:
    if not (place / LOG).is_dir():
        return
    with os.scandir(place / LOG) as entries:  # thousands: no path is made of each
        for entry in entries:
            if COMMIT.fullmatch(entry.name):
                yield int(entry.name[:DIGITS]), entry


def _newest_checkpoint(place: Path) -> int:
    """Return the version of the newest checkpoint; -1 if there is none."""
    return max((int(file.name[:DIGITS]) for file in (place / LOG).glob("*.checkpoint*.parquet")), default=-1)


def _newest_first(place: Path) -> list[tuple[int, Path]]:
    return sorted(((version, Path(commit)) for version, commit in _commits(place)), reverse=True)


def _fault(commit: os.DirEntry[str] | None, *, is_newest: bool) -> str:
    """Return what is wrong with a commit; nothing if it is sound. Only the newest is read: it was whole once it was not."""
    if commit is None:
        return "missing"
    if commit.stat().st_size == 0:
        return "empty"
    if is_newest:
        try:
            for line in Path(commit).read_text(encoding="utf-8").splitlines():
                json.loads(line)
        except ValueError:
            return "torn"
    return ""


def _since(place: Path, name: str) -> str:
    version = _added(place, name)
    return "" if version is None else f" of version {version}{_time(dict(_commits(place))[version])}"


def _added(place: Path, name: str) -> int | None:
    """Return the version that added a file; None if its commit was cleaned up."""
    for version, commit in _newest_first(place):
        actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
        if any(action.get("add", {}).get("path") == name for action in actions):
            return version
    return None


def _restore(place: Path, shown: Path, name: str) -> str:
    version = _added(place, name)
    if not version:
        return f"restore {shown} from a backup."
    code = f"from deltalake import DeltaTable; DeltaTable({str(shown)!r}).restore({version - 1})"
    return (
        f"restore the file from a backup, or version {version - 1} by `{shlex.join([sys.executable, '-c', code])}` and run the jobs "
        "that write the table again."
    )


def _time(commit: os.DirEntry[str] | None) -> str:
    if commit is None:
        return ""
    return f" ({datetime.fromtimestamp(commit.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC)"
