"""Every type of the stacks says how it is imported, and an id is read as it is written."""

import pytest

from infra.graph.meanings import meanings
from infra.loader.kinds import KINDS
from infra.offline.schemas import provider_schemas
from infra.terraform_cli.import_ids import PART, PROVIDERS, ImportRule, import_rules, stated_id

RULES = import_rules()


def types_in_use() -> set[str]:
    """Return the types of resources that a stack may have."""
    return {one for one in meanings() if not one.startswith("data.") and ":" not in one}


def test_every_type_has_a_rule_or_the_refusal_of_its_provider() -> None:
    """A type that a stack newly uses is named here until its page was read."""
    assert types_in_use() | set(KINDS) == set(RULES)
    assert [type_ for type_, rule in RULES.items() if bool(rule.id) is bool(rule.refused)] == []


def test_the_loader_finds_what_has_a_rule_and_nothing_else() -> None:
    """A type with objects behind it is imported; one that its provider refuses has nothing to find it by."""
    assert {type_ for type_, kind in KINDS.items() if kind.find is None} == {
        type_ for type_ in KINDS if RULES[type_].refused
    }


@pytest.mark.parametrize("rule", [rule for rule in RULES.values() if rule.id], ids=lambda rule: rule.type_)
def test_an_id_is_read_as_it_is_written(rule: ImportRule) -> None:
    """Also where the last part holds what stands between parts; another form and a part that is not given are none."""
    names = PART.findall(rule.id)
    values = {name: f"x{number}" for number, name in enumerate(names)}
    if names:
        values[names[-1]] = "sql/a.b|c"
    written = rule.filled(values)
    assert written is not None
    assert rule.parts(written) == values
    assert rule.parts("") is None
    if names:
        assert rule.filled({**values, names[0]: ""}) is None
    if len(names) > 1:
        assert rule.parts("x0") is None


def test_what_no_service_tells_is_an_argument_of_the_type() -> None:
    """A name that the provider does not know would excuse nothing; each rule names the page of its provider."""
    schemas = {name: provider_schemas(name)["resources"] for name in PROVIDERS}
    for rule in RULES.values():
        provider = rule.type_.partition("_")[0]
        block = schemas[provider][rule.type_]["block"]
        assert set(rule.not_told) <= {*block.get("attributes", {}), *block.get("block_types", {})}, rule.type_
        assert f"/providers/{PROVIDERS[provider]}/latest/docs/resources/" in rule.page


def test_an_id_follows_references_and_stops_at_what_the_stack_does_not_state() -> None:
    """An association is imported by the id of what it associates, which follows from that one's own arguments."""
    resources = {
        "databricks_group_member": {"one": {"group_id": "${databricks_group.all.id}", "member_id": "7"}},
        "databricks_group": {"all": {"display_name": "all"}},
        "databricks_schema": {"raw": {"catalog_name": "${databricks_catalog.one.id}", "name": "raw"}},
        "databricks_catalog": {"one": {"name": "dev"}},
    }
    assert stated_id("databricks_schema.raw", resources) == "dev.raw"
    assert stated_id("databricks_group_member.one", resources) is None
    assert stated_id("databricks_catalog.other", resources) is None
    assert stated_id("databricks_workspace_conf.one", {"databricks_workspace_conf": {"one": {}}}) is None
