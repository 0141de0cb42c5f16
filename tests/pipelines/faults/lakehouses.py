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
