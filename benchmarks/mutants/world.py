"""What a mutant changes: the synthesized stacks, copied where they are changed, with random choices from one seed."""

import copy
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra.terraform_cli.synthesized import SynthesizedStack

Content = dict[str, Any]
ENVIRONMENTS = ("dev", "staging", "prod")
_READ = re.compile(r"data\.terraform_remote_state\.([a-z_]+)\.")


class NotApplicableError(LookupError):
    """The stacks hold nothing that this mutant could change."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One resource that a mutant may change in place."""

    stack: str
    type: str
    name: str
    arguments: Content


class World:
    """The stacks of one mutant.

    Parameters
    ----------
    stacks
        The synthesized stacks, which stay as they are.
    seed
        Decides every choice.
    """

    def __init__(self, stacks: Mapping[str, SynthesizedStack], seed: str) -> None:
        self._shipped = stacks
        self.random = random.Random(seed)  # noqa: S311 -- repeatable choices, no secret
        self._changed: dict[str, Content] = {}

    @property
    def stacks(self) -> dict[str, SynthesizedStack]:
        """All stacks, with the changes, each reading the states that its references name."""
        for name, content in self._changed.items():
            self._read_states(name, content)
        return {
            name: replace(stack, content=self._changed.get(name, stack.content))
            for name, stack in self._shipped.items()
        }

    def content(self, stack: str) -> Content:
        """Return a stack's content, to be changed."""
        if stack not in self._changed:
            self._changed[stack] = copy.deepcopy(dict(self._shipped[stack].content))
        return self._changed[stack]

    def pick(self, kind: str, environments: tuple[str, ...], fits: Callable[[Content], bool] | None = None) -> Target:
        """Return one resource of a type in these environments' stacks; ``account`` is the stack of the account.

        Raises
        ------
        NotApplicableError
            If there is none.
        """
        found = [
            (stack, name)
            for stack, name, arguments in self._all(kind, environments)
            if fits is None or fits(dict(arguments))
        ]
        if not found:
            raise NotApplicableError(kind)
        stack, name = self.random.choice(found)
        return Target(stack=stack, type=kind, name=name, arguments=self.content(stack)["resource"][kind][name])

    def remove(self, target: Target) -> None:
        """Take a resource away."""
        del self.content(target.stack)["resource"][target.type][target.name]

    def add(self, stack: str, kind: str, name: str, arguments: Content) -> None:
        """Add a resource with the provider that its stack has for its kind, unless it states one."""
        content = self.content(stack)
        kind_of_provider = kind.split("_")[0]
        configured = content["provider"].get(kind_of_provider, [{"alias": "added"}])
        provider = f"{kind_of_provider}.{configured[-1]['alias']}"
        content["resource"].setdefault(kind, {})[name] = {"provider": provider, **copy.deepcopy(arguments)}

    def _all(self, kind: str, environments: tuple[str, ...]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for stack in self._shipped.values():
            if stack.name.split("-")[0] in environments:
                for name, arguments in stack.content.get("resource", {}).get(kind, {}).items():
                    yield stack.name, name, arguments

    def _read_states(self, name: str, content: Content) -> None:
        """Add the remote states that a change refers to: Terraform would refuse the stack without them."""
        read = content.setdefault("data", {}).setdefault("terraform_remote_state", {})
        for state in sorted(set(_READ.findall(str(content))) - set(read)):
            owner = state.replace("_", "-")
            if owner in self._shipped and owner != name:
                kind, place = self._shipped[owner].backend
                read[state] = {"backend": kind, "config": dict(place)}


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with every ``<word>`` in its texts replaced."""
    if isinstance(value, str):
        return re.sub(r"<(\w+)>", lambda found: names.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {filled(key, names): filled(inner, names) for key, inner in value.items()}
    return [filled(inner, names) for inner in value] if isinstance(value, list) else value
