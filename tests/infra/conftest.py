"""The shipped settings, the declared use cases and, once per session, what they synthesize to."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.constructs.release import Release
from infra.description.describe import read_synthesized
from infra.offline.runs import plan_offline
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from ml.spec.online_policy import OnlinePolicy
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_cases
from tests.infra.small_stacks import Deployment, write_all


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the Terraform program where there is none."""
    if shutil.which("terraform") is None:
        for item in items:
            if item.get_closest_marker("terraform"):
                item.add_marker(pytest.mark.skip(reason="the program `terraform` is not on the path"))


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
        requirements_source="requirements/job.txt",
        requirements_sha256="cd" * 32,
    )


@pytest.fixture(scope="session")
def estate(settings: Settings, release: Release) -> Mapping[str, Stack]:
    """Every stack of the shipped settings, as values."""
    return {stack.name: stack for stack in estate_stacks(settings, use_cases(), release)}


@pytest.fixture(scope="session")
def settings_with_telemetry(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shipped settings with telemetry in every environment."""
    folder = SettingsFolder(tmp_path_factory.mktemp("telemetry"))
    for environment in ENVIRONMENTS:
        folder.change(environment, ("telemetry",), {"daily_gigabytes": 1})
    return load_settings(folder.path)


@pytest.fixture(scope="session")
def estate_with_telemetry(settings_with_telemetry: Settings, release: Release) -> Mapping[str, Stack]:
    """Every stack of the shipped settings with telemetry, as values."""
    return {stack.name: stack for stack in estate_stacks(settings_with_telemetry, use_cases(), release)}


PUBLISHING = tuple(replace(one, online=OnlinePolicy()) if one.name == "flight_delay" else one for one in use_cases())
"""The shipped use cases, of which the flights publish their features to an online store."""


@pytest.fixture(scope="session")
def settings_with_stores(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shipped settings with an online store in each environment, in prod with a replica."""
    return load_settings(with_stores(tmp_path_factory.mktemp("stores"), prod="CU_2").path, PUBLISHING)


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


def with_stores(root: Path, **capacity: str) -> SettingsFolder:
    """Return a copy of the shipped settings with a store in each environment, the smallest unless another is given."""
    folder = SettingsFolder(root)
    for environment in ENVIRONMENTS:
        stated = {"capacity": capacity.get(environment, "CU_1"), "read_replicas": int(environment == "prod")}
        folder.change(environment, ("serving", "online_store"), stated)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> SettingsFolder:
    """A copy of the shipped settings, to be changed."""
    return SettingsFolder(tmp_path)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one folder of recovered schemas to the whole run, so that they are recovered once."""
    return tmp_path_factory.mktemp("schemas")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Write the three stacks as cdktf lays them out and return the folder."""
    return write_all(tmp_path / "cdktf.out")


@pytest.fixture
def stacks(output: Path) -> dict[str, SynthesizedStack]:
    """Return the three stacks, read from disk."""
    return read_stacks(output)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Deployment:
    """Deploy the three stacks once for all tests that only look at the result."""
    root = tmp_path_factory.mktemp("deployment")
    output = write_all(root / "cdktf.out")
    planned = plan_offline(read_stacks(output), root / "run", deploy=True, cache=cache)
    plans = {name: plan.content for name, plan in planned.items()}
    return Deployment(output=output, folder=root / "run", plans=plans)


@pytest.fixture
def change(output: Path) -> Any:
    """Return a function that edits one stack in place: ``change("account", lambda content: ...)``."""

    def edit(name: str, alter: Any) -> dict[str, SynthesizedStack]:
        path = output / "stacks" / name / "cdk.tf.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        alter(content)
        path.write_text(json.dumps(content), encoding="utf-8")
        return read_stacks(output)

    return edit
