"""Reads everything that a lakehouse folder holds, past the product: rows of tables, versions, aliases, runs, files.

The files of Delta and the databases of MLflow are read directly: an error in the product's own readers cannot hide.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deltalake import DeltaTable

MODEL_FILES = ("model.pkl", "carried/reference_profile.json", "carried/training_keys.bin")
"""By which the content of a version is known: what `load` gives back, and what is carried with it."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a registered model: its owner's environment, tags, and a digest of its files."""

    environment: str
    model: str
    number: int
    status: str
    tags: Mapping[str, str]
    files: str


@dataclass(frozen=True, kw_only=True)
class State:
    """What a lakehouse holds.

    Attributes
    ----------
    tables
        ``<environment>/<schema>.<table>`` to its rows.
    aliases
        Environment, model and alias to the number of the version.
    runs
        Environment, name and status of every MLflow run.
    loose_models
        Environment and status of every logged model that no version is made of.
    """

    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    versions: tuple[Version, ...] = ()
    aliases: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    runs: tuple[tuple[str, str, str], ...] = ()
    loose_models: tuple[tuple[str, str], ...] = ()


def observe(root: Path) -> State:
    """Return what a lakehouse folder holds."""
    tables = {
        f"{log.relative_to(root).parts[0]}/{log.parent.parent.name}.{log.parent.name}": _rows(log.parent)
        for log in sorted(root.glob("*/tables/*/*/_delta_log"))
    }
    versions, aliases, sources = _registry(root / "registry.db")
    runs: list[tuple[str, str, str]] = []
    loose: list[tuple[str, str]] = []
    for database in sorted(root.glob("*/mlflow.db")):
        environment = database.parent.name
        runs += [
            (environment, name, status)
            for name, status in _select(database, "SELECT name, status FROM runs WHERE lifecycle_stage = 'active'")
        ]
        logged = _select(
            database, "SELECT artifact_location, status FROM logged_models WHERE lifecycle_stage = 'active'"
        )
        loose += [(environment, str(status)) for location, status in logged if location not in sources]
    return State(
        tables=tables, versions=versions, aliases=aliases, runs=tuple(sorted(runs)), loose_models=tuple(sorted(loose))
    )


def _rows(table: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = DeltaTable(str(table)).to_pyarrow_table().to_pylist()
    return rows


def _registry(database: Path) -> tuple[tuple[Version, ...], dict[tuple[str, str, str], int], set[str]]:
    if not database.exists():
        return (), {}, set()
    tags: dict[tuple[str, int], dict[str, str]] = {}
    for name, number, key, value in _select(database, "SELECT name, version, key, value FROM model_version_tags"):
        tags.setdefault((name, number), {})[key] = value
    found = list(
        _select(
            database, "SELECT name, version, status, coalesce(storage_location, source) FROM model_versions "
            "WHERE current_stage != 'Deleted_Internal'"
        )
    )  # fmt: skip
    versions = tuple(
        Version(
            environment=name.partition(".")[0], model=name.partition(".")[2], number=number, status=status,
            tags=tags.get((name, number), {}), files=_digest(location),
        )
        for name, number, status, location in sorted(found)
    )  # fmt: skip
    aliases = {
        (name.partition(".")[0], name.partition(".")[2], alias): int(number)
        for name, alias, number in _select(database, "SELECT name, alias, version FROM registered_model_aliases")
    }
    return versions, aliases, {location for *_, location in found}


def _digest(location: str) -> str:
    folder = Path(unquote(urlsplit(location).path))
    hashed = hashlib.sha256()
    for name in MODEL_FILES:
        file = folder / name
        if not file.exists():
            return f"no {name}"
        hashed.update(file.read_bytes())
    return hashed.hexdigest()[:8]


def _select(database: Path, statement: str) -> Iterator[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        yield from connection.execute(statement).fetchall()
    finally:
        connection.close()
