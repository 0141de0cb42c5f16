"""All stacks as one: every resource and every value with its references resolved, through outputs and literal names.

A resolved value states where it comes from: ``@{prod-platform/azurerm_storage_account.lake.id}``. What leads nowhere
stays as ``@{?...}``, which no rule allows. A stack's name proves nothing: which environment a stack works in is what its
providers say, which `infra.graph.whole_stacks` holds to its name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from infra.config.loading import Settings
from infra.config.stack_names import environment_of
from infra.terraform_cli.references import OUTPUT, state_owner
from infra.terraform_cli.synthesized import SynthesizedStack, as_blocks

Stacks = Mapping[str, SynthesizedStack]
_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")
_REFERENCE = re.compile(r"^(data\.)?([a-z][a-z0-9]*_[a-z0-9_]+)\.([a-z][a-z0-9_-]*)\.([a-z_]+)(.*)$")
_ORIGIN = re.compile(r"@\{([\w-]+)/((?:data\.)?[a-z0-9_]+)\.([\w-]+)\.([a-z_]+)[^}]*\}")
ACCOUNT = "account"


@dataclass(frozen=True, kw_only=True)
class GraphResource:
    """One resource or data source of one stack.

    Attributes
    ----------
    type
        With ``data.`` in front for a data source.
    stated
        The values, where they are not those of the arguments.
    """

    stack: str
    type: str
    name: str
    arguments: Mapping[str, Any]
    stated: tuple[tuple[str, Any], ...] | None = None

    @cached_property
    def values(self) -> tuple[tuple[str, Any], ...]:
        """Path and value of every argument, lists without their indexes, in the order of the stack."""
        return tuple(flat(self.arguments)) if self.stated is None else self.stated

    @cached_property
    def where(self) -> str:
        """``<stack>/<type>.<name>``, unique over all stacks."""
        return f"{self.stack}/{self.type}.{self.name}"

    @cached_property
    def environment(self) -> str:
        """The environment whose stack has it, or ``account``."""
        return environment_of(self.stack)

    def get(self, path: str) -> Any:
        """Return the first value at a path; None if there is none."""
        found = self._at(path)
        return found[0] if found else None

    def all(self, path: str) -> list[Any]:
        """Return every value at a path."""
        return list(self._at(path))

    def _at(self, path: str) -> Sequence[Any]:
        """Return the values at a path; only the argument that it is in is listed, because most questions are for one."""
        if self.stated is not None:
            return _by_path(self.stated).get(path, ())
        argument = path.partition(".")[0]
        value = self.arguments.get(argument)
        if isinstance(value, str):
            return (value,) if path == argument else ()
        if value is None:
            return ()
        if argument not in self._listed:
            self._listed[argument] = _by_path(flat(value, argument))
        return self._listed[argument].get(path, ())

    @cached_property
    def _listed(self) -> dict[str, Mapping[str, list[Any]]]:
        return {}

    def blocks(self, name: str) -> list[Mapping[str, Any]]:
        """Return the blocks of a name, one or a list of them."""
        return [block for block in as_blocks(self.arguments.get(name)) if isinstance(block, Mapping)]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The resource and the attribute that a value is taken from."""

    where: str
    attribute: str

    @property
    def stack(self) -> str:
        """The stack of the resource."""
        return self.where.partition("/")[0]

    @property
    def type(self) -> str:
        """The type of the resource."""
        return self.where.partition("/")[2].rpartition(".")[0]


class Estate:
    """The stacks of all environments and the settings that they were made from."""

    def __init__(self, stacks: Stacks, settings: Settings) -> None:
        self.stacks = stacks
        self.settings = settings
        self._resolved: dict[tuple[str, str], str] = {}
        self._origins: dict[str, tuple[Origin, ...]] = {}
        self._owners: dict[tuple[str, str], str | None] = {}

    @cached_property
    def resources(self) -> tuple[GraphResource, ...]:
        """Every resource and data source, but for the states of other stacks."""
        return tuple(self._all())

    @cached_property
    def by_type(self) -> Mapping[str, tuple[GraphResource, ...]]:
        """The resources of each type."""
        found: dict[str, list[GraphResource]] = {}
        for resource in self.resources:
            found.setdefault(resource.type, []).append(resource)
        return {kind: tuple(those) for kind, those in found.items()}

    @cached_property
    def by_where(self) -> Mapping[str, GraphResource]:
        """Each resource by stack and address."""
        return {resource.where: resource for resource in self.resources}

    def of(self, *types: str) -> Iterator[GraphResource]:
        """Yield the resources of these types."""
        for kind in types:
            yield from self.by_type.get(kind, ())

    def resolved(self, stack: str, value: Any) -> str:
        """Return a value as text in which every reference names its origin, over all stacks."""
        if not isinstance(value, str) or "${" not in value:
            return str(value)
        key = (stack, value)
        if key not in self._resolved:
            self._resolved[key] = f"@{{?{value}}}"  # what refers to itself leads nowhere
            self._resolved[key] = _EXPRESSION.sub(lambda found: self._origin(stack, found[1]), value)
        return self._resolved[key]

    def origins(self, stack: str, value: Any) -> tuple[Origin, ...]:
        """Return the resources that a value is taken from."""
        text = self.resolved(stack, value)
        if text not in self._origins:
            self._origins[text] = tuple(
                Origin(where=f"{found[0]}/{found[1]}.{found[2]}", attribute=found[3]) for found in _ORIGIN.findall(text)
            )
        return self._origins[text]

    def origin(self, stack: str, value: Any) -> GraphResource | None:
        """Return the one resource that a value is taken from; None if there is not exactly one."""
        found = {one.where for one in self.origins(stack, value)}
        return self.by_where.get(found.pop()) if len(found) == 1 else None

    def owner_of_state(self, stack: str, state: str) -> str | None:
        """Return which stack writes the state that a stack reads under a name; None if none of these does."""
        key = (stack, state)
        if key not in self._owners:
            self._owners[key] = state_owner(self.stacks, self.stacks[stack], state)
        return self._owners[key]

    def _origin(self, stack: str, expression: str) -> str:
        text = expression.strip()
        output = OUTPUT.fullmatch(text)
        if output:
            owner = self.owner_of_state(stack, output[1])
            outputs = self.stacks[owner].content.get("output", {}) if owner else {}
            stated = outputs.get(output[2], {}).get("value")
            return f"@{{?{text}}}" if stated is None or owner is None else self.resolved(owner, stated)
        if text == "path.module":
            return "@{module}"
        found = _REFERENCE.match(text)
        if found is None:
            inner = re.search(r"\b([a-z][a-z0-9]*_[a-z0-9_]+)\.([a-z][a-z0-9_-]*)\.([a-z_]+)", text)
            return f"@{{?{text}}}" if inner is None else self._named(stack, "", inner[1], inner[2], inner[3], text)
        data, kind, name, attribute, _ = found.groups()
        return self._named(stack, data or "", kind, name, attribute, text)

    def _named(self, stack: str, data: str, kind: str, name: str, attribute: str, text: str) -> str:
        section = self.stacks[stack].content.get("data" if data else "resource", {})
        if name in section.get(kind, {}):
            return f"@{{{stack}/{data}{kind}.{name}.{attribute}}}"
        return f"@{{?{text}}}"

    def _all(self) -> Iterator[GraphResource]:
        for stack in self.stacks.values():
            for section, prefix in (("resource", ""), ("data", "data.")):
                for kind, named in stack.content.get(section, {}).items():
                    if kind != "terraform_remote_state":
                        for name, arguments in named.items():
                            yield GraphResource(
                                stack=stack.name,
                                type=f"{prefix}{kind}",
                                name=name,
                                arguments=arguments,
                            )


def _by_path(values: Sequence[tuple[str, Any]]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for path, value in values:
        found.setdefault(path, []).append(value)
    return found


def flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return path and value of everything inside, lists without their indexes; an empty block has the value ``{}``."""
    found: list[tuple[str, Any]] = []
    _add_flat(found, value, path)
    return found


def _add_flat(found: list[tuple[str, Any]], value: Any, path: str) -> None:
    """Add what is inside; one list for all, because an estate has a million values."""
    if isinstance(value, str):  # most values are; asked first, because asking for a mapping takes longer
        found.append((path, value))
    elif isinstance(value, Mapping):
        if not value and path:
            found.append((path, "{}"))
        for name, inner in value.items():
            if name != "//":
                _add_flat(found, inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            _add_flat(found, inner, path)
    elif value is not None:
        found.append((path, value))
