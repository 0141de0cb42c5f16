"""The pipelines as they would be run, expanded once per session."""

from pathlib import Path
from typing import Any

import pytest

from infra.release import ROOT
from tests.azuredevops.pipeline_templates import Reading, expand

FOLDER = ROOT / ".azuredevops"
NAMES = ("pull-request", "main", "release", "nightly")


@pytest.fixture(scope="session")
def reading() -> Reading:
    """What was found while expanding: take it together with `pipelines`."""
    return Reading()


@pytest.fixture(scope="session")
def pipelines(reading: Reading) -> dict[str, dict[str, Any]]:
    """Every pipeline, expanded."""
    return {name: expand(FOLDER / f"{name}.yml", reading) for name in NAMES}


@pytest.fixture
def write(tmp_path: Path):
    """Write files into an empty folder and return the first one's path."""

    def written(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / f"{name}.yml").write_text(text)
        return tmp_path / f"{next(iter(texts))}.yml"

    return written
