"""The shipped settings synthesized once, and a way to break one thing in them."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.build.release import current_release
from infra.build.wheel_content import WheelContent
from infra.config.checks import load_settings
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.declarations.registry import use_cases

ROOT = Path(__file__).parents[3]
RELEASE = current_release()


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SynthesizedStack]:
    """Synthesize the shipped settings once; tests must not change the result."""
    output = tmp_path_factory.mktemp("checks") / "cdktf.out"
    synthesize(stacks(load_settings(), use_cases(), RELEASE), output)
    return read_stacks(output)


class Edited:
    """A copy of the shipped stacks in which a test changes what it needs."""

    def __init__(self, shipped: dict[str, SynthesizedStack]) -> None:
        self.stacks = {name: replace(stack, content=copy.deepcopy(stack.content)) for name, stack in shipped.items()}

    def all(self, stack: str, kind: str) -> Iterator[dict[str, Any]]:
        """Yield the arguments of every resource of a type in a stack."""
        yield from self.stacks[stack].content.get("resource", {}).get(kind, {}).values()

    def first(self, stack: str, kind: str) -> dict[str, Any]:
        """Return the arguments of the first resource of a type in a stack; there must be one."""
        return next(self.all(stack, kind))

    def job(self, name: str) -> dict[str, Any]:
        """Return prod's first job of a name, of whichever use case."""
        return next(job for job in self.all("prod-workspace", "databricks_job") if job["name"].endswith(f".{name}"))

    def add(self, stack: str, kind: str, name: str, /, **arguments: Any) -> None:
        """Add a resource to a stack."""
        content: Any = self.stacks[stack].content
        content["resource"].setdefault(kind, {})[name] = arguments


@pytest.fixture
def edited(shipped: dict[str, SynthesizedStack]) -> Edited:
    """Return a copy of the shipped stacks to change."""
    return Edited(shipped)


@pytest.fixture(scope="session")
def code() -> WheelContent:
    """Return what the wheel of this source tree holds, read from the tree itself."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text("utf-8")
        for room in ("ml", "pipelines")
        for path in (ROOT / room).rglob("*.py")
    }
    return WheelContent(
        package="lakehouse-mlops", entry_points={"lakehouse-mlops": "pipelines.__main__:main"}, modules=modules
    )
