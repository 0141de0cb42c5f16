"""What a type of resource is to the loader: how its object is created, read, changed and deleted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.loader.session import Json, MissingObjectError, Session

State = Mapping[str, Any]
"""The arguments of a resource as Terraform gives them, single blocks unwrapped, what is not set left out."""


@dataclass(frozen=True, kw_only=True)
class LoadedKind:
    """One type.

    Attributes
    ----------
    create
        Creates the object of a plan; returns the values that the service decides, with ``id``.
    read
        Returns the attributes as they are now; raises `MissingObjectError` for an object that is gone.
    change
        Changes the object from a state to a plan; returns values that the service decides anew. None: `create` does it.
    delete
        Deletes the object.
    find
        Returns the attributes of an object that no state knows, by the parts of its id for an import; raises
        `MissingObjectError` if there is none. None: the type is not imported.
    """

    create: Callable[[Session, State], Json]
    read: Callable[[Session, State], Json] = lambda _session, _state: {}
    change: Callable[[Session, State, State], Json] | None = None
    delete: Callable[[Session, State], object] = lambda _session, _state: None
    find: Callable[[Session, State], Json] | None = None


def rest(
    *,
    create: str,
    one: str = "",
    change: str = "",
    delete: str = "",
    get: str = "",
    key: str = "id",
    wraps: str = "",
    body: Callable[[State], Json] = dict,
    gives: Mapping[str, str] | None = None,
    shows: tuple[str, ...] = (),
    query: Callable[[State], Json | None] = lambda _state: None,
    keyed: bool = False,
    tells: Callable[[Json], Json] = dict,
) -> LoadedKind:
    """Return the kind of an object with one request each.

    Parameters
    ----------
    create, one, change, delete, get
        ``METHOD path``; braces hold attributes of the state. `one` is the path of one object: what is not given is
        PATCH, DELETE and GET of it.
    key
        The field of the answer that is the id.
    wraps
        The field of requests and answers that holds the object.
    body
        Makes the object of a state.
    gives
        Attribute to the field of the answer that it takes.
    shows
        Attributes whose present values the service tells.
    query
        The query of a creation.
    keyed
        Whether a change or deletion by POST names the object in its body, by `key`.
    tells
        The attributes that an answer tells; those of its fields' names if they are the same.
    """
    change, delete, get = change or f"PATCH {one}", delete or f"DELETE {one}", get or f"GET {one}"

    def send(session: Session, request: str, state: State, sent: Any = None, asked: Json | None = None) -> Json:
        method, _, path = request.partition(" ")
        answer = session.ask(method, filled(path, state), sent, query=asked)
        return dict(answer[wraps]) if wraps and wraps in answer else answer

    def wrapped(state: State) -> Json:
        return {wraps: body(state)} if wraps else body(state)

    def taken(answer: Json, state: State) -> Json:
        values = {name: answer[field] for name, field in (gives or {}).items() if field in answer}
        return {"id": str(answer.get(key) or state.get(key) or ""), **values}

    def create_it(session: Session, plan: State) -> Json:
        return taken(send(session, create, plan, wrapped(plan), query(plan)), plan)

    def read_it(session: Session, state: State) -> Json:
        answer = send(session, get, state)
        return {name: answer[name] for name in shows if name in answer}

    def change_it(session: Session, state: State, plan: State) -> Json:
        sent = wrapped(plan)
        send(session, change, {**plan, "id": state["id"]}, {**sent, key: state["id"]} if keyed else sent)
        return {}

    def delete_it(session: Session, state: State) -> None:
        send(session, delete, state, {key: state["id"]} if keyed else None)

    def find_it(session: Session, parts: State) -> Json:
        answer = send(session, get, parts)
        return {**tells(answer), **taken(answer, parts)}

    return LoadedKind(create=create_it, read=read_it, change=change_it, delete=delete_it, find=find_it)


def filled(path: str, state: State) -> str:
    """Return a path with the attributes of a state in its braces; the account's stays for the session."""
    return path.format(
        **{name: value for name, value in state.items() if isinstance(value, (str, int))}, account="{account}"
    )


def found_in(answers: list[Json], field: str, value: Any, what: str) -> Json:
    """Return the one answer with a value in a field.

    Raises
    ------
    MissingObjectError
        If there is none.
    """
    found = next((one for one in answers if str(one.get(field)) == str(value)), None)
    if found is None:
        raise MissingObjectError(f"{what} {value} does not exist")
    return found
