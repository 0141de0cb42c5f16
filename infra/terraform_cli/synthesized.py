"""The synthesized stacks as they lie on disk: reading them, their order, what they use, why an offline run refuses one."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ml.spec.errors import NotPossibleError

REMOTE_STATE = "terraform_remote_state"


class UnusableStackError(NotPossibleError):
    """The stacks cannot be used; the message names every reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class SynthesizedStack:
    """One synthesized stack.

    Attributes
    ----------
    name
        For example ``prod-workspace``.
    folder
        Where its JSON and its assets lie.
    content
        The JSON as Terraform reads it.
    """

    name: str
    folder: Path
    content: Mapping[str, Any]

    @property
    def backend(self) -> tuple[str, Mapping[str, Any]]:
        """Kind and arguments of the stack's state backend; ``local`` without arguments where none is named."""
        terraform = self.content.get("terraform", {})
        if "cloud" in terraform:
            return "cloud", terraform["cloud"]
        for kind, arguments in terraform.get("backend", {}).items():
            return kind, arguments
        return "local", {}

    @property
    def providers(self) -> Mapping[str, Mapping[str, str]]:
        """The providers it requires: local name to source and version."""
        required: Mapping[str, Mapping[str, str]] = self.content.get("terraform", {}).get("required_providers", {})
        return required

    def types(self, kind: str) -> set[str]:
        """Return the types of its resources (``resource``) or data sources (``data``)."""
        return set(self.content.get(kind, {}))

    def resources(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield type, name and arguments of every resource."""
        for kind, named in self.content.get("resource", {}).items():
            for name, arguments in named.items():
                yield kind, name, arguments

    def remote_states(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield name, backend and arguments of every state of another stack that this one reads."""
        for name, arguments in self.content.get("data", {}).get(REMOTE_STATE, {}).items():
            yield name, arguments["backend"], arguments.get("config", {})


def read_stacks(output: Path) -> dict[str, SynthesizedStack]:
    """Read every stack below ``<output>/stacks``, each after those whose outputs it reads.

    Raises
    ------
    UnusableStackError
        If there are none.
    """
    files = sorted(output.glob("stacks/*/cdk.tf.json"))
    if not files:
        raise UnusableStackError(f"no stack lies below {output / 'stacks'}: run `python -m infra synth` first.")
    stacks = {
        file.parent.name: SynthesizedStack(
            name=file.parent.name, folder=file.parent, content=json.loads(file.read_text("utf-8"))
        )
        for file in files
    }
    return {name: stacks[name] for name in in_order(stacks)}


def in_order(stacks: Mapping[str, SynthesizedStack]) -> list[str]:
    """Return the stacks' names, each after those whose state it reads."""
    owner = {state_place(stack): name for name, stack in stacks.items()}
    after = {
        name: {
            owner[read_place(backend, config)]
            for _, backend, config in stack.remote_states()
            if read_place(backend, config) in owner
        }
        for name, stack in stacks.items()
    }
    return list(TopologicalSorter({name: sorted(after[name]) for name in sorted(stacks)}).static_order())


def of_environment(
    stacks: Mapping[str, SynthesizedStack], environment: str, only: Collection[str] = ()
) -> dict[str, SynthesizedStack]:
    """Return the stacks of one environment, or the one that all share by its own name.

    Parameters
    ----------
    only
        The stacks that are wanted of it; none for all.

    Raises
    ------
    UnusableStackError
        If no stack is of that environment, or a wanted one is not.
    """
    chosen = {name: stack for name, stack in stacks.items() if name.split("-")[0] == environment}
    if not chosen:
        known = ", ".join(sorted({name.split("-")[0] for name in stacks})) or "none"
        raise UnusableStackError(f"no stack is of environment {environment!r}: synthesized are {known}.")
    foreign = sorted(set(only) - set(chosen))
    if foreign:
        raise UnusableStackError(
            f"{', '.join(foreign)}: no stack of environment {environment!r}, which has {', '.join(sorted(chosen))}."
        )
    return {name: stack for name, stack in chosen.items() if not only or name in only}


def needed_by(chosen: Iterable[str], stacks: Mapping[str, SynthesizedStack]) -> dict[str, SynthesizedStack]:
    """Return the chosen stacks and all whose state they read, directly or through others, in the order of `stacks`."""
    owner = {state_place(stack): name for name, stack in stacks.items()}
    needed: set[str] = set()
    open_ = list(chosen)
    while open_:
        name = open_.pop()
        if name not in needed:
            needed.add(name)
            read = [read_place(backend, config) for _, backend, config in stacks[name].remote_states()]
            open_.extend(owner[path] for path in read if path in owner)
    return {name: stack for name, stack in stacks.items() if name in needed}


def state_place(stack: SynthesizedStack) -> str:
    """Return where the stack's state is kept, as its JSON states it."""
    kind, arguments = stack.backend
    return read_place(kind, {"path": stack.folder / "terraform.tfstate", **arguments})


def read_place(backend: str, config: Mapping[str, Any]) -> str:
    """Return the place of a state that a backend's arguments name: the same for its owner and for who reads it."""
    if backend == "local":
        return str(config.get("path"))
    return f"{backend}:" + "/".join(str(config.get(name)) for name in ("storage_account_name", "container_name", "key"))
