"""The rights of each identity follow from the resources of its stacks; a type without an entry is an error."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from infra.__main__ import main
from infra.checks import identities
from infra.config.loading import Settings
from infra.config.model import StateStorage
from infra.config.naming import ResourceKind, name
from infra.config.stack_names import applied_by, identity_of
from infra.constructs.account.metastore_rights import CREATES
from infra.constructs.release import Release
from infra.permissions.azure_roles import ASSIGNS, BUILDS, DEFINITIONS, LOCKS, only_assigning
from infra.rights.catalogue import NEEDS, Authority
from infra.rights.needed import STATE_READER, STATE_WRITER, rights_by_identity, rights_of
from infra.stacks.estate import stacks
from infra.synthesis.stack import RemoteState, Stack
from ml.spec.errors import DeclarationError
from pipelines.declarations.registry import use_cases


def state(place: str) -> StateStorage:
    """Return a place for the state of an environment."""
    return StateStorage(
        subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group=f"rg-{place}", container="terraform",
        storage_account=f"stmrd{place}",
    )  # fmt: skip


def test_every_type_in_use_has_an_entry_with_its_documentation(estate: Mapping[str, Stack]) -> None:
    """A resource that is used for the first time is added with what it needs, and where that is written."""
    for stack in estate.values():
        assert rights_of(stack), stack.name
    for needs in NEEDS.values():
        assert needs
        assert all(need.page.startswith("https://") for need in needs)


def test_a_type_without_an_entry_is_an_error_that_names_it() -> None:
    """Silence would mean that it needs nothing."""
    stack = Stack(name="dev-platform", description="", state=RemoteState(stack="dev-platform", azure=None))
    provider = stack.provider("azurerm", "azure", subscription_id="s")
    stack.add("azurerm_linux_virtual_machine", "x", provider=provider)
    with pytest.raises(DeclarationError, match=r"dev-platform, azurerm_linux_virtual_machine\.x: no right is known"):
        rights_of(stack)


def test_only_the_account_s_identity_administers_the_account(estate: Mapping[str, Stack]) -> None:
    """The code of a pull request can sign in as dev's identity: it holds nothing outside dev but what names dev."""
    rights = rights_by_identity(estate.values())
    assert set(rights) == {"account", "dev", "staging", "prod"}
    assert {right.authority for right in rights["account"]} == {Authority.ACCOUNT, Authority.ENTRA}
    assert {right.right for right in rights["account"]} == {
        "account admin", "Application.Read.All", "Application.ReadWrite.OwnedBy",
    }  # fmt: skip
    for environment in ("dev", "staging", "prod"):
        held = {right.right for right in rights[environment] if right.authority is not Authority.AZURE}
        assert held - {"Application.Read.All"} == {"workspace admin", *(privilege.value for privilege in CREATES)}
        roles = {right.right for right in rights[environment] if right.authority is Authority.AZURE}
        assert roles - {LOCKS} == {BUILDS, ASSIGNS}
    assert "Application.Read.All" not in {right.right for right in rights["dev"]}


def test_no_stack_needs_two_identities(shipped: dict[str, Any], edited: Any) -> None:
    """A check finds a resource of the account in an environment's stack, and one of a subscription in the account's.

    Who signs in where is a matter of whole stacks (`infra.graph.whole_stacks`).
    """
    for check in identities.CHECKS:
        assert check.findings(shipped) == ()
    edited.add("dev-workspace", "databricks_metastore_assignment", "x", provider="databricks.workspace")
    edited.add("prod-account", "azurerm_key_vault", "x", provider="azurerm.x")
    edited.add("dev-platform", "azuread_application", "x", provider="azuread.entra")
    edited.stacks["dev-workspace"].content["provider"]["databricks"].append(
        {"alias": "account", "host": "https://accounts.azuredatabricks.net"}
    )
    (mixed,) = (check.findings(edited.stacks) for check in identities.CHECKS)
    assert [finding.resource for finding in mixed] == [
        "dev-platform/azuread_application.x", "dev-workspace/databricks_metastore_assignment.x",
        "prod-account/azurerm_key_vault.x",
    ]  # fmt: skip


def test_who_writes_and_reads_which_state_follows_from_the_stacks(settings: Settings, release: Release) -> None:
    """An environment writes its own state and reads that of the account; the account reads every platform's."""
    connected = dataclasses.replace(
        settings,
        account=settings.account.model_copy(update={"state": state("account")}),
        environments={n: s.model_copy(update={"state": state(n)}) for n, s in settings.environments.items()},
    )
    rights = rights_by_identity(stacks(connected, use_cases(), release))

    def held(identity: str, role: str) -> set[str]:
        found = {r.scope.rpartition("/stmrd")[2] for r in rights[identity] if r.right == role}
        return found - {r.scope for r in rights[identity]}

    assert {identity: held(identity, STATE_WRITER) for identity in rights} == {n: {n} for n in rights}
    assert held("account", STATE_READER) == {"dev", "staging", "prod"}
    assert held("dev", STATE_READER) == {"account", "prod"}
    assert held("staging", STATE_READER) == {"account", "prod"}
    assert held("prod", STATE_READER) == {"account", "dev", "staging"}


def test_the_grants_on_the_metastore_are_those_that_the_environment_needs(estate: Mapping[str, Stack]) -> None:
    """No person grants them: the account's part of the environment does, and no more than is derived."""
    for environment, rights in rights_by_identity(estate.values()).items():
        if environment == "account":
            continue
        granted = estate[f"{environment}-account"].resources["databricks_grant.metastore"].arguments
        assert granted["principal"].endswith(f"outputs.runner_{environment}}}")
        needed = {right.right for right in rights if right.authority is Authority.METASTORE}
        assert set(granted["privileges"]) == needed


def test_who_makes_a_storage_credential_contributes_to_its_access_connector(
    estate: Mapping[str, Stack], settings: Settings
) -> None:
    """Unity Catalog asks for it of everybody but account admins, beside the privilege on the metastore."""
    makers = {
        identity_of(stack.name) for stack in estate.values()
        for resource in stack.resources.values() if resource.type == "databricks_storage_credential"
    }  # fmt: skip
    assert makers == {"dev", "staging", "prod"}
    rights = rights_by_identity(estate.values())
    for environment in makers:
        held = {(right.right, right.scope) for right in rights[environment]}
        assert ("CREATE_STORAGE_CREDENTIAL", "the metastore") in held
        assert (BUILDS, f"/subscriptions/{settings.environments[environment].subscription_id}") in held
        platform = estate[f"{environment}-platform"]
        (connector,) = [one for one in platform.resources.values() if one.type == "azurerm_databricks_access_connector"]
        assert connector.provider.arguments["subscription_id"] == settings.environments[environment].subscription_id


def test_a_role_that_assigns_roles_assigns_those_of_the_stack_alone(estate: Mapping[str, Stack]) -> None:
    """Not Owner, and not itself: a condition on the assignment names the roles."""
    for rights in rights_by_identity(estate.values()).values():
        for right in rights:
            if right.right == ASSIGNS:
                assert set(right.roles_given) <= set(DEFINITIONS)
                condition = only_assigning(right.roles_given)
                assert all(DEFINITIONS[role] in condition for role in right.roles_given)
                assert condition.count("ForAnyOfAnyValues:GuidEquals") == 2
    with pytest.raises(DeclarationError, match="role 'Owner': its id is not known"):
        only_assigning(["Owner"])


def test_the_command_names_each_identity_its_stacks_and_who_grants(
    capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    """For one environment or for all of them."""
    assert main(["rights", "dev"]) == 0
    shown = capsys.readouterr().out
    application = name(ResourceKind.APPLICATION, settings.account.organisation, "dev")
    assert f"{application} applies dev-platform, dev-workspace" in shown
    assert "metastore: CREATE_CATALOG on the metastore" in shown
    assert "granted by the stack dev-account" in shown
    assert "account admin" not in shown
    assert main(["rights", "production"]) != 0


def test_every_stack_has_one_identity_and_every_identity_its_stacks(estate: Mapping[str, Stack]) -> None:
    """Nothing is applied by two, and nothing by nobody."""
    by_identity = {identity: applied_by(identity) for identity in ("account", "dev", "staging", "prod")}
    assert sorted(stack for found in by_identity.values() for stack in found) == sorted(estate)
    assert all(identity_of(stack) == identity for identity, found in by_identity.items() for stack in found)
