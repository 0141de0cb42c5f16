"""A stack as a plain value: providers, resources, outputs, and the outputs of other stacks that it reads.

Constructs add to a `Stack`; `infra.synthesis.cdktf_seam` renders it with cdktf. As a stack is a value, tests and the
permission matrix are functions on it, and a mistake stops everything before a file is written.

Every resource is a direct child of its stack, so its address is ``type.logical_id`` exactly as given, without the hash
that nested constructs get: moving code between constructs changes no address.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.synthesis.vocabulary import require_known_words
from ml.spec.errors import DeclarationError

LOGICAL_ID = re.compile(r"[a-z][a-z0-9_]*")


class StackError(DeclarationError):
    """A stack contradicts itself; always a mistake in a construct, never in settings."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One configured provider of a stack; resources name it by its `reference`."""

    type: str
    alias: str
    arguments: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """``type.alias``."""
        return f"{self.type}.{self.alias}"


@dataclass(frozen=True, kw_only=True)
class Precondition:
    """A condition that Terraform checks before it creates or changes a resource, and its message if it is false."""

    condition: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource or data source with its arguments in Terraform's words."""

    type: str
    name: str
    provider: Provider
    arguments: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    prevent_destroy: bool = False
    ignore_changes: tuple[str, ...] = ()
    preconditions: tuple[Precondition, ...] = ()
    is_data: bool = False

    @property
    def address(self) -> str:
        """The address in the state, such as ``databricks_catalog.catalog``."""
        return f"data.{self.type}.{self.name}" if self.is_data else f"{self.type}.{self.name}"

    def attribute(self, name: str) -> str:
        """Return the expression for one attribute, whose value Terraform knows once the resource exists."""
        return f"${{{self.address}.{name}}}"

    @property
    def id(self) -> str:
        """The expression for the attribute ``id``."""
        return self.attribute("id")


@dataclass(frozen=True, kw_only=True)
class RemoteState:
    """The place of a stack's state: in an Azure container, or in a file next to the output folder."""

    stack: str
    azure: Mapping[str, str] | None

    @property
    def local_path(self) -> str:
        """The file of a local state, from the folder in which Terraform runs (``<out>/stacks/<stack>``).

        Relative, because the absolute path that cdktf writes by default ties the output to one machine.
        """
        return f"../../../terraform.{self.stack}.tfstate"


@dataclass(kw_only=True)
class Stack:
    """One unit of deployment.

    Attributes
    ----------
    name
        ``account``, ``<environment>-platform`` or ``<environment>-workspace``.
    state
        The place of its own state.
    outputs_after
        The resources that some outputs depend on without naming them.
    forgotten
        Addresses that leave the state without being destroyed.
    moved
        Addresses that what is deployed had, each with the present one.
    """

    name: str
    description: str
    state: RemoteState
    providers: dict[str, Provider] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    outputs_after: dict[str, Resource] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    read: dict[str, "Stack"] = field(default_factory=dict)

    def provider(self, type_: str, alias: str, /, **arguments: Any) -> Provider:
        """Configure a provider for this stack."""
        provider = Provider(type=type_, alias=alias, arguments=_stated(arguments))
        if provider.reference in self.providers:
            raise StackError(f"stack {self.name}: provider {provider.reference} is added twice.")
        self.providers[provider.reference] = provider
        return provider

    def add(
        self,
        type_: str,
        logical_id: str,
        /,
        *,
        provider: Provider,
        depends_on: Iterable[Resource] = (),
        prevent_destroy: bool = False,
        ignore_changes: Iterable[str] = (),
        preconditions: Iterable[Precondition] = (),
        **arguments: Any,
    ) -> Resource:
        """Add a resource; arguments that are None are left out.

        Raises
        ------
        StackError
            If the address is taken, the name is not a logical id, or the provider belongs to another stack.
        ValueError
            If an argument with a closed vocabulary has another word.
        """
        return self._register(
            Resource(
                type=type_,
                name=logical_id,
                provider=provider,
                arguments=_stated(arguments),
                depends_on=tuple(resource.address for resource in depends_on),
                prevent_destroy=prevent_destroy,
                ignore_changes=tuple(ignore_changes),
                preconditions=tuple(preconditions),
            )
        )

    def look_up(self, type_: str, logical_id: str, /, *, provider: Provider, **arguments: Any) -> Resource:
        """Add a data source: an existing object that is only read."""
        return self._register(
            Resource(type=type_, name=logical_id, provider=provider, arguments=_stated(arguments), is_data=True)
        )

    def forget(self, type_: str, logical_id: str, /) -> None:
        """Let Terraform forget a resource that was deployed earlier: it stays as it is, and nobody manages it any more.

        Written as a ``removed`` block (https://developer.hashicorp.com/terraform/language/block/removed); a stack in whose
        state there is no such resource changes nothing.

        Raises
        ------
        StackError
            If the stack declares it.
        """
        address = f"{type_}.{logical_id}"
        if address in self.resources:
            raise StackError(f"stack {self.name}: {address} is declared and cannot be forgotten.")
        self.forgotten.append(address)

    def state_blocks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the blocks of Terraform that change addresses in the state: what moves, and what is forgotten."""
        moved = [{"from": former, "to": present} for former, present in self.moved]
        removed = [{"from": address, "lifecycle": {"destroy": False}} for address in self.forgotten]
        return {name: blocks for name, blocks in (("moved", moved), ("removed", removed)) if blocks}

    def move(self, former: str, present: str, /) -> None:
        """Let Terraform move a resource that was deployed under another address: it stays as it is.

        Written as a ``moved`` block (https://developer.hashicorp.com/terraform/language/block/moved); a stack in whose state
        there is no such resource changes nothing.

        Raises
        ------
        StackError
            If the stack declares the former address as well.
        """
        if former in self.resources:
            raise StackError(f"stack {self.name}: {former} is declared and cannot be moved to {present}.")
        self.moved.append((former, present))

    def _register(self, resource: Resource) -> Resource:
        if not LOGICAL_ID.fullmatch(resource.name):
            raise StackError(f"stack {self.name}: {resource.address} is not an address: use a-z, 0-9 and '_'.")
        if resource.address in self.resources:
            raise StackError(f"stack {self.name}: {resource.address} is added twice.")
        if self.providers.get(resource.provider.reference) is not resource.provider:
            raise StackError(f"stack {self.name}: {resource.address} uses a provider of another stack.")
        require_known_words(resource.type, resource.arguments, f"stack {self.name}, {resource.address}")
        self.resources[resource.address] = resource
        return resource

    def output(self, name: str, value: Any, *, after: Resource | None = None) -> None:
        """Add an output, which other stacks may read.

        If `after` is given, Terraform updates the output whenever it deploys that resource, also without the rest of the
        stack.
        """
        if name in self.outputs:
            raise StackError(f"stack {self.name}: output {name!r} is added twice.")
        self.outputs[name] = value
        if after is not None:
            self.outputs_after[name] = after

    def reading(self, other: "Stack", output: str) -> str:
        """Return the expression for an output of another stack, which is deployed before this one.

        Raises
        ------
        StackError
            If the other stack has no such output.
        """
        if output not in other.outputs:
            known = ", ".join(sorted(other.outputs))
            raise StackError(f"stack {self.name}: stack {other.name} has no output {output!r}. It has: {known}.")
        self.read[other.name] = other
        return f"${{data.terraform_remote_state.{remote_state_id(other.name)}.outputs.{output}}}"


def remote_state_id(stack: str) -> str:
    """Return the logical id under which a stack's state is read."""
    return stack.replace("-", "_")


def _stated(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
