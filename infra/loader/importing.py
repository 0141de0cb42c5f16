"""Objects that exist are taken into a state: by the id that the provider's page states, with what the service tells of them.

`terraform import` and `import` blocks ask for the same two things: the state of an id, then a reading of it.
"""

import json
from collections.abc import Mapping
from typing import Any

from infra.loader.kind import LoadedKind
from infra.loader.session import LoaderError, MissingObjectError, Session
from infra.offline import values
from infra.terraform_cli.import_ids import ImportRule

IMPORTED = b"imported"
"""The private data of a state that was imported, as long as the object lives."""
NOTHING: tuple[Any, ...] = (None, "", [], {}, False, 0)
"""What is not set, for a service."""


def imported_state(
    rule: ImportRule | None, kind: LoadedKind | None, session: Session, block: Mapping[str, Any], identity: str
) -> dict[str, Any]:
    """Return the state of an object by its id; what the provider computes and the loader does not know is made up.

    Parameters
    ----------
    rule
        How the type is imported; None for a type of which nothing is stated.
    kind
        What the type is to the loader; None for a type whose values are made up.
    block
        The type's schema.

    Raises
    ------
    LoaderError
        If the provider does not import the type, there is no object behind it here, or the id has another form.
    MissingObjectError
        If there is no such object.
    """
    if rule is None:
        raise LoaderError("infra/terraform_cli/import_ids.yaml does not say how this type is imported.")
    if rule.refused:
        raise LoaderError(f"{rule.refused} ({rule.page})")
    if kind is None or kind.find is None:
        raise LoaderError(
            f"the loader makes the values of {rule.type_} up, so there is no object here that could be imported; the real "
            f"provider imports it by {rule.id} ({rule.page})."
        )
    parts = rule.parts(identity)
    if parts is None:
        raise LoaderError(f"{identity!r} is no id of a {rule.type_}: its form is {rule.id} ({rule.page}).")
    try:
        found = {**parts, **kind.find(session, parts)}
    except MissingObjectError as missing:
        raise MissingObjectError(f"Cannot import non-existent remote object: {missing}") from missing
    made: dict[str, Any] = values.read(block, told(block, found), data_type=rule.type_)
    return made


def told(block: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a service tells of an object in the form of a state; what the schema does not know is left out."""
    result: dict[str, Any] = {}
    for name, attribute in block.get("attributes", {}).items():
        value, nested = found.get(name), attribute.get("nested_type")
        if value is None:
            result[name] = None
        elif nested is None:
            result[name] = _typed(attribute["type"], value)
        else:
            result[name] = _each(nested["nesting_mode"], nested, value)
    for name, nested in block.get("block_types", {}).items():
        value = found.get(name)
        if nested["nesting_mode"] == "single":
            result[name] = None if value is None else told(nested["block"], value)
        else:
            items = [value] if isinstance(value, dict) else value or []
            result[name] = [told(nested["block"], item) for item in items if item]
    return result


def _each(nesting: str, block: Mapping[str, Any], value: Any) -> Any:
    if nesting == "single":
        return told(block, value)
    if nesting == "map":
        return {key: told(block, item) for key, item in value.items()}
    return [told(block, item) for item in value]


def _typed(kind: Any, value: Any) -> Any:
    """Return a value as its type has it: services write some numbers as text, and some text as numbers."""
    if kind == "string":
        return str(value)
    if kind == "number":
        return value if isinstance(value, (int, float)) else int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "bool":
        return value in (True, "true")
    if isinstance(kind, list) and kind[0] == "map":
        return {key: _typed(kind[1], item) for key, item in value.items()}
    if isinstance(kind, list) and kind[0] in ("list", "set"):
        return [_typed(kind[1], item) for item in ([value] if isinstance(value, dict) else value)]
    if isinstance(kind, list) and kind[0] == "object":
        return {
            name: None if value.get(name) is None else _typed(inner, value[name]) for name, inner in kind[1].items()
        }
    return value


def settled(before: Any, plan: Any, block: Mapping[str, Any]) -> Any:
    """Return the plan of a resource that was imported: what differs from the state only in nothing stays as it is.

    A service tells no difference between what is not set and what is false, zero or empty; nor do the states of real providers
    of Terraform's older SDK (https://developer.hashicorp.com/terraform/plugin/framework/migrating/benefits).
    """
    sets = {name for name, one in _members(block).items() if _is_set(one)}
    return {
        name: before[name] if _same(before[name], value, in_any_order=name in sets) else value
        for name, value in plan.items()
    }


def _members(block: Mapping[str, Any]) -> dict[str, Any]:
    return {**block.get("attributes", {}), **block.get("block_types", {})}


def _is_set(member: Mapping[str, Any]) -> bool:
    nesting = member.get("nesting_mode") or member.get("nested_type", {}).get("nesting_mode") or member.get("type")
    return nesting == "set" or (isinstance(nesting, list) and nesting[0] == "set")


def _same(one: Any, other: Any, *, in_any_order: bool) -> bool:
    first, second = _stated(one), _stated(other)
    if in_any_order and isinstance(first, list) and isinstance(second, list):
        return sorted(map(_text, first)) == sorted(map(_text, second))
    return bool(first == second)


def _stated(value: Any) -> Any:
    """Return a value without what is not set, at every depth; nothing for what holds nothing."""
    if isinstance(value, dict):
        return {name: inner for name, one in value.items() if (inner := _stated(one)) is not None} or None
    if isinstance(value, list):
        items = [_stated(one) for one in value]
        return None if all(one is None for one in items) else items
    return None if value != values.UNKNOWN and value in NOTHING else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
