"""A team that is renamed keeps what it has; one that is retired leaves what holds data. Proven with the real Terraform."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.config.model import RetiredTeam, Team
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.offline.runs import plan_offline
from infra.releases.data_loss import LOST_WITH_DATA, data_losses, unnamed_losses
from infra.review.comparing import SynthesizedEstate, compare
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.changes import Action, action_of
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from tests.infra.conftest import SettingsFolder

RELEASE = Release(commit="0123456789ab" + "0" * 28, wheel="x.whl", wheel_path="x.whl", wheel_source="x.whl")
DEV = ("account", "dev-platform", "dev-account", "dev-workspace")
REVENUE = 1
SCOPE = "databricks_secret_scope.revenue"
Stacks = dict[str, SynthesizedStack]
Plans = Mapping[str, Mapping[str, Any]]


def renamed(settings: Settings, *names: str) -> Settings:
    """Return settings in which the team `revenue` has had other names since."""
    team = settings.teams[REVENUE]
    *earlier, present = (team.name, *names)
    return with_team(settings, team.model_copy(update={"name": present, "renamed_from": tuple(earlier)}))


def with_team(settings: Settings, *team: Team) -> Settings:
    """Return settings with another entry for the team `revenue`, or none."""
    return replace(settings, teams=(*settings.teams[:REVENUE], *team, *settings.teams[REVENUE + 1 :]))


def made(settings: Settings, declared: Sequence[UseCase] | None = None) -> dict[str, Stack]:
    """Return the stacks of settings, by name."""
    return {stack.name: stack for stack in stacks(settings, use_cases() if declared is None else declared, RELEASE)}


def without_air_time() -> list[UseCase]:
    """Return the use cases without that of the team `revenue`."""
    return [use_case for use_case in use_cases() if use_case.name != "air_time"]


def test_everything_of_a_renamed_team_moves_and_nothing_else_changes_its_address(settings: Settings) -> None:
    """Every address that is new has a move from one that is gone, of the same type; the secrets stay in their scope."""
    before, after = made(settings), made(renamed(settings, "pricing"))
    for name, stack in after.items():
        gone, come = {*before[name].resources} - {*stack.resources}, {*stack.resources} - {*before[name].resources}
        assert {former for former, _ in stack.moved} == gone
        assert {present for _, present in stack.moved} == come
        assert all(a.partition(".")[0] == b.partition(".")[0] for a, b in stack.moved)
    moved = dict(after["dev-workspace"].moved)
    assert moved[SCOPE] == "databricks_secret_scope.pricing"
    scope, former = after["dev-workspace"].resources[moved[SCOPE]], before["dev-workspace"].resources[SCOPE]
    assert scope.arguments["name"] == former.arguments["name"]
    assert len(after["account"].moved) == 4


def test_a_second_new_name_moves_from_each_of_the_earlier_ones(settings: Settings) -> None:
    """An environment that has not seen the first change goes both steps at once."""
    moved = made(renamed(settings, "pricing", "fares"))["prod-workspace"].moved
    chain = dict(moved)
    assert chain[chain[SCOPE]] == "databricks_secret_scope.fares"
    assert len(chain) == len(moved)


def test_nothing_moves_while_no_team_is_renamed(settings: Settings) -> None:
    """The shipped stacks state no move."""
    assert [stack.name for stack in made(settings).values() if stack.moved] == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("teams", 0, "renamed_from"), ["loyalty"], "is the name of another team"),
        (("teams", 0, "renamed_from"), ["crew", "crew"], "or stated twice"),
        (("retired_teams",), [{"name": "loyalty"}], "is the name of another team"),
        (("retired_teams",), [{"name": "crew", "use_cases": ["air_time"]}], "is declared, so it is not retired"),
        (("retired_teams",), [{"name": "Crew"}], "must match"),
    ],
)
def test_a_name_that_is_in_the_states_belongs_to_one_team(
    place: tuple[str | int, ...], value: Any, said: str, folder: SettingsFolder
) -> None:
    """Two teams with one address could not be told apart."""
    folder.change("teams", place, value)
    with pytest.raises(SettingsError, match=said):
        load_settings(folder.path)


class Dev:
    """The account and dev, deployed offline by the real Terraform."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache = root, cache
        self.shipped = self.synthesized("shipped", alone())
        plan_offline(self.shipped, root / "run", deploy=True, cache=cache)

    def synthesized(self, name: str, settings: Settings, declared: Sequence[UseCase] | None = None) -> Stacks:
        """Return the stacks of the account and dev as they are read from disk."""
        synthesize([stack for key, stack in made(settings, declared).items() if key in DEV], self.root / name)
        return read_stacks(self.root / name)

    def applied(self, name: str, after: Stacks) -> tuple[Plans, Plans]:
        """Apply stacks to a copy of what is deployed; return the plans of it, and those of the next run."""
        run = self.root / f"{name}-run"
        shutil.copytree(self.root / "run" / "state", run / "state")
        found = [plan_offline(after, run, deploy=True, cache=self.cache) for _ in range(2)]
        first, second = ({key: planned.content for key, planned in one.items()} for one in found)
        return first, second


def alone() -> Settings:
    """Return the shipped settings without what environments open to one another."""
    shipped = load_settings()
    closed = {"reads": (), "receives_models": False}
    return replace(shipped, environments={n: s.model_copy(update=closed) for n, s in shipped.environments.items()})


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Dev:
    """Return the account and dev, deployed once."""
    return Dev(tmp_path_factory.mktemp("renaming"), cache)


def changed(plans: Plans) -> dict[str, tuple[Action | None, str]]:
    """Return what each resource of some plans undergoes, with its former address, without those that stay as they are."""
    found = {
        f"{stack}/{change['address']}": (action_of(change["change"]["actions"]), change.get("previous_address", ""))
        for stack, plan in plans.items()
        for change in plan["resource_changes"]
        if change["mode"] == "managed"
    }
    return {where: what for where, what in found.items() if what != (None, "")}


@pytest.mark.proof
@pytest.mark.terraform
def test_a_renamed_team_is_deployed_with_no_resource_made_or_lost(dev: Dev) -> None:
    """Terraform moves and updates, and then finds nothing to do; by the providers' facts no data is replaced either."""
    after = dev.synthesized("renamed", renamed(alone(), "pricing"))
    plans, next_time = dev.applied("renamed", after)
    found = changed(plans)
    assert {action for action, _ in found.values()} == {None, Action.UPDATE}
    assert found["dev-workspace/databricks_secret_scope.pricing"] == (None, SCOPE)
    assert found["account/databricks_group.role_team_pricing"][1] == "databricks_group.role_team_revenue"
    assert changed(next_time) == {}
    reviewed = compare(*(SynthesizedEstate(stacks=one, commit=RELEASE.commit) for one in (dev.shipped, after)))
    resources = [change for meaning in reviewed.values() for change in meaning.resources]
    assert resources
    assert [change for change in resources if change.loses_data] == []


@pytest.mark.proof
@pytest.mark.terraform
def test_a_team_that_is_only_taken_out_is_refused_and_a_retired_one_leaves_its_data(dev: Dev) -> None:
    """Groups, policies, jobs and budgets go; schemas, files, model, experiment and secrets are forgotten and stay."""
    taken_out = with_team(alone())
    refused, _ = dev.applied("refused", dev.synthesized("refused-stacks", taken_out, without_air_time()))
    losses = data_losses(refused)
    assert {loss.address.partition(".")[0] for loss in losses} >= {"databricks_secret_scope", "databricks_schema"}
    assert len(unnamed_losses(losses, [])) == len(losses)
    assert unnamed_losses(losses, [loss.address for loss in losses]) == ()
    retired = replace(taken_out, retired_teams=(RetiredTeam(name="revenue", use_cases=("air_time",)),))
    plans, next_time = dev.applied("retired", dev.synthesized("retired-stacks", retired, without_air_time()))
    assert data_losses(plans) == ()
    gone = {where.partition("/")[2] for where, (action, _) in changed(plans).items() if action is Action.DESTROY}
    assert {"databricks_group.role_team_revenue", "databricks_cluster_policy.revenue_small"} <= gone
    assert not {address.partition(".")[0] for address in gone} & LOST_WITH_DATA
    forgotten = {
        change["address"]
        for change in plans["dev-workspace"]["resource_changes"]
        if change["change"]["actions"] == ["forget"]
    }
    assert forgotten == {loss.address for loss in losses}
    assert changed(next_time) == {}


def test_the_proof_accepts_the_moves_of_a_renamed_team_and_no_other() -> None:
    """A move gives what is deployed, with its content, to another declaration."""
    after = renamed(alone(), "pricing")
    stacks_ = as_synthesized(made(after).values())
    assert not [one for one in prove(stacks_, after, use_cases()) if " moves " in f" {one.message}"]
    plain = prove(stacks_, alone(), use_cases())
    assert any(
        "moves databricks_secret_scope.revenue to databricks_secret_scope.pricing" in one.message for one in plain
    )
