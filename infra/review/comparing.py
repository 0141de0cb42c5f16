"""What differs between the synthesized stacks of two commits, as records: resources and privileges, by environment.

Every deployment uploads the wheel of its commit and writes the commit, and the wheel's version, into jobs, tags and paths. That is
no change to review: both are replaced by a constant before the stacks are compared.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from infra.config.stack_names import environment_of
from infra.graph.uncollected import uncollected
from infra.releases.data_loss import holds_data
from infra.review.privileges import Privilege, privileges_of
from infra.review.replacement import forcing
from infra.review.values import ValueChange, value_changes
from infra.terraform_cli.changes import Action
from infra.terraform_cli.synthesized import SynthesizedStack
from pipelines.declarations.environment import ENVIRONMENTS

COMMIT = "COMMIT"
SHORT = 12
"""How many characters of the commit the wheel's name has."""
VERSIONED = re.compile(rf"(lakehouse_mlops)-[0-9.]+\+g{COMMIT}")
"""The beginning of a wheel's name: package, version and commit."""


class Basis(StrEnum):
    """The evidence that a resource is replaced."""

    ADDRESS = "its address changed"
    DOCUMENTED = "the provider's documentation says so"
    PLANNED = "Terraform's plan says so"


@dataclass(frozen=True, kw_only=True)
class ResourceChange:
    """One resource that differs between two commits.

    Attributes
    ----------
    attributes
        The arguments whose value differs; if the resource is replaced, only those that force the replacement.
    basis
        The evidence that it is replaced; None unless it is.
    formerly
        Its address before, if the address changed.
    because
        The address of a resource that is replaced, if this one is replaced because it refers to it.
    values
        Every value that differs, before and after; none for what is created, destroyed or moved.
    """

    stack: str
    address: str
    action: Action
    attributes: tuple[str, ...] = ()
    basis: Basis | None = None
    formerly: str = ""
    because: str = ""
    values: tuple[ValueChange, ...] = field(default=(), compare=False)

    @property
    def loses_data(self) -> bool:
        """Whether what it holds is lost."""
        kind = self.address.rpartition(".")[0].rpartition(".")[2] or self.address.partition(".")[0]
        return self.action in (Action.DESTROY, Action.REPLACE) and holds_data(kind)


@dataclass(frozen=True, kw_only=True)
class BlockChange:
    """One value outside of resources that differs between two commits.

    Attributes
    ----------
    block
        ``provider``, ``terraform``, ``output``, ``data``, ``module``, ``import`` or another block of Terraform's JSON.
    """

    stack: str
    block: str
    value: ValueChange


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a change means in one environment.

    Attributes
    ----------
    blocks
        What differs outside of resources: providers, backends, states that are read, outputs, modules, imports.
    """

    resources: tuple[ResourceChange, ...] = ()
    blocks: tuple[BlockChange, ...] = ()
    gained: tuple[Privilege, ...] = ()
    lost: tuple[Privilege, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything changes."""
        return bool(self.resources or self.blocks or self.gained or self.lost)


@dataclass(frozen=True, kw_only=True)
class SynthesizedEstate:
    """The synthesized stacks of all environments and the commit that they were synthesized from."""

    stacks: Mapping[str, SynthesizedStack]
    commit: str


@dataclass(frozen=True, kw_only=True)
class _PlainResource:
    """One resource as it is compared."""

    stack: str
    kind: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def address(self) -> str:
        return f"{self.kind}.{self.name}"


@uncollected
def compare(before: SynthesizedEstate, after: SynthesizedEstate) -> Mapping[str, Meaning]:
    """Return what differs, by environment; an empty meaning for an environment without a difference.

    Parameters
    ----------
    before, after
        The stacks of both commits; a stack that only one of them has is compared with nothing.
    """
    meanings = {}
    old, new = _resources(before), _resources(after)
    for environment in _environments((*before.stacks, *after.stacks)):
        mine_old = {key: r for key, r in old.items() if environment_of(r.stack) == environment}
        mine_new = {key: r for key, r in new.items() if environment_of(r.stack) == environment}
        had, has = _privileges(mine_old.values()), _privileges(mine_new.values())
        meanings[environment] = Meaning(
            resources=_changes(mine_old, mine_new, _moves(after)),
            blocks=tuple(_blocks(before, after, environment)),
            gained=tuple(sorted(has - had)),
            lost=tuple(sorted(had - has)),
        )
    return meanings


def _blocks(before: SynthesizedEstate, after: SynthesizedEstate, environment: str) -> Iterator[BlockChange]:
    """Yield what differs outside of resources, in stacks that both commits have."""
    for name in sorted({*before.stacks} & {*after.stacks}):
        if environment_of(name) != environment:
            continue
        old, new = (_other_blocks(estate, name) for estate in (before, after))
        for block in sorted({*old, *new}):
            for value in value_changes(block, {block: old.get(block, {})}, {block: new.get(block, {})}):
                yield BlockChange(stack=name, block=block, value=value)


def _other_blocks(estate: SynthesizedEstate, stack: str) -> dict[str, Any]:
    """Return the blocks of a stack without its resources, its comments and the hash of the wheel of its commit."""
    content = estate.stacks[stack].content
    outputs = {name: value for name, value in content.get("output", {}).items() if name != WHEEL_HASH}
    blocks = {name: value for name, value in content.items() if name not in ("resource", "//")}
    return _plain({**blocks, "output": outputs}, estate.commit)


WHEEL_HASH = "wheel_sha256"
"""The output with the hash of the wheel, which every commit changes."""


def _environments(stacks: Iterable[str]) -> list[str]:
    """Return the environments of stacks in the order in which they are deployed."""
    order = ["account", *ENVIRONMENTS]
    found = {environment_of(stack) for stack in stacks}
    return sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))


def _resources(estate: SynthesizedEstate) -> dict[tuple[str, str], _PlainResource]:
    found = {}
    for stack in estate.stacks.values():
        for kind, name, arguments in stack.resources():
            plain = _plain(arguments, estate.commit)
            found[stack.name, f"{kind}.{name}"] = _PlainResource(
                stack=stack.name, kind=kind, name=name, arguments=plain
            )
    return found


def _plain(arguments: Mapping[str, Any], commit: str) -> dict[str, Any]:
    """Return arguments without what every deployment changes, and small files as decoded text."""
    made: dict[str, Any] = {name: value for name, value in arguments.items() if name != "//"}
    if "content_base64" in made:
        made["content_base64"] = _decoded(str(made["content_base64"]))
    if str(made.get("source", "")).endswith(".whl"):
        # The path of the file on this machine, and a condition on its hash.
        made["source"] = COMMIT
        made["lifecycle"] = {k: v for k, v in made.get("lifecycle", {}).items() if k != "precondition"}
        made = {name: value for name, value in made.items() if value != {}}
    if not commit or commit[:SHORT] not in repr(made):  # quicker than to write and read JSON, which most do not need
        return made
    text = json.dumps(made, sort_keys=True)
    for known in (commit, commit[:SHORT]):
        text = text.replace(known, COMMIT) if known else text
    text = VERSIONED.sub(rf"\1-{COMMIT}", text)
    plain: dict[str, Any] = json.loads(text)
    return plain


def _decoded(content: str) -> str:
    try:
        return base64.b64decode(content, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return content


def _privileges(resources: Iterable[_PlainResource]) -> set[Privilege]:
    return {privilege for r in resources for privilege in privileges_of(r.kind, r.name, r.arguments)}


def _moves(estate: SynthesizedEstate) -> dict[tuple[str, str], str]:
    """Return the addresses that the stacks declare as moved: Terraform destroys nothing at their former addresses."""
    return {
        (stack.name, str(move["to"])): str(move["from"])
        for stack in estate.stacks.values()
        for move in stack.content.get("moved", ())
    }


def _changes(
    old: Mapping[tuple[str, str], _PlainResource],
    new: Mapping[tuple[str, str], _PlainResource],
    moves: Mapping[tuple[str, str], str],
) -> tuple[ResourceChange, ...]:
    found, gone, come = [], dict(old), dict(new)
    for key, resource in new.items():
        former = (key[0], moves.get(key, key[1]))
        if former in gone:
            before = gone.pop(former)
            del come[key]
            found.extend(_changed(before, resource))
    for key, resource in list(come.items()):
        twin = next((k for k, r in gone.items() if _only_address_differs(r, resource)), None)
        if twin is not None:
            formerly = gone.pop(twin).address
            del come[key]
            found.append(_change(resource, Action.REPLACE, basis=Basis.ADDRESS, formerly=formerly))
    found += [_change(resource, Action.CREATE) for resource in come.values()]
    found += [_change(resource, Action.DESTROY) for resource in gone.values()]
    return tuple(sorted(_with_followers(found, new), key=lambda change: (change.stack, change.address)))


def _with_followers(
    changes: Sequence[ResourceChange], new: Mapping[tuple[str, str], _PlainResource]
) -> list[ResourceChange]:
    """Return changes with those that follow: what refers to a replaced resource in an argument that forces a new one.

    The id of a replaced resource is another one, so the value of the argument is, even if its expression stays the same.
    """
    found = {(change.stack, change.address): change for change in changes}
    waiting = [key for key, change in found.items() if change.action is Action.REPLACE]
    while waiting:
        stack, address = waiting.pop()
        for key, resource in new.items():
            known = found.get(key)
            if key[0] != stack or (known is not None and known.action is not Action.UPDATE):
                continue
            forced = forcing(resource.kind, [n for n, v in resource.arguments.items() if _refers(v, address)])
            if forced:
                found[key] = _change(
                    resource, Action.REPLACE, attributes=forced, basis=Basis.DOCUMENTED, because=address,
                    values=known.values if known else (),
                )  # fmt: skip
                waiting.append(key)
    return list(found.values())


def _refers(value: Any, address: str) -> bool:
    return f"${{{address}." in json.dumps(value)


def _only_address_differs(old: _PlainResource, new: _PlainResource) -> bool:
    """Return whether two resources differ in nothing but their address."""
    return (old.stack, old.kind) == (new.stack, new.kind) and old.arguments == new.arguments


def _changed(old: _PlainResource, new: _PlainResource) -> list[ResourceChange]:
    names = {*old.arguments, *new.arguments}
    differing = tuple(sorted(name for name in names if old.arguments.get(name) != new.arguments.get(name)))
    if not differing:
        return []
    values = value_changes(new.kind, old.arguments, new.arguments)
    forced = forcing(new.kind, differing)
    if forced:
        return [_change(new, Action.REPLACE, attributes=forced, basis=Basis.DOCUMENTED, values=values)]
    return [_change(new, Action.UPDATE, attributes=differing, values=values)]


def _change(resource: _PlainResource, action: Action, **other: Any) -> ResourceChange:
    return ResourceChange(stack=resource.stack, address=resource.address, action=action, **other)
