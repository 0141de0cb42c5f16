"""A real Postgres for the tests of a folder, started once."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.online.local_postgres import local_postgres


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an online store."""
    with local_postgres(tmp_path_factory.mktemp("store")) as started:
        yield started


@pytest.fixture
def connection(store: str) -> Iterator[Any]:
    """A connection to a store that holds nothing."""
    import psycopg

    with psycopg.connect(store, autocommit=True) as opened:
        for schema in ("mlops", "trips_features"):
            opened.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        yield opened
