"""What the expressions of a synthesized stack refer to: texts, outputs of other stacks, and the owner of each state."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.terraform_cli.synthesized import SynthesizedStack

_EXPRESSION = re.compile(r"\$\{([^}]*)\}")
OUTPUT = re.compile(r"\bdata\.terraform_remote_state\.([\w-]+)\.outputs\.([\w-]+)")
"""A reference to an output of another stack: name of the remote state, name of the output."""


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


def expressions(value: Any) -> Iterator[str]:
    """Yield the content of every Terraform expression ``${...}`` within a value."""
    for _, text in texts(value):
        yield from _EXPRESSION.findall(text)


def output_reads(stack: SynthesizedStack) -> tuple[tuple[str, str], ...]:
    """Return every output of another stack that a stack reads, as name of the remote state and of the output."""
    return tuple(sorted({found for expression in expressions(stack.content) for found in OUTPUT.findall(expression)}))


def state_owner(stacks: Mapping[str, SynthesizedStack], reader: SynthesizedStack, state: str) -> str | None:
    """Return which stack writes the state that `reader` reads under a name; None if none of `stacks` does."""
    place = reader.places_read.get(state)
    return next((name for name, stack in stacks.items() if stack.state_place == place), None)
