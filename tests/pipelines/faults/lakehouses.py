"""Copies a local lakehouse folder, so that a job can begin from the same state as often as needed."""

import shutil
import sqlite3
from pathlib import Path


def copy_lakehouse(source: Path, target: Path) -> Path:
    """Copy a lakehouse; where MLflow's databases name its folder, they name the copy. An earlier target is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)
    else:
        target.mkdir(parents=True)
    for database in (*target.glob("*.db"), *target.glob("*/*.db")):
        _move(database, str(source), str(target))
    return target


class Copies:
    """Copies in one folder, of which each has a path of its own: an engine may remember what it read at a path."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def of(self, source: Path, name: str) -> Path:
        """Copy a lakehouse under a new path; the earlier copy of that name is removed."""
        for earlier in self._folder.glob(f"{name}-*"):
            shutil.rmtree(earlier)
        self._count += 1
        return copy_lakehouse(source, self._folder / f"{name}-{self._count}")


def _move(database: Path, before: str, after: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in (row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()):
                connection.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?) "  # noqa: S608 - names from the database
                    f"WHERE typeof({column}) = 'text' AND instr({column}, ?) > 0",
                    (f"{before}/", f"{after}/", f"{before}/"),
                )
    connection.close()
