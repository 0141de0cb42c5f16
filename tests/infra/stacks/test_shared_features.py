"""A shared feature table is alone in its schema: its readers' team gets SELECT there, in every environment, and nowhere else."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.config.ceilings import ceilings
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.constructs.release import Release
from infra.description.permission_matrix import permission_matrix
from infra.graph.declared import as_synthesized
from infra.graph.estate import Estate
from infra.graph.paths import whole_graph
from infra.graph.principals import Principals
from infra.graph.proof import prove
from infra.graph.rights import Judge, above_ceilings, held_rights
from infra.review.comparing import SynthesizedEstate, compare
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from tests.infra.conftest import SettingsFolder
from tests.pipelines.teams_that_share import OWNER, READER, teams

SCHEMA = "routes_shared_route_history"
COMMIT = "0123456789ab" + "0" * 28
ADDRESS = f"databricks_schema.{SCHEMA}"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[UseCase, UseCase]]:
    """Owner, of team operations, and reader, of team revenue."""
    with teams(tmp_path_factory.mktemp("teams")) as both:
        yield both


@pytest.fixture(scope="module")
def declared(pair: tuple[UseCase, UseCase]) -> tuple[UseCase, ...]:
    """The shipped use cases and the two."""
    return tuple(
        sorted((*(one for one in use_cases() if one.name not in (OWNER, READER)), *pair), key=lambda one: one.name)
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, declared: tuple[UseCase, ...]) -> Settings:
    """The shipped settings with the two use cases under their teams."""
    folder = SettingsFolder(tmp_path_factory.mktemp("settings"))
    folder.change("teams", ("teams", 0, "use_cases"), ["flight_delay", OWNER])
    folder.change("teams", ("teams", 1, "use_cases"), ["air_time", READER])
    return load_settings(folder.path, declared)


def stacks_of(settings: Settings, declared: tuple[UseCase, ...], release: Release) -> Mapping[str, Stack]:
    """Every stack by name."""
    return {stack.name: stack for stack in estate_stacks(settings, declared, release)}


@pytest.fixture(scope="module")
def stacks(settings: Settings, declared: tuple[UseCase, ...], release: Release) -> Mapping[str, Stack]:
    """With the table shared and read."""
    return stacks_of(settings, declared, release)


def grants(stacks: Mapping[str, Stack], environment: str, schema: str) -> dict[str, set[str]]:
    """Principal to privileges on a schema; principals of the stack's reading are named by it."""
    resource: Any = stacks[f"{environment}-workspace"].resources[f"databricks_grants.{schema}"]
    return {str(one["principal"]): set(one["privileges"]) for one in resource.arguments["grant"]}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_reading_team_gets_select_on_that_table_where_its_level_reads_features(
    stacks: Mapping[str, Stack], environment: str
) -> None:
    """In dev SELECT and nothing that writes; in staging and prod as much as the team's level reads of its own features."""
    reader = "grp-mrd-team-revenue"
    held = grants(stacks, environment, SCHEMA).get(reader, set())
    own = grants(stacks, environment, f"{READER}_features").get(reader, set())
    assert held == own & {"SELECT", "USE_SCHEMA"}
    if environment == "dev":
        assert held == {"SELECT", "USE_SCHEMA"}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_reading_team_reaches_no_other_schema_of_the_owner(stacks: Mapping[str, Stack], environment: str) -> None:
    """Neither its sources and labels nor its other features."""
    workspace = stacks[f"{environment}-workspace"]
    for name in workspace.resources:
        if (
            name.startswith(f"databricks_grants.{OWNER}_")
            and "schema" in workspace.resources[name].arguments
            and SCHEMA not in name
        ):
            assert "grp-mrd-team-revenue" not in grants(stacks, environment, name.partition(".")[2]), name


def test_a_team_that_does_not_read_gets_nothing(stacks: Mapping[str, Stack]) -> None:
    """Sharing alone grants nobody anything."""
    assert "grp-mrd-team-loyalty" not in grants(stacks, "dev", SCHEMA)
    assert set(grants(stacks, "dev", SCHEMA)["grp-mrd-team-operations"]) > {"SELECT", "MODIFY"}


def test_the_proof_holds_and_the_ceilings_know_the_table(
    stacks: Mapping[str, Stack], settings: Settings, declared: tuple[UseCase, ...]
) -> None:
    """No finding; a grant to a team that does not read, or one that writes, is above the ceiling."""
    synthesized = as_synthesized(stacks.values())
    assert list(prove(synthesized, settings, declared)) == []
    for principal, words in (("grp-mrd-team-loyalty", ["USE_SCHEMA", "SELECT"]), ("grp-mrd-team-revenue", ["MODIFY"])):
        wrong = as_synthesized(stacks.values())
        content = wrong["dev-workspace"].content["resource"]["databricks_grants"][SCHEMA]
        content["grant"] = [*content["grant"], {"principal": principal, "privileges": words}]
        estate = Estate(wrong, settings)
        judge = Judge(estate, ceilings(), declared)
        above = list(above_ceilings(held_rights(estate, Principals(estate), declared), judge))
        assert any(SCHEMA in where and principal in said for where, said in above), (principal, above)


def test_a_review_shows_the_table_as_a_privilege_gained(
    stacks: Mapping[str, Stack], settings: Settings, declared: tuple[UseCase, ...], release: Release
) -> None:
    """What a pull request that adds the reading gives, and to whom."""
    unread = tuple(
        replace(one, shared_features=(), lookups=(), numeric_inputs=one.numeric_inputs[:2])
        if one.name == READER
        else one
        for one in declared
    )
    before, after = (
        SynthesizedEstate(stacks=as_synthesized(made.values()), commit=COMMIT)
        for made in (stacks_of(settings, unread, release), stacks)
    )
    gained = compare(before, after)["dev"].gained
    assert {(one.principal, one.right, one.on) for one in gained} == {
        ("grp-mrd-team-revenue", right, f"schema {SCHEMA}") for right in ("SELECT", "USE_SCHEMA")
    }


def test_the_matrix_shows_what_the_reader_holds(
    stacks: Mapping[str, Stack], settings: Settings, declared: tuple[UseCase, ...]
) -> None:
    """On the layer of shared tables, beside its own."""
    graph = whole_graph(Estate(as_synthesized(stacks.values()), settings), declared)
    (row,) = (
        row
        for row in permission_matrix(graph, settings, declared)
        if (row.environment, row.who) == ("dev", "team revenue")
    )
    assert "SELECT on shared" in row.data
    assert OWNER in row.reach


def test_a_table_that_was_shared_stays_unmanaged(
    settings: Settings, declared: tuple[UseCase, ...], release: Release, stacks: Mapping[str, Stack]
) -> None:
    """Terraform forgets its schema; without the statement it would destroy it."""
    (owner,) = (one for one in declared if one.name == OWNER)
    own = replace(owner.features[0].table, layer=type(owner.features[0].table.layer).FEATURES)
    unshared = replace(
        owner,
        features=(replace(owner.features[0], table=own, fresh_within_hours=None),),
        lookups=(replace(owner.lookups[0], table=own),),
        formerly_shared=("route_history",),
    )
    others = tuple(one for one in declared if one.name not in (OWNER, READER))
    (team,) = (team for team in settings.teams if team.name == "revenue")
    without = settings.__class__(
        **{
            **{name: getattr(settings, name) for name in ("account", "environments", "retired_teams")},
            "teams": tuple(
                one.model_copy(update={"use_cases": ("air_time",)}) if one.name == team.name else one
                for one in settings.teams
            ),
        }
    )
    after = stacks_of(without, (*others, unshared), release)["dev-workspace"]
    assert ADDRESS in stacks["dev-workspace"].resources
    assert ADDRESS not in after.resources
    assert ADDRESS in after.forgotten


def test_a_retired_use_case_keeps_the_schemas_that_the_settings_name(tmp_path: Path, release: Release) -> None:
    """Nothing else knows them once its folder is gone."""
    folder = SettingsFolder(tmp_path)
    folder.change("teams", ("teams", 0, "retired"), [OWNER])
    folder.change("teams", ("teams", 0, "retired_shared"), [SCHEMA])
    left = tuple(one for one in use_cases() if one.name not in (OWNER, READER))
    forgotten = stacks_of(load_settings(folder.path, left), left, release)["prod-workspace"].forgotten
    assert {ADDRESS, f"databricks_schema.{OWNER}_bronze"} <= set(forgotten)
