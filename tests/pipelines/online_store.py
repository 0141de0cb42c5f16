"""A real Postgres for tests, started once for those of a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from pipelines.online.local_postgres import local_postgres

__all__ = ["empty_store", "local_postgres"]


@contextmanager
def empty_store(store: str, *schemas: str) -> Iterator[Any]:
    """Give a connection to a store in which nothing was published."""
    with psycopg.connect(store, autocommit=True) as opened:
        for schema in ("mlops", *schemas):
            opened.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        yield opened


def started(folder: Path) -> Iterator[str]:
    """Give the connection string of a store in a folder."""
    with local_postgres(folder) as running:
        yield running
