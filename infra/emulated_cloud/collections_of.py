"""Objects that are created, read, listed, changed and deleted in the same way, declared as one value each."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.emulated_cloud.calls import Call, CloudAnswer, Endpoint, invalid, not_found, taken
from infra.emulated_cloud.world import Json, World

PERMISSIONS = "permissions"
"""The store of permissions on objects, each by the kind and the id of its object."""


def number(world: World) -> int:
    """Return a new id that is a number."""
    return world.new_number()


def text_number(world: World) -> str:
    """Return a new id that is a number written as text."""
    return str(world.new_number())


def small_number(world: World) -> str:
    """Return a new id as the account gives them to users, service principals and groups."""
    return str(next(world.numbers))


def unique(world: World) -> str:
    """Return a new id that is a UUID."""
    return world.new_uuid()


def hexadecimal(world: World) -> str:
    """Return a new id of sixteen hexadecimal digits, as policies have."""
    return f"{next(world.numbers):016X}"


def long_hexadecimal(world: World) -> str:
    """Return a new id of thirty-two hexadecimal digits, as dashboards have."""
    return world.new_uuid().replace("-", "")


def nothing(call: Call, document: Json) -> Json:  # noqa: ARG001 -- the interface of what a service adds
    """Add no field."""
    return {}


def forget_permissions(call: Call, identity: str) -> None:
    """Forget who may do what with an object that is deleted."""
    kept = call.store(PERMISSIONS)
    for name in [one for one in kept if one.rpartition(" ")[2] == identity]:
        del kept[name]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One kind of object and the requests for it.

    Parameters
    ----------
    kind
        Its name in the store and in messages.
    key
        The field that holds the id.
    new_key
        Makes an id; None where the request gives it (a name).
    create, read, lists, change, delete
        The requests; empty for those that the service does not have.
    unique
        A field that no two objects share.
    wraps
        The field of the request that holds the object; empty if the request is the object.
    answers
        The fields of the answer to a creation; empty for the whole object.
    list_field
        The field of the list's answer that holds the objects; empty if the answer is the list.
    adds
        The fields that the service adds to a new object.
    shows
        The fields that are added whenever the object is read.
    merges
        Whether a change replaces single fields and leaves the others.
    created
        The status of the answer to a creation.
    """

    service: str
    kind: str
    key: str
    new_key: Callable[[World], Any] | None = None
    create: str = ""
    read: str = ""
    lists: str = ""
    change: str = ""
    delete: str = ""
    unique: str = ""
    wraps: str = ""
    answers: tuple[str, ...] = ()
    list_field: str = ""
    adds: Callable[[Call, Json], Mapping[str, Any]] = nothing
    shows: Callable[[Call, Json], Mapping[str, Any]] = nothing
    merges: bool = True
    created: int = 200
    deleted: int = 200
    hidden: frozenset[str] = field(default_factory=frozenset)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what answers the requests for this kind."""
        actions = {
            self.create: self.on_create, self.read: self.on_read, self.lists: self.on_list,
            self.change: self.on_change, self.delete: self.on_delete,
        }  # fmt: skip
        return tuple(
            Endpoint(service=self.service, request=request, action=action)
            for request, action in actions.items()
            if request
        )

    def find(self, call: Call) -> Json:
        """Return the object that a request names.

        Raises
        ------
        CloudRefusalError
            If there is none.
        """
        asked = call.arguments.get("id") or call.asked(self.key)
        document = call.store(self.kind).get(asked)
        if document is None:
            raise not_found(f"{self.kind} {asked}")
        return document

    def on_create(self, call: Call) -> CloudAnswer:
        """Keep a new object and answer it."""
        document = copy.deepcopy(call.fields.get(self.wraps, {}) if self.wraps else call.fields)
        if self.unique and any(
            one.get(self.unique) == document.get(self.unique) for one in call.store(self.kind).values()
        ):
            raise taken(f"{self.kind} {document.get(self.unique)}")
        if self.new_key is not None:
            document[self.key] = self.new_key(call.world)
        if self.key not in document:
            raise invalid(f"Missing required field: {self.key}")
        document.update(self.adds(call, document))
        document["~creator"] = call.caller.principal
        call.store(self.kind)[str(document[self.key])] = document
        return CloudAnswer(status=self.created, body=self.shown(call, document, self.answers))

    def on_read(self, call: Call) -> CloudAnswer:
        """Answer one object."""
        return CloudAnswer(body=self.shown(call, self.find(call)))

    def on_list(self, call: Call) -> Any:
        """Answer all objects."""
        found = [_unwrapped(self.shown(call, document), self.wraps) for document in call.store(self.kind).values()]
        return {self.list_field: found} if self.list_field else CloudAnswer(body=found)

    def on_change(self, call: Call) -> CloudAnswer:
        """Change an object and answer it."""
        document = self.find(call)
        changes = copy.deepcopy(call.fields.get(self.wraps, {}) if self.wraps else call.fields)
        if not self.merges:
            kept = {name: value for name, value in document.items() if name in self._own(document)}
            document.clear()
            document.update(kept)
        document.update({name: value for name, value in changes.items() if name != self.key})
        return CloudAnswer(body=self.shown(call, document))

    def on_delete(self, call: Call) -> CloudAnswer:
        """Forget an object."""
        document = self.find(call)
        del call.store(self.kind)[str(document[self.key])]
        forget_permissions(call, str(document[self.key]))
        return CloudAnswer(status=self.deleted)

    def shown(self, call: Call, document: Json, only: tuple[str, ...] = ()) -> Json:
        """Return an object as the service shows it."""
        whole = {**document, **self.shows(call, document)}
        seen = {
            name: value for name, value in whole.items()
            if name in only or (not only and name not in self.hidden and not name.startswith("~"))
        }  # fmt: skip
        return {self.wraps: copy.deepcopy(seen)} if self.wraps else copy.deepcopy(seen)

    def _own(self, document: Json) -> set[str]:
        return {self.key, *(name for name in document if name.startswith(("~", "create")))}


def _unwrapped(document: Json, wraps: str) -> Any:
    return document[wraps] if wraps else document
