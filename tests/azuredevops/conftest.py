"""The pipelines, expanded once per session as Azure DevOps would run them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.azure_pipelines.templates import TemplateReading, expand
from infra.build.release import ROOT
from infra.config.checks import load_settings
from infra.constructs.release import Release
from infra.stacks.estate import stacks
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases

FOLDER = ROOT / ".azuredevops"
NAMES = ("pull-request", "branch", "main", "release", "nightly")
Pipelines = Mapping[str, Mapping[str, Any]]
"""Expanded pipelines by name."""


@pytest.fixture(scope="session")
def reading() -> TemplateReading:
    """The templates and parameters that `pipelines` uses; request it together with `pipelines`."""
    return TemplateReading()


@pytest.fixture(scope="session")
def pipelines(reading: TemplateReading) -> Pipelines:
    """Every pipeline, expanded."""
    return {name: expand(FOLDER / f"{name}.yml", reading) for name in NAMES}


@pytest.fixture(scope="session")
def estate() -> Mapping[str, Stack]:
    """Every stack of the shipped settings, as values."""
    release = Release(commit="0" * 40, wheel="any.whl", wheel_path="any.whl", wheel_source="any.whl")
    return {stack.name: stack for stack in stacks(load_settings(), use_cases(), release)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files into an empty folder and return the first one's path."""

    def written(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / f"{name}.yml").write_text(text)
        return tmp_path / f"{next(iter(texts))}.yml"

    return written
