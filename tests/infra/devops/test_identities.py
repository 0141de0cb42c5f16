"""The identities of the pipelines: applications with service principals, rights that the stacks need, and no others."""

from collections.abc import Mapping

import pytest

from infra.commands.devops import set_up
from infra.config.loading import Settings
from infra.devops.actual_state import read_actual_state
from infra.devops.desired_state import DesiredState, desired_state
from infra.devops.plan_changes import plan_changes
from infra.permissions.azure_roles import ASSIGNS
from infra.rights.needed import rights_by_identity
from infra.synthesis.stack import Stack
from tests.infra.devops.devops_organisation import Organisation

ACCOUNT = "app-mrd-account"


@pytest.fixture
def desired(settings: Settings, estate: Mapping[str, Stack]) -> DesiredState:
    """Return what the shipped settings ask for, with the rights that the stacks need."""
    return desired_state(settings, rights_by_identity(estate.values()))


@pytest.fixture
def organisation(desired: DesiredState) -> Organisation:
    """Return an organisation with a project and a repository, and nothing else."""
    return Organisation(desired)


def left(organisation: Organisation) -> list[str]:
    """Return what is still to be done."""
    desired = organisation.desired
    return [step.what for step in plan_changes(read_actual_state(desired, organisation), desired)]


def test_an_application_without_a_service_principal_gets_one_and_is_not_asked_for_its_roles(
    organisation: Organisation,
) -> None:
    """The command line knows no roles of an application that has none, and fails if it is asked."""
    organisation.applications.append({"appId": "app-account", "displayName": ACCOUNT})
    assert f"create the service principal of the Entra application {ACCOUNT}" in left(organisation)
    set_up(organisation.desired, organisation)
    assert "app-account" in organisation.principals
    assert left(organisation) == []


def test_the_service_principal_of_an_environment_comes_from_the_account_stack(organisation: Organisation) -> None:
    """A second creator would take it from the stack."""
    organisation.principals.discard("app-dev")
    assert "deploy the account stack, which creates the service principal app-mrd-dev" in left(organisation)
    assert set_up(organisation.desired, organisation) == 3
    assert not [words for words in organisation.written if words[:3] == ("ad", "sp", "create") and "app-dev" in words]


def test_the_identity_of_the_account_alone_administers_it_and_writes_applications(organisation: Organisation) -> None:
    """Environments with keys of their own read applications; dev, whose identity a pull request has, does not."""
    assert set_up(organisation.desired, organisation) == 0
    assert [principal["applicationId"] for principal in organisation.account.values()] == ["app-account"]
    assert organisation.account["7"]["roles"] == [{"value": "account_admin"}]
    reads, writes = "9a5d68dd-52b0-4cc2-bd40-abcc3ac3049c", "18a4783c-866b-4cc7-a460-3d5e5662c884"
    assert {who: set(roles) for who, roles in organisation.graph_roles.items() if roles} == {
        "sp-app-account": {reads, writes}, "sp-app-staging": {reads}, "sp-app-prod": {reads},
    }  # fmt: skip


def test_a_service_principal_that_is_known_to_databricks_becomes_an_admin(organisation: Organisation) -> None:
    """It is not created a second time."""
    organisation.account["3"] = {"id": "3", "applicationId": "app-account", "displayName": ACCOUNT}
    assert set_up(organisation.desired, organisation) == 0
    assert list(organisation.account) == ["3"]
    assert organisation.account["3"]["roles"] == [{"value": "account_admin"}]


def test_who_may_not_look_into_the_account_is_told_what_to_see_there(organisation: Organisation) -> None:
    """The rest of the set-up is done."""
    organisation.may_look_into_the_account = False
    assert set_up(organisation.desired, organisation) == 3
    assert left(organisation) == [f"see in the account console that {ACCOUNT} is an account admin, or make it one"]


def test_an_identity_gives_the_roles_of_its_stacks_alone(organisation: Organisation) -> None:
    """The right to give roles is held under a condition; without it, it is taken away and given again."""
    set_up(organisation.desired, organisation)
    giving = {given: text for given, text in organisation.conditions.items() if given[2] == ASSIGNS}
    assert {who for who, _, _ in giving} == {"app-dev", "app-staging", "app-prod"}
    assert all("ForAnyOfAnyValues:GuidEquals" in text for text in giving.values())
    (dev,) = [given for given in giving if given[0] == "app-dev"]
    organisation.conditions[dev] = ""
    (step,) = left(organisation)
    assert step == f"take the role {ASSIGNS} on {dev[1]} from app-mrd-dev"
    assert set_up(organisation.desired, organisation) == 0
    assert organisation.conditions[dev] == giving[dev]
