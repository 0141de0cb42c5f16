"""What the generic provider answers: properties that hold for every schema and every configuration."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.offline import values
from infra.offline.values import UNKNOWN

TEXT = st.text("abc", min_size=1, max_size=3)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "number": st.integers(-(2**40), 2**40),
    "bool": st.booleans(),
}


def attribute_type() -> st.SearchStrategy[Any]:
    """Generate Terraform types, nested twice at most."""
    scalar = st.sampled_from(sorted(SCALARS))
    one = st.one_of(scalar, st.tuples(st.sampled_from(["list", "set", "map"]), scalar).map(list))
    return st.one_of(one, st.dictionaries(TEXT, one, max_size=2).map(lambda fields: ["list", ["object", fields]]))


def attribute() -> st.SearchStrategy[dict[str, Any]]:
    """Generate attributes with every combination of flags that Terraform allows."""
    flags = st.sampled_from(
        [{"required": True}, {"optional": True}, {"computed": True}, {"optional": True, "computed": True}]
    )
    return st.builds(lambda flags, kind: {**flags, "type": kind}, flags, attribute_type())


def blocks(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Generate schemas: attributes, nested objects, and blocks of every nesting below them."""
    members: dict[str, Any] = {"attributes": st.dictionaries(TEXT, attribute(), max_size=3)}
    if depth:
        nested = st.builds(
            lambda mode, block: {"nesting_mode": mode, "block": block},
            st.sampled_from(["single", "list", "set"]),
            blocks(depth - 1),
        )
        members["block_types"] = st.dictionaries(TEXT.map(lambda name: f"b_{name}"), nested, max_size=2)
    return st.fixed_dictionaries(members)


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Generate values of a Terraform type."""
    if isinstance(kind, str):
        return SCALARS[kind]
    if kind[0] == "object":
        return st.fixed_dictionaries({name: of_type(inner) for name, inner in kind[1].items()})
    if kind[0] == "map":
        return st.dictionaries(TEXT, of_type(kind[1]), max_size=2)
    return st.lists(of_type(kind[1]), max_size=2)


def configurations(block: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Generate configurations that Terraform would accept: required is there, computed alone is not."""
    members: dict[str, st.SearchStrategy[Any]] = {}
    for name, a in block.get("attributes", {}).items():
        given_value = of_type(a["type"])
        members[name] = given_value if a.get("required") else st.one_of(st.none(), given_value)
        if "optional" not in a and "required" not in a:
            members[name] = st.none()
    for name, nested in block.get("block_types", {}).items():
        inner = configurations(nested["block"])
        members[name] = (
            st.one_of(st.none(), inner) if nested["nesting_mode"] == "single" else st.lists(inner, max_size=2)
        )
    return st.fixed_dictionaries(members)


CASES = blocks().flatmap(lambda block: st.tuples(st.just(block), configurations(block)))


def contains_unknown(value: Any) -> bool:
    """Tell whether anything in a value is unknown."""
    if isinstance(value, dict):
        return any(contains_unknown(inner) for inner in value.values())
    return any(contains_unknown(inner) for inner in value) if isinstance(value, list) else bool(value == UNKNOWN)


def agrees(config: Any, state: Any) -> bool:
    """Tell whether a state keeps everything that its configuration states."""
    if config is None:
        return True
    if isinstance(config, dict) and isinstance(state, dict):
        return all(agrees(value, state[name]) for name, value in config.items())
    if isinstance(config, list):
        return len(config) == len(state) and all(agrees(c, s) for c, s in zip(config, state, strict=True))
    return bool(config == state)


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_a_deployed_configuration_plans_no_change(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Plan, apply, plan again: the state keeps the configuration, knows everything, and the second plan is the state."""
    block, config = case
    plan = values.planned(block, config)
    state = values.applied(block, plan, resource_type="databricks_job")
    assert agrees(config, state)
    assert not contains_unknown(state)
    assert values.planned(block, state) == state
    assert values.applied(block, plan, resource_type="databricks_job") == state


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_values_cross_the_wire_and_the_state_file_unchanged(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """What Terraform sends is what is read, unknown values included; a stored state comes back in the same shape."""
    block, config = case
    plan = values.planned(block, config)
    assert values.decode(values.encode(plan)) == plan
    state = values.applied(block, plan, resource_type="databricks_job")
    assert values.upgraded(block, state) == state


def test_what_only_a_cloud_decides_is_unknown_at_plan() -> None:
    """A computed attribute is unknown where nothing is stated, and stays what was stated otherwise."""
    block = {
        "attributes": {"id": {"computed": True, "type": "string"}, "owner": {"optional": True, "computed": True, "type": "string"},
                       "comment": {"optional": True, "type": "string"}}
    }  # fmt: skip
    assert values.planned(block, {"id": None, "owner": "me", "comment": None}) == {
        "id": UNKNOWN, "owner": "me", "comment": None,
    }  # fmt: skip
    assert values.planned(block, None) is None


def test_different_configurations_get_different_identifiers() -> None:
    """Two resources of one type never share a made-up id, nor do two types with the same arguments."""
    block = {"attributes": {"id": {"computed": True, "type": "string"}, "name": {"required": True, "type": "string"}}}

    def identifier(name: str, kind: str) -> str:
        plan = values.planned(block, {"id": None, "name": name})
        return str(values.applied(block, plan, resource_type=kind)["id"])

    made = {identifier(name, kind) for name in ("a", "b") for kind in ("databricks_job", "databricks_group")}
    assert len(made) == 4
    assert all(text.isdigit() for text in made)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({}, {"name": None, "tags": []}),
        ({"name": "x", "gone": 1}, {"name": "x", "tags": []}),
        ({"tags": [{"key": "k", "gone": 1}]}, {"name": None, "tags": [{"key": "k"}]}),
    ],
)
def test_a_state_of_another_schema_takes_the_shape_of_this_one(
    stored: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Arguments that are gone go, new ones are missing, in blocks too."""
    block = {
        "attributes": {"name": {"optional": True, "type": "string"}},
        "block_types": {
            "tags": {"nesting_mode": "list", "block": {"attributes": {"key": {"optional": True, "type": "string"}}}}
        },
    }
    assert values.upgraded(block, stored) == expected


def test_a_deployed_template_has_the_outputs_that_it_declares() -> None:
    """Others read them as JSON; a made-up text would not be any."""
    block = {
        "attributes": {
            "template_content": {"type": "string", "optional": True, "computed": True},
            "output_content": {"type": "string", "computed": True},
        }
    }
    plan = {"template_content": json.dumps({"outputs": {"version": {"type": "string"}}}), "output_content": UNKNOWN}
    first = values.applied(block, plan, resource_type="azurerm_resource_group_template_deployment")
    outputs = json.loads(first["output_content"])
    assert set(outputs) == {"version"}
    assert isinstance(outputs["version"]["value"], str)
    assert values.applied(block, first, resource_type="azurerm_resource_group_template_deployment") == first
