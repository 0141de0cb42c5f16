"""The folder of a new use case, for tests that make mistakes in it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import use_cases
from pipelines.scaffold.new_use_case import create
from tests.pipelines.declarations.trial_folder import NAME, forget


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a new use case, which the registry finds beside those of the repository."""
    (tmp_path / "pipelines" / "use_cases").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("")
    created = create(NAME, repository=tmp_path, taken=())
    monkeypatch.setattr(use_cases, "__path__", [*use_cases.__path__, str(created.folder.parent)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield created.folder
    forget()
