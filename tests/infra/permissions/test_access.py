"""Who may do what: levels of access, what derives from declared assets, and the one opening between environments."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from databricks.sdk.service.catalog import Privilege

from infra.commands.matrix import matrix
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.constructs.deployment import holders
from infra.description.permission_matrix import as_markdown
from infra.permissions.access_levels import RIGHTS
from infra.permissions.grants import Holder, Usage, merged, permissions, schema_grants, schema_usage, volume_grants
from infra.permissions.roles import Access, Object
from infra.synthesis.stack import Stack
from pipelines.declarations.asset import Layer
from pipelines.declarations.registry import use_cases

READING = {"SELECT", "USE_SCHEMA", "USE_CATALOG", "BROWSE", "EXECUTE", "READ_VOLUME"}
LOOKING = {"CAN_READ", "CAN_VIEW", "CAN_USE", "CAN_RUN", "CAN_QUERY", "CAN_MANAGE_RUN"}


def given_to(stack: Stack, principal: str) -> Iterator[tuple[str, str]]:
    """Yield every right that a stack gives to a principal, with the address of what it is on."""
    for resource in stack.resources.values():
        for grant in resource.arguments.get("grant", []):
            if grant["principal"] == principal:
                yield from ((resource.address, privilege) for privilege in grant["privileges"])
        for control in resource.arguments.get("access_control", []):
            if principal in (control.get("group_name"), control.get("service_principal_name")):
                yield resource.address, control["permission_level"]
        if resource.arguments.get("principal") == principal:
            yield resource.address, resource.arguments["permission"]


def test_there_are_rights_for_every_level_and_none_for_none() -> None:
    """A level without rights of its own would be an error at synthesis."""
    assert set(RIGHTS) == set(Access)
    assert RIGHTS[Access.NONE] == dataclasses.replace(RIGHTS[Access.NONE], workspace=None, catalog=frozenset())
    assert not RIGHTS[Access.NONE].schemas
    assert not RIGHTS[Access.NONE].levels


def test_who_administers_reads_no_data() -> None:
    """The platform engineer sees that data exists, and nothing of what it says."""
    rights = RIGHTS[Access.ADMINISTER]
    assert not rights.schemas
    assert not rights.volumes
    assert Privilege.SELECT not in rights.catalog


@pytest.mark.parametrize("access", [Access.EXPLAIN, Access.OBSERVE, Access.OPERATE])
def test_only_developing_changes_data(access: Access) -> None:
    """Every other level reads."""
    rights = RIGHTS[access]
    for privileges in (*rights.schemas.values(), rights.volumes, rights.models, rights.catalog):
        assert {privilege.value for privilege in privileges} <= READING
    assert {level.value for level in rights.levels.values()} <= LOOKING
    assert rights.secrets is None


def test_explaining_is_exactly_predictions_monitoring_experiment_and_job_runs() -> None:
    """A reader from another environment holds exactly the declared rights."""
    rights = RIGHTS[Access.EXPLAIN]
    assert set(rights.schemas) == {Layer.INFERENCE, Layer.MONITORING}
    assert {p.value for privileges in rights.schemas.values() for p in privileges} == {"USE_SCHEMA", "SELECT"}
    assert {kind: level.value for kind, level in rights.levels.items()} == {
        Object.JOB: "CAN_VIEW", Object.EXPERIMENT: "CAN_READ",
    }  # fmt: skip
    assert not rights.volumes
    assert not rights.models


def test_the_declared_opening_is_the_only_one_between_environments(
    estate: Mapping[str, Stack], settings: Settings
) -> None:
    """Every right that an environment gives to another's people reads what explains it, to another's jobs its models."""
    openings = {(name, other) for name, stated in settings.environments.items() for other in stated.reads}
    assert openings == {("dev", "prod")}
    explained = {f"{use_case.name}_{layer}" for use_case in use_cases() for layer in ("inference", "monitoring")}
    for owner in settings.environments:
        stack = estate[f"{owner}-workspace"]
        for stranger in set(settings.environments) - {owner}:
            foreign = {p for p in principals(stack) if f"-{stranger}-" in p or f"runner_{stranger}" in p}
            if (stranger, owner) == ("prod", "staging"):
                assert {right for who in foreign for _, right in given_to(stack, who)} == {
                    "USE_CATALOG",
                    "USE_SCHEMA",
                    "EXECUTE",
                }
                continue
            if (stranger, owner) not in openings:
                assert not foreign, (owner, stranger)
                continue
            assert foreign == {f"grp-mrd-{stranger}-data-scientist"}
            found = {(address, right) for who in foreign for address, right in given_to(stack, who)}
            assert {right for _, right in found} == {"USE_CATALOG", "USE_SCHEMA", "SELECT", "CAN_VIEW", "CAN_READ"}
            reached = {address.split(".")[1] for address, right in found if right == "SELECT"}
            assert reached == explained
            levels = {address.split(".")[1] for address, right in found if right.startswith("CAN_")}
            assert {name.split("_")[0] for name in levels} == {"job", "experiment"}


def principals(stack: Stack) -> set[str]:
    """Return everybody whom a stack gives any right."""
    found: set[str] = set()
    for resource in stack.resources.values():
        found |= {grant["principal"] for grant in resource.arguments.get("grant", [])}
        for control in resource.arguments.get("access_control", []):
            found |= {str(control.get("group_name")), str(control.get("service_principal_name"))} - {"None"}
        if "principal" in resource.arguments:
            found.add(str(resource.arguments["principal"]))
    return found


def test_without_the_setting_nothing_of_another_environment_is_named(folder: Any) -> None:
    """The opening is closed by taking one line away."""
    folder.change("dev", ("reads",), [])
    closed = load_settings(folder.path)
    for environment in closed.environments:
        assert not [holder for holder in holders(closed, environment) if holder.access is Access.EXPLAIN]


def test_catalogs_are_bound_read_only_to_their_readers_and_never_to_their_own_workspace(
    estate: Mapping[str, Stack],
) -> None:
    """A binding to the own workspace could not be destroyed."""
    bindings = {
        name: [r for r in stack.resources.values() if r.type == "databricks_workspace_binding"]
        for name, stack in estate.items()
    }
    assert {name: [r.name for r in found] for name, found in bindings.items() if found} == {
        "staging-workspace": ["catalog_read_by_prod"],
        "prod-workspace": ["catalog_read_by_dev"],
    }
    for owner, reader in (("prod", "dev"), ("staging", "prod")):
        (binding,) = bindings[f"{owner}-workspace"]
        assert binding.arguments["binding_type"] == "BINDING_TYPE_READ_ONLY"
        assert f"{reader}_platform" in binding.arguments["workspace_id"]


def test_readers_and_writers_follow_from_the_declared_assets() -> None:
    """The jobs read their features and write their predictions, because their tasks say so."""
    usage = schema_usage(use_cases())
    assert usage["flight_delay_features"].writers == {"flight_delay"}
    assert usage["flight_delay_inference"].readers == {"flight_delay"}
    assert set(usage) == {schema for u in use_cases() for schema in u.schemas}


def test_a_use_case_that_reads_anothers_features_brings_its_team_reading_and_no_more() -> None:
    """A group that only reads an environment has no right to change anything in it."""
    borrower = Holder(principal="grp", access=Access.DEVELOP, description="team", use_cases=frozenset({"borrower"}))
    usage = {"lender_features": Usage(readers=frozenset({"lender", "borrower"}), writers=frozenset({"lender"}))}
    given = schema_grants(
        "lender_features", use_case="lender", layer=Layer.FEATURES, holders=[borrower], usage=usage, job_principal="sp"
    )
    assert {g.principal: {p.value for p in g.privileges} for g in given}["grp"] == {"USE_SCHEMA", "SELECT"}
    unread = schema_grants(
        "lender_models", use_case="lender", layer=Layer.MODELS, holders=[borrower], usage={}, job_principal="sp"
    )
    assert [g.principal for g in unread] == ["sp"]


def test_grants_of_one_principal_are_one_and_empty_ones_none() -> None:
    """A securable has one list, and a principal stands in it once."""
    nobody = Holder(principal="grp", access=Access.NONE, description="nobody")
    assert [g.principal for g in merged(volume_grants([nobody], "any", "sp"))] == ["sp"]


def test_permissions_reach_only_the_use_cases_of_a_team() -> None:
    """A team sees its own jobs."""
    team = Holder(principal="grp", access=Access.DEVELOP, description="team", use_cases=frozenset({"a"}))
    assert permissions(Object.JOB, [team], frozenset({"b"})) == ()
    assert [p.level.value for p in permissions(Object.JOB, [team], frozenset({"a"}))] == ["CAN_MANAGE_RUN"]
    assert [p.level.value for p in permissions(Object.WAREHOUSE, [team])] == ["CAN_USE"]


def test_the_matrix_has_everybody_in_every_environment(settings: Settings) -> None:
    """Also those without a right: the question is who can reach prod."""
    rows = matrix(settings)
    for environment in settings.environments:
        named = {row.who for row in rows if row.environment == environment}
        assert {"platform engineer", "ml engineer", "data scientist", "jobs (service principal)"} <= named
        assert {f"team {team.name}" for team in settings.teams} <= named


def test_the_matrix_says_what_is_deployed(estate: Mapping[str, Stack], settings: Settings) -> None:
    """A holder reads data in the matrix if and only if it has SELECT in the stack."""
    for row in matrix(settings):
        if row.access != "owner" and row.reach != "no use case yet":
            deployed = {right for _, right in given_to(estate[f"{row.environment}-workspace"], row.principal)}
            assert ("SELECT" in row.data) == ("SELECT" in deployed), row
            assert ("MODIFY" in row.data) == ("MODIFY" in deployed), row
            assert (row.jobs != "-") == bool(deployed & {"CAN_VIEW", "CAN_MANAGE_RUN"}), row


def test_the_matrix_is_a_table_that_markdown_shows(settings: Settings) -> None:
    """As many cells in each row as in its head."""
    lines = as_markdown(matrix(settings)).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert any("data scientist of dev" in line and line.startswith("| prod") for line in lines)
