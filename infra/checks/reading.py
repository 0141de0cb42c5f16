"""How checks read synthesized resources: by type, by block, with references resolved to resources."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.checks.finding import Stacks
from infra.config.stack_names import environment_of
from infra.terraform_cli.references import OUTPUT, expressions, state_owner
from infra.terraform_cli.synthesized import as_blocks


@dataclass(frozen=True, kw_only=True)
class SynthesizedResource:
    """One resource of one synthesized stack."""

    stack: str
    type: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def address(self) -> str:
        """``type.name``, as other resources of the stack refer to it."""
        return f"{self.type}.{self.name}"

    @property
    def where(self) -> str:
        """``<stack>/<type>.<name>``, unique over all stacks."""
        return f"{self.stack}/{self.address}"

    @property
    def environment(self) -> str:
        """The environment of its stack, or ``account`` for what belongs to no single one."""
        return environment_of(self.stack)

    def blocks(self, path: str) -> list[Mapping[str, Any]]:
        """Return all blocks at a dotted path; empty if there are none."""
        found: list[Mapping[str, Any]] = [self.arguments]
        for name in path.split("."):
            found = [block for parent in found for block in as_blocks(parent.get(name))]
        return found


def resources(stacks: Stacks, *types: str) -> Iterator[SynthesizedResource]:
    """Yield every resource of the given types in every stack; of all types if none is given."""
    for stack in stacks.values():
        for kind, name, arguments in stack.resources():
            if not types or kind in types:
                yield SynthesizedResource(stack=stack.name, type=kind, name=name, arguments=arguments)


_REFERENCE = re.compile(r"\b(data\.)?([a-z][a-z0-9]*_[a-z0-9_]+)\.([a-z][a-z0-9_-]*)\b")


def referenced(stacks: Stacks, stack: str, value: Any) -> frozenset[str]:
    """Return the resources that a value refers to, as ``<stack>/<type>.<name>``, through outputs of other stacks too.

    Data sources are resolved only if they read the state of another stack.
    """
    found: set[str] = set()
    for expression in expressions(value):
        found |= _named(stacks, stack, expression)
    return frozenset(found)


def _named(stacks: Stacks, stack: str, expression: str) -> set[str]:
    found: set[str] = set()
    for state, output in OUTPUT.findall(expression):
        producer = state_owner(stacks, stacks[stack], state)
        if producer is not None:
            value = stacks[producer].content.get("output", {}).get(output, {}).get("value")
            found |= referenced(stacks, producer, value)
    for data, kind, name in _REFERENCE.findall(expression):
        if not data and name in stacks[stack].content.get("resource", {}).get(kind, {}):
            found.add(f"{stack}/{kind}.{name}")
    return found
