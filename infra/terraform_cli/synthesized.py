"""The synthesized stacks on disk: reading them, their order, their states, what they use."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from infra.config.stack_names import identity_of
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
        The folder with its JSON and its assets.
    content
        The JSON that Terraform reads.
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
    def state_place(self) -> str:
        """Where the stack's state is kept, as its JSON states it."""
        kind, arguments = self.backend
        return _place(kind, {"path": self.folder / "terraform.tfstate", **arguments})

    @property
    def places_read(self) -> dict[str, str]:
        """The states of other stacks that it reads: name of the remote state to the place of the state."""
        return {name: _place(backend, config) for name, backend, config in self.remote_states()}

    @property
    def providers(self) -> Mapping[str, Mapping[str, str]]:
        """The providers it requires: local name to source and version."""
        required: Mapping[str, Mapping[str, str]] = self.content.get("terraform", {}).get("required_providers", {})
        return required

    @property
    def wheels(self) -> dict[str, str]:
        """The wheels that the stack uploads: address to source."""
        files = self.content.get("resource", {}).get("databricks_file", {})
        sources = {f"databricks_file.{name}": str(arguments.get("source", "")) for name, arguments in files.items()}
        return {address: source for address, source in sources.items() if source.endswith(".whl")}

    @property
    def wheel_sha256(self) -> str | None:
        """The hash of the wheel that the stack was synthesized with; None if it was not built yet."""
        output = self.content.get("output", {}).get("wheel_sha256")
        return None if output is None else str(output["value"])

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
        raise UnusableStackError(f"there is no stack below {output / 'stacks'}: run `python -m infra synth` first.")
    stacks = {
        file.parent.name: SynthesizedStack(
            name=file.parent.name, folder=file.parent, content=json.loads(file.read_text("utf-8"))
        )
        for file in files
    }
    return {name: stacks[name] for name in in_order(stacks)}


def dependencies(stacks: Mapping[str, SynthesizedStack]) -> dict[str, set[str]]:
    """Return, for each stack, the stacks whose states it reads."""
    owner = {stack.state_place: name for name, stack in stacks.items()}
    return {
        name: {owner[place] for place in stack.places_read.values() if place in owner} for name, stack in stacks.items()
    }


def in_order(stacks: Mapping[str, SynthesizedStack]) -> list[str]:
    """Return the stacks' names, each after those whose state it reads."""
    after = dependencies(stacks)
    return list(TopologicalSorter({name: sorted(after[name]) for name in sorted(stacks)}).static_order())


def of_environment(
    stacks: Mapping[str, SynthesizedStack], environment: str, only: Collection[str] = ()
) -> dict[str, SynthesizedStack]:
    """Return the stacks that the identity of one environment applies, or those that the identity of the account does.

    Parameters
    ----------
    only
        The only stacks to return; none for all.

    Raises
    ------
    UnusableStackError
        If no stack is of that environment, or one of `only` is not.
    """
    chosen = {name: stack for name, stack in stacks.items() if identity_of(name) == environment}
    if not chosen:
        known = ", ".join(sorted({identity_of(name) for name in stacks})) or "none"
        raise UnusableStackError(f"no stack is of environment {environment!r}: synthesized are {known}.")
    foreign = sorted(set(only) - set(chosen))
    if foreign:
        raise UnusableStackError(
            f"{', '.join(foreign)}: no stack that the identity of {environment!r} applies, which are {', '.join(sorted(chosen))}."
        )
    return {name: stack for name, stack in chosen.items() if not only or name in only}


def needed_by(chosen: Iterable[str], stacks: Mapping[str, SynthesizedStack]) -> dict[str, SynthesizedStack]:
    """Return the chosen stacks and all whose state they read, directly or through others, in the order of `stacks`."""
    after = dependencies(stacks)
    needed: set[str] = set()
    pending = list(chosen)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending.extend(after[name])
    return {name: stack for name, stack in stacks.items() if name in needed}


def _place(backend: str, config: Mapping[str, Any]) -> str:
    """Return the place of a state from a backend's arguments: the same for its owner and for its readers."""
    if backend == "local":
        return str(config.get("path"))
    return f"{backend}:" + "/".join(str(config.get(name)) for name in ("storage_account_name", "container_name", "key"))


def as_blocks(value: Any) -> list[Mapping[str, Any]]:
    """Return one block or a list of blocks as a list; Terraform's JSON allows both for every block."""
    if value is None:
        return []
    return [block for block in value if block is not None] if isinstance(value, list) else [value]
