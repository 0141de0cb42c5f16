"""An empty environment and a folder for deliveries, new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import open_lakehouse
from tests.pipelines.tasks.ingested_flights import FLIGHT_DELAY, MARCH


@pytest.fixture
def said() -> list[str]:
    """The lines that the tasks print."""
    return []


@pytest.fixture
def context(tmp_path: Path, said: list[str]) -> Iterator[Context]:
    """A context in an empty environment, whose lines are kept."""
    with open_lakehouse("dev", root=tmp_path / "lakehouse") as lakehouse:
        yield Context(lakehouse=lakehouse, use_case=FLIGHT_DELAY, run_id="r1", now=MARCH, say=said.append)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for deliveries."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder
