"""How checks read synthesized resources: by type, block by block, references followed to what they name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.checks.finding import Stacks
from infra.terraform_cli.synthesized import SynthesizedStack

SHARED = "account"
"""The environment of what belongs to no single one."""


@dataclass(frozen=True, kw_only=True)
class SynthesizedResource:
    """One resource of one stack with its arguments."""

    stack: str
    type: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def address(self) -> str:
        """``type.name`` as other resources of the stack reference it."""
        return f"{self.type}.{self.name}"

    @property
    def where(self) -> str:
        """``<stack>/<type>.<name>``, unique over all stacks."""
        return f"{self.stack}/{self.address}"

    @property
    def environment(self) -> str:
        """The environment whose stack it stands in, or `SHARED`."""
        return environment_of(self.stack)

    def blocks(self, path: str) -> list[Mapping[str, Any]]:
        """Return the blocks at a dotted path, however often they stand; none if there are none."""
        found: list[Mapping[str, Any]] = [self.arguments]
        for name in path.split("."):
            found = [block for parent in found for block in as_blocks(parent.get(name))]
        return found


def environment_of(stack: str) -> str:
    """Return the environment of a stack by its name: ``prod`` for ``prod-workspace``."""
    environment, separator, _ = stack.partition("-")
    return environment if separator else SHARED


def as_blocks(value: Any) -> list[Mapping[str, Any]]:
    """Return one block or a list of blocks as a list; Terraform's JSON allows both for every block."""
    if value is None:
        return []
    return [block for block in value if block is not None] if isinstance(value, list) else [value]


def resources(stacks: Stacks, *types: str) -> Iterator[SynthesizedResource]:
    """Yield every resource of the given types in every stack; of all types if none is given."""
    for stack in stacks.values():
        for kind, name, arguments in stack.resources():
            if not types or kind in types:
                yield SynthesizedResource(stack=stack.name, type=kind, name=name, arguments=arguments)


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of every text within a value, texts in JSON documents included."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}[{index}]")


_EXPRESSION = re.compile(r"\$\{([^}]*)\}")
_REFERENCE = re.compile(r"\b(data\.)?([a-z][a-z0-9]*_[a-z0-9_]+)\.([a-z][a-z0-9_-]*)\b")
_OUTPUT = re.compile(r"\bdata\.terraform_remote_state\.([\w-]+)\.outputs\.([\w-]+)")


def referenced(stacks: Stacks, stack: str, value: Any) -> frozenset[str]:
    """Return the resources that a value names, as ``<stack>/<type>.<name>``, through outputs of other stacks too.

    Data sources are followed only where they are the state of another stack; what they look up is outside.
    """
    found: set[str] = set()
    for _, text in texts(value):
        for expression in _EXPRESSION.findall(text):
            found |= _named(stacks, stack, expression)
    return frozenset(found)


def output_reads(value: Any) -> tuple[tuple[str, str], ...]:
    """Return every output of another stack's state that a value reads, as name of the state and of the output."""
    expressions = (expression for _, text in texts(value) for expression in _EXPRESSION.findall(text))
    return tuple(sorted({found for expression in expressions for found in _OUTPUT.findall(expression)}))


def _named(stacks: Stacks, stack: str, expression: str) -> set[str]:
    found: set[str] = set()
    for state, output in _OUTPUT.findall(expression):
        producer = state_owner(stacks, stacks[stack], state)
        if producer is not None:
            value = stacks[producer].content.get("output", {}).get(output, {}).get("value")
            found |= referenced(stacks, producer, value)
    for data, kind, name in _REFERENCE.findall(expression):
        if not data and name in stacks[stack].content.get("resource", {}).get(kind, {}):
            found.add(f"{stack}/{kind}.{name}")
    return found


def state_owner(stacks: Stacks, reader: SynthesizedStack, state: str) -> str | None:
    """Return which stack writes the state that `reader` reads under a name; None if none of these does."""
    for name, backend, config in reader.remote_states():
        if name == state:
            for stack in stacks.values():
                if _keeps(stack, backend, config):
                    return stack.name
    return None


def _keeps(stack: SynthesizedStack, backend: str, config: Mapping[str, Any]) -> bool:
    kind, own = stack.backend
    identifying = ("path",) if backend == "local" else ("storage_account_name", "container_name", "key")
    return kind == backend and all(own.get(name) == config.get(name) for name in identifying)
