"""Rights in effect and paths between environments: the difference of what follows from the graphs of two commits."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from infra.config.ceilings import ceilings
from infra.config.loading import Settings
from infra.graph.declared import as_synthesized
from infra.graph.edges import Effect, GraphEdge, GraphNode
from infra.graph.estate import Estate
from infra.graph.meanings import contexts
from infra.graph.paths import Graph, whole_graph
from infra.graph.rights import Judge
from infra.review.effective_rights import RightsChange, WayChange, rights_changes, together, way_changes
from infra.review.planned_stacks import before_plan
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases
from tests.infra.review.test_comparison import Edit, resource
from tests.infra.review.test_comparison import estate as edited

PROD_ENGINEERS = "prod's ml engineers (grp-mrd-prod-ml-engineer)"
COMPANY = "the company's group (mrd-ml-engineering)"
RUNNER_OF_PROD = "prod's identity (app-mrd-prod)"


def graph(synthesized: Mapping[str, Any], settings: Settings, edits: Mapping[str, Edit] | None = None) -> Graph:
    """Return the graph of the shipped stacks with edits."""
    return whole_graph(Estate(edited(synthesized, edits).stacks, settings), use_cases())


@pytest.fixture(scope="module")
def synthesized(estate: Mapping[str, Stack]) -> Mapping[str, Any]:
    """The shipped stacks as values, which is what cdktf would write but for the versions of the providers."""
    return {name: stack.content for name, stack in as_synthesized(estate.values()).items()}


@pytest.fixture(scope="module")
def shipped(synthesized: Mapping[str, Any], settings: Settings) -> Graph:
    """The graph of the shipped stacks."""
    return graph(synthesized, settings)


def grant(
    privilege: str, principal: str = "${data.terraform_remote_state.account.outputs.group_prod_ml_engineer}"
) -> Edit:
    """Return an edit that grants a privilege on the volume of prod's code to prod's ML engineers."""

    def alter(content: Any) -> None:
        resource(content, "databricks_grants", "releases")["grant"].append({"principal": principal, "privileges": [privilege]})  # fmt: skip

    return alter


def ml_engineers_output(synthesized: Mapping[str, Any]) -> str:
    """Return how prod's stack names its group of ML engineers."""
    grants = synthesized["prod-workspace"]["resource"]["databricks_grants"].values()
    named = {one["principal"] for those in grants for one in those["grant"]}
    (found,) = [name for name in named if "ml-engineer" in name or "ml_engineer" in name]
    return str(found)


def by_principal(changes: tuple[RightsChange, ...]) -> dict[str, list[RightsChange]]:
    """Return changes by the words of their principals."""
    found: dict[str, list[RightsChange]] = {}
    for change in changes:
        found.setdefault(change.principal, []).append(change)
    return found


def test_whoever_may_write_code_gains_what_the_jobs_hold(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """One privilege on a volume: the group, and the company's people in it, act as prod's identity from then on."""
    group = ml_engineers_output(synthesized)
    after = graph(synthesized, settings, {"prod-workspace": grant("WRITE_VOLUME", group)})
    found = by_principal(rights_changes(shipped, after))
    assert set(found) == {PROD_ENGINEERS, COMPANY}
    of_account, change, of_staging = sorted(found[COMPANY], key=lambda one: one.environment)
    assert (of_account.environment, change.environment, of_staging.environment) == ("account", "prod", "staging")
    assert any(right.startswith("CREATE_CATALOG on account's metastore") for right in of_account.rights)
    assert "USE_SCHEMA on staging's schema air_time_models" in of_staging.rights
    assert change.gained
    assert change.controls
    assert change.rights[0] == "WRITE_VOLUME on prod's volume releases"
    assert any(right.startswith("MODIFY on prod's schema air_time_bronze") for right in change.rights)
    assert f"runs as {RUNNER_OF_PROD}" in change.rights
    assert "is a member of" in change.path
    assert "databricks_grants.releases" in change.path
    lost = {(one.principal, one.rights) for one in rights_changes(after, shipped) if not one.gained}
    assert lost == {(one.principal, one.rights) for those in found.values() for one in those}


def test_whoever_may_read_code_gains_that_alone(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """Reading leads no further."""
    after = graph(synthesized, settings, {"prod-workspace": grant("READ_VOLUME", ml_engineers_output(synthesized))})
    for change in rights_changes(shipped, after):
        assert change.rights == ("READ_VOLUME on prod's volume releases",)
        assert not change.controls


def test_a_membership_gives_what_the_group_holds(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """Not a grant changes, and two principals gain and lose: no list of grants shows it."""

    def join(content: Any) -> None:
        members = content["resource"]["databricks_group_member"]
        (of_prod,) = [one for name, one in members.items() if "prod" in name and "ml_engineer" in name]
        (of_data,) = [one for name, one in members.items() if "dev" in name and "data_scientist" in name]
        of_prod["member_id"] = of_data["member_id"]

    changes = rights_changes(shipped, graph(synthesized, settings, {"account": join}))
    gained = [one for one in changes if one.gained]
    lost = [one for one in changes if not one.gained]
    assert {one.principal for one in gained} == {"the company's group (mrd-data-science)"}
    assert {one.principal for one in lost} == {COMPANY}
    assert any("CAN_MANAGE_RUN on prod's job" in right for one in gained for right in one.rights)


def test_the_same_stacks_change_nothing(synthesized: Mapping[str, Any], settings: Settings, shipped: Graph) -> None:
    """Neither rights nor ways."""
    same = graph(synthesized, settings)
    assert rights_changes(shipped, same) == ()
    assert ways(shipped, same, Estate(edited(synthesized).stacks, settings)) == ()


def ways(before: Graph, after: Graph, estate_after: Estate) -> tuple[WayChange, ...]:
    """Return the ways that open and close, judged by the shipped ceilings."""
    judge = Judge(estate_after, ceilings(), use_cases())
    return way_changes(before, after, judge, contexts(estate_after.settings, tuple(use_cases())))


def test_a_path_between_environments_is_told_when_it_opens_and_when_it_closes(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """One that no setting opens is told so, from its beginning to what follows from it."""

    def let_in(content: Any) -> None:
        grants = resource(content, "databricks_grants", "releases")["grant"]
        grants.append({"principal": "${data.terraform_remote_state.account.outputs.runner_dev}", "privileges": ["WRITE_VOLUME"]})  # fmt: skip

    edits = {"prod-workspace": let_in}
    changed = Estate(edited(synthesized, edits).stacks, settings)
    after = whole_graph(changed, use_cases())
    (opened,) = ways(shipped, after, changed)
    assert (opened.reader, opened.owner, opened.opened, opened.declared) == ("dev", "prod", True, False)
    assert "signs in as dev's identity" in opened.path
    assert f"runs as {RUNNER_OF_PROD}" in opened.path
    (closed,) = ways(after, shipped, Estate(edited(synthesized).stacks, settings))
    assert (closed.reader, closed.owner, closed.opened) == ("dev", "prod", False)


def test_a_path_that_the_settings_open_is_told_as_such(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """Dev reads prod's monitoring, as declared."""

    def close(content: Any) -> None:
        for grants in content["resource"]["databricks_grants"].values():
            grants["grant"] = [one for one in grants["grant"] if "dev" not in one["principal"]]

    before = graph(synthesized, settings, {"prod-workspace": close})
    found = ways(before, shipped, Estate(edited(synthesized).stacks, settings))
    assert found
    assert all((one.reader, one.owner, one.opened, one.declared) == ("dev", "prod", True, True) for one in found)


def test_principals_that_gain_alike_stand_together(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """The nearest first, with the path of the furthest, which holds that of the others."""
    after = graph(synthesized, settings, {"prod-workspace": grant("WRITE_VOLUME", ml_engineers_output(synthesized))})
    found = {
        change.environment: (principals, change)
        for principals, change in together(rights_changes(shipped, after))
        if change.environment == "prod"
    }
    principals, change = found["prod"]
    assert principals == (PROD_ENGINEERS, COMPANY)
    assert change.principal == COMPANY


def test_a_plan_shows_what_was_given_by_hand_as_lost(
    synthesized: Mapping[str, Any], settings: Settings, shipped: Graph
) -> None:
    """What exists now is read from the plan, its literal ids led back to what they stand for."""
    after = edited(synthesized).stacks
    stated = synthesized["prod-workspace"]["resource"]["databricks_grants"]["releases"]
    literal = {"volume": "prod.deployment.releases", "id": "volume/prod.deployment.releases", "grant": [
        {"principal": "aaaaaaaa-0000-4000-8000-000000000003", "privileges": ["READ_VOLUME", "WRITE_VOLUME"]},
    ]}  # fmt: skip
    by_hand = {**literal, "grant": [*literal["grant"], {"principal": "grp-mrd-prod-ml-engineer", "privileges": ["WRITE_VOLUME"]}]}  # fmt: skip
    plan = {
        "resource_changes": [
            {"type": "databricks_grants", "name": "releases", "mode": "managed", "address": "databricks_grants.releases",
             "change": {"actions": ["update"], "before": by_hand, "after": literal}},
            {"type": "databricks_directory", "name": "gone", "mode": "managed", "address": "databricks_directory.gone",
             "change": {"actions": ["delete"], "before": {"path": "/gone", "id": "1"}, "after": None}},
        ],
        "prior_state": {"values": {"root_module": {"resources": [
            {"mode": "data", "type": "terraform_remote_state", "name": "account",
             "values": {"outputs": {"runner_prod": "aaaaaaaa-0000-4000-8000-000000000003"}}},
        ]}}},
    }  # fmt: skip
    now = before_plan(after["prod-workspace"], plan)
    assert now.content["resource"]["databricks_directory"]["gone"]["path"] == "/gone"
    granted = now.content["resource"]["databricks_grants"]["releases"]
    assert granted["volume"] == stated["volume"]
    assert granted["grant"][0]["principal"] == "${data.terraform_remote_state.account.outputs.runner_prod}"
    before = whole_graph(Estate({**after, "prod-workspace": now}, settings), use_cases())
    lost = by_principal(rights_changes(before, shipped))
    assert set(lost) == {PROD_ENGINEERS, COMPANY}
    assert not any(one.gained for those in lost.values() for one in those)


def edge(source: str, target: str, effect: Effect) -> GraphEdge:
    """Return an edge between two nodes of prod."""
    one, other = (GraphNode(id=name, words=name, home="prod") for name in (source, target))
    return GraphEdge(
        source=one, target=other, effect=effect, verb=effect.value, through=f"prod-workspace/x_y.{source[-1]}"
    )


NODES = ("role:a", "role:b", "team:c", "thing/d", "thing/e")
EDGES = st.lists(
    st.builds(edge, st.sampled_from(NODES), st.sampled_from(NODES), st.sampled_from(Effect)), max_size=6
)  # fmt: skip


def held(graph_of: Graph, start: str) -> set[tuple[str, str]]:
    """Return what follows from a node by trying every edge again and again."""
    strong, found = {start}, set()
    for _ in NODES:
        for one in graph_of.edges:
            if one.source.id in strong:
                found.add((one.verb, one.target.id))
                if one.effect in (Effect.CHANGES, Effect.ACTS):
                    strong.add(one.target.id)
    return found


@examples(max_examples=50, deadline=None)
@given(before=EDGES, after=EDGES)
def test_what_is_told_is_the_difference_of_the_closures(before: list[GraphEdge], after: list[GraphEdge]) -> None:
    """For every graph: whatever follows after and not before is gained, the other way lost, and nothing else."""
    old, new = Graph(before), Graph(after)
    told: dict[tuple[str, bool], set[str]] = {}
    for change in rights_changes(old, new):
        told.setdefault((change.principal, change.gained), set()).update(change.rights)
    for node in (name for name in NODES if "/" not in name):
        had, has = held(old, node), held(new, node)
        assert told.get((node, True), set()) == {f"{verb} {target}" for verb, target in has - had}
        assert told.get((node, False), set()) == {f"{verb} {target}" for verb, target in had - has}


def test_what_is_read_by_a_short_path_and_changed_by_a_long_one_leads_on() -> None:
    """The shorter path must not hide what follows from the longer one."""
    found = Graph([
        edge("role:a", "thing/d", Effect.READS), edge("role:a", "role:b", Effect.ACTS),
        edge("role:b", "thing/d", Effect.CHANGES), edge("thing/d", "thing/e", Effect.CHANGES),
    ])  # fmt: skip
    assert [one.target.id for one in found.closure("role:a")["thing/e"]] == ["role:b", "thing/d", "thing/e"]
    assert found.paths_to("thing/d")["role:a"][-1].effect is Effect.CHANGES
