"""The shipped settings, the declared use cases and, once per session, what they synthesize to."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.deployment import Release
from infra.describe import read_synthesized
from infra.estate import stacks
from infra.settings_checks import load_settings
from infra.settings_loading import FOLDER, Settings
from infra.stack import Stack
from infra.terraform import synthesize
from pipelines.declarations.registry import use_cases


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings as shipped."""
    return load_settings()


@pytest.fixture(scope="session")
def release() -> Release:
    """A release whose wheel was built."""
    name = "lakehouse_mlops-0.1.0+g0123456789ab-py3-none-any.whl"
    return Release(
        commit="0123456789ab" + "0" * 28,
        wheel=name,
        wheel_path=f"dist/{name}",
        wheel_source=f"dist/{name}",
        sha256="ab" * 32,
    )


@pytest.fixture(scope="session")
def estate(settings: Settings, release: Release) -> Mapping[str, Stack]:
    """Every stack of the shipped settings, as values."""
    return {stack.name: stack for stack in stacks(settings, use_cases(), release)}


@pytest.fixture(scope="session")
def synthesized(
    estate: Mapping[str, Stack], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Mapping[str, Any]]:
    """The Terraform JSON of every stack of the shipped settings."""
    return read_synthesized(synthesize(list(estate.values()), tmp_path_factory.mktemp("cdktf.out")))


class SettingsFolder:
    """A copy of the shipped settings in which a test may change values."""

    def __init__(self, path: Path) -> None:
        self.path = path / "settings"
        shutil.copytree(FOLDER, self.path)

    def change(self, file: str, place: Sequence[int | str], value: Any) -> None:
        """Set the value at a place of a file; None takes it away."""
        data = self.read(file)
        inner = data
        for step in place[:-1]:
            inner = inner[step]
        if value is None:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        self.write(file, yaml.safe_dump(data, sort_keys=False))

    def read(self, file: str) -> Any:
        """Return a file's data."""
        return yaml.safe_load((self.path / f"{file}.yaml").read_text(encoding="utf-8"))

    def write(self, file: str, text: str) -> None:
        """Replace a file's text."""
        (self.path / f"{file}.yaml").write_text(text, encoding="utf-8")

    def remove(self, file: str) -> None:
        """Take a file away."""
        (self.path / f"{file}.yaml").unlink()


@pytest.fixture
def folder(tmp_path: Path) -> SettingsFolder:
    """A copy of the shipped settings, to be changed."""
    return SettingsFolder(tmp_path)
