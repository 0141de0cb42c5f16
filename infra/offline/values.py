"""The values in the answers of the generic provider: planned values, made-up values, upgraded state.

Each is a function of the schema. Values are plain Python: dict for objects and blocks, list for lists and sets, `UNKNOWN`
for values that are known after apply. The encoding is Terraform's (MessagePack, unknown values as an extension).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no types

UNKNOWN = msgpack.ExtType(0, b"\x00")
"""A value that is known after apply; refinements that Terraform knows (its type, a prefix) are dropped."""

Block = Mapping[str, Any]


def decode(encoded: bytes) -> Any:
    """Return the value that Terraform sent; every kind of unknown becomes `UNKNOWN`."""
    return msgpack.unpackb(encoded, ext_hook=lambda _code, _data: UNKNOWN, strict_map_key=False)


def encode(value: Any) -> bytes:
    """Return `value` as Terraform reads it."""
    packed: bytes = msgpack.packb(value)
    return packed


def planned(block: Block, proposed: Any) -> Any:
    """Return the plan for a resource: the proposed values, and unknown wherever the provider has yet to decide.

    Parameters
    ----------
    block
        The resource's schema.
    proposed
        The configuration merged with the prior state, as Terraform proposes it; None to destroy.
    """
    return _walk(block, proposed, lambda value, _attribute, _path: UNKNOWN if value is None else value)


def applied(block: Block, plan: Any, *, resource_type: str) -> Any:
    """Return the state after apply: the plan with a made-up value wherever it is unknown.

    The values depend only on the type of the resource and its plan: the same configuration gives the same values.
    """
    made = _made_up(block, plan, resource_type, lambda value: value == UNKNOWN)
    if "template_content" in block.get("attributes", {}) and made is not None and plan["output_content"] == UNKNOWN:
        made["output_content"] = _template_outputs(made["template_content"], made["output_content"])
    return made


def _template_outputs(template: str, made_up: str) -> str:
    """Return what a deployment of a template of Azure Resource Manager gives: a made-up value for each output."""
    outputs = json.loads(template).get("outputs", {})
    return json.dumps({name: {"type": "String", "value": f"{made_up}-{name}"} for name in sorted(outputs)})


def read(block: Block, config: Any, *, data_type: str) -> Any:
    """Return the values of a data source: its configuration, and made-up values for the rest."""
    return _made_up(block, config, data_type, lambda value: value is None or value == UNKNOWN)


def upgraded(block: Block, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored state in the form of `block`: attributes that the schema lacks are dropped, new ones are None."""
    result = {name: _upgraded_attribute(a, state.get(name)) for name, a in block.get("attributes", {}).items()}
    for name, nested in block.get("block_types", {}).items():
        value = state.get(name)
        if nested["nesting_mode"] == "single":
            result[name] = None if value is None else upgraded(nested["block"], value)
        else:
            result[name] = [upgraded(nested["block"], item) for item in value or []]
    return result


def _upgraded_attribute(attribute: Mapping[str, Any], value: Any) -> Any:
    nested = attribute.get("nested_type")
    if nested is None or value is None:
        return value
    return _each(nested["nesting_mode"], value, lambda item: upgraded(nested, item))


def _each(nesting: str, value: Any, change: Callable[[Any], Any]) -> Any:
    if nesting == "single":
        return change(value)
    if nesting == "map":
        return {key: change(item) for key, item in value.items()}
    return [change(item) for item in value]


_Decide = Callable[[Any, Mapping[str, Any], str], Any]


def _walk(block: Block, value: Any, decide: _Decide, path: str = "") -> Any:
    """Return `value` with the result of `decide` for every computed attribute, also within blocks and objects."""
    if value is None or value == UNKNOWN:
        return value
    result = dict(value)
    for name, attribute in block.get("attributes", {}).items():
        here = f"{path}{name}"
        if attribute.get("computed"):
            result[name] = decide(result.get(name), attribute, here)
        nested = attribute.get("nested_type")
        if nested and result.get(name) is not None and result[name] != UNKNOWN:
            result[name] = _descend(nested, nested["nesting_mode"], result[name], decide, here)
    for name, nested in block.get("block_types", {}).items():
        if result.get(name) is not None and result[name] != UNKNOWN:
            result[name] = _descend(nested["block"], nested["nesting_mode"], result[name], decide, f"{path}{name}")
    return result


def _descend(block: Block, nesting: str, value: Any, decide: _Decide, path: str) -> Any:
    if nesting == "single":
        return _walk(block, value, decide, f"{path}.")
    if nesting == "map":
        return {key: _walk(block, item, decide, f"{path}.{key}.") for key, item in value.items()}
    return [_walk(block, item, decide, f"{path}.{index}.") for index, item in enumerate(value)]


def _made_up(block: Block, value: Any, type_name: str, is_missing: Callable[[Any], bool]) -> Any:
    seed = hashlib.sha256(json.dumps([type_name, value], sort_keys=True, default=repr).encode()).hexdigest()

    def decide(current: Any, attribute: Mapping[str, Any], path: str) -> Any:
        if not is_missing(current):
            return current
        if nested := attribute.get("nested_type"):
            return _object(nested, f"{path}.", type_name, seed)
        return _of_type(attribute["type"], path, type_name, seed)

    return _walk(block, value, decide)


def _object(nested: Mapping[str, Any], path: str, type_name: str, seed: str) -> Any:
    item = {
        name: _object(a["nested_type"], f"{path}{name}.", type_name, seed)
        if "nested_type" in a
        else _of_type(a["type"], f"{path}{name}", type_name, seed)
        for name, a in nested.get("attributes", {}).items()
    }
    return {"single": item, "map": {}}.get(nested["nesting_mode"], [item])


def _of_type(kind: Any, path: str, type_name: str, seed: str) -> Any:
    """Return a value of a Terraform type; lists get one element, so that a reference to the first one resolves."""
    if kind == "bool":
        return False
    number = int(hashlib.sha256(f"{seed}{path}".encode()).hexdigest()[:12], 16)
    if kind == "number":
        return number
    if kind == "string":
        return _text(path.rsplit(".", 1)[-1], type_name, number)
    if kind[0] == "object":
        return {name: _of_type(inner, f"{path}.{name}", type_name, seed) for name, inner in kind[1].items()}
    return {} if kind[0] == "map" else [_of_type(kind[1], f"{path}.0", type_name, seed)]


def _text(name: str, type_name: str, number: int) -> str:
    if name == "id" and type_name.startswith("azurerm_"):
        return f"/offline/{type_name}/{number:012x}"
    if name == "id" or name.endswith("_id"):
        # Digits: some identifiers are text in one provider and a number in another.
        return str(number)
    if name.endswith(("_url", "_uri", "_endpoint")):
        return f"{number:012x}.offline.invalid"
    return f"offline-{name}-{number:012x}"
