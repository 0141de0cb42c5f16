"""The isolation proof holds for the shipped stacks and finds every kind of access path that is added to them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.checks.access_paths import ENDPOINTS, AccessPath, access_paths
from infra.checks.isolation_proof import Opening, isolation_findings
from infra.commands.review.check import COPYING_MODELS, openings
from infra.config.loading import Settings
from infra.terraform_cli.synthesized import SynthesizedStack
from pipelines.declarations.registry import use_cases

DECLARED = (
    Opening(reader="dev", owner="prod"),
    Opening(reader="prod", owner="staging", privileges=COPYING_MODELS),
)


def proof(stacks: dict[str, SynthesizedStack], openings: tuple[Opening, ...] = DECLARED) -> list[str]:
    """Return what the proof finds, without the resources."""
    return [finding.message for finding in isolation_findings(stacks, openings)]


def test_the_shipped_environments_are_isolated(shipped: dict[str, SynthesizedStack]) -> None:
    """No environment reaches another's data but by the declared opening."""
    assert proof(shipped) == []


def test_the_settings_declare_these_openings(settings: Settings) -> None:
    """Dev's people read what explains prod; prod's jobs copy models of staging, and nothing else."""
    assert openings(settings, use_cases()) == DECLARED


def test_the_declared_openings_are_the_only_ones_and_only_read(shipped: dict[str, SynthesizedStack]) -> None:
    """Both go through read-only bindings, grants of reading and the owner's storage; nothing else leads anywhere."""
    found = [way for way in access_paths(shipped) if not way.is_state]
    assert {(way.reader, way.owner) for way in found} == {("dev", "prod"), ("prod", "staging")}
    assert all(way.reads_only for way in found)
    through = {
        reader: {way.through.split("/")[1].split(".")[0] for way in found if way.reader == reader}
        for reader in ("dev", "prod")
    }
    assert through["dev"] == {
        "databricks_workspace_binding",
        "databricks_grants",
        "databricks_mws_permission_assignment",
        "databricks_permissions",
        *ENDPOINTS,
    }
    assert through["prod"] == {"databricks_workspace_binding", "databricks_grants", *ENDPOINTS}


def test_who_copies_models_sees_those_models_alone(shipped: dict[str, SynthesizedStack]) -> None:
    """Prod's jobs may load the one model that staging trains for them; they see no table of staging."""
    copying = [way for way in access_paths(shipped) if (way.reader, way.owner) == ("prod", "staging") and way.held]
    assert {(way.through.split(".")[-1], *way.held) for way in copying} == {
        ("catalog", "USE_CATALOG"),
        ("air_time_models", "USE_SCHEMA"),
        ("air_time_model", "EXECUTE"),
    }


def test_without_the_declaration_the_same_stacks_are_refused(shipped: dict[str, SynthesizedStack]) -> None:
    """An opening that no setting declares is found wherever it shows."""
    found = proof(shipped, ())
    assert any("dev reaches prod: its workspace is bound to" in message for message in found)
    assert any("dev reaches prod: grp-" in message for message in found)


def test_a_declaration_for_one_direction_opens_no_other(shipped: dict[str, SynthesizedStack]) -> None:
    """That staging may read prod does not let dev."""
    found = proof(shipped, (Opening(reader="staging", owner="prod"),))
    assert any(message.startswith("dev reaches prod") for message in found)


def grant(stack: str, principal: str, privilege: str) -> Callable[[Any], object]:
    """Return what adds a grant to the first grants of a stack."""
    return lambda e: e.first(stack, "databricks_grants")["grant"].append(
        {"principal": principal, "privileges": [privilege]}
    )


def foreign_state(edited: Any, reader: str = "dev-workspace", owner: str = "staging-platform") -> None:
    """Let a stack read the state of another environment's."""
    edited.stacks[reader].content["data"]["terraform_remote_state"]["x"] = {
        "backend": "local", "config": {"path": edited.stacks[owner].backend[1]["path"]},
    }  # fmt: skip


def foreign_role(edited: Any) -> None:
    """Give staging's access connector a role on prod's storage, through the states."""
    foreign_state(edited, "staging-workspace", "prod-platform")
    content = edited.stacks["staging-workspace"].content
    edited.stacks["prod-platform"].content["output"]["lake"] = {"value": "${azurerm_storage_account.lake.id}"}
    connector = "${data.terraform_remote_state.staging_platform.outputs.connector_id}"
    content["resource"]["azurerm_role_assignment"] = {
        "x": {
            "scope": "${data.terraform_remote_state.x.outputs.lake}",
            "principal_id": connector,
            "role_definition_name": "Storage Blob Data Reader",
        }
    }


def foreign_storage(edited: Any) -> None:
    """Let an external location of dev name prod's storage account."""
    name = edited.first("prod-platform", "azurerm_storage_account")["name"]
    edited.first("dev-workspace", "databricks_external_location").update(url=f"abfss://x@{name}.dfs.core.windows.net/")


def foreign_range(edited: Any) -> None:
    """Give staging's network a range within prod's."""
    prod = edited.first("prod-platform", "azurerm_virtual_network")["address_space"]
    edited.first("staging-platform", "azurerm_virtual_network").update(address_space=list(prod))


def peered(edited: Any) -> None:
    """Peer dev's network with staging's."""
    edited.stacks["staging-platform"].content["output"]["net"] = {"value": "${azurerm_virtual_network.network.id}"}
    edited.stacks["dev-platform"].content.setdefault("data", {}).setdefault("terraform_remote_state", {})["x"] = {
        "backend": "local", "config": {"path": edited.stacks["staging-platform"].backend[1]["path"]},
    }  # fmt: skip
    edited.add(
        "dev-platform", "azurerm_virtual_network_peering", "x",
        remote_virtual_network_id="${data.terraform_remote_state.x.outputs.net}",
    )  # fmt: skip


def endpoint(edited: Any, network: str, service: str, **connection: Any) -> None:
    """Give the network of one platform a private address of something of another, through the states."""
    foreign_state(edited, network.replace("platform", "workspace"), service.split("/")[0])
    edited.stacks[service.split("/")[0]].content["output"]["x"] = {"value": f"${{{service.split('/')[1]}.id}}"}
    edited.add(
        network.replace("platform", "workspace"), "azurerm_private_endpoint", "x",
        subnet_id=f"${{data.terraform_remote_state.{network.replace('-', '_')}.outputs.endpoint_subnet_id}}",
        private_service_connection={
            "private_connection_resource_id": "${data.terraform_remote_state.x.outputs.x}", "is_manual_connection": True,
            **connection,
        },
    )  # fmt: skip


def lent_network(edited: Any) -> None:
    """Let prod put an address of its own storage into the network of staging."""
    foreign_state(edited, "prod-platform", "staging-platform")
    edited.first("prod-platform", "azurerm_private_endpoint").update(
        subnet_id="${data.terraform_remote_state.x.outputs.endpoint_subnet_id}"
    )


def serverless_rule(edited: Any) -> None:
    """Let serverless compute of staging reach prod's storage."""
    foreign_state(edited, "staging-account", "prod-platform")
    edited.add(
        "staging-account", "databricks_mws_ncc_private_endpoint_rule", "x", group_id="dfs",
        resource_id="${data.terraform_remote_state.x.outputs.lake_id}",
        network_connectivity_config_id="${databricks_mws_network_connectivity_config.serverless.network_connectivity_config_id}",
    )  # fmt: skip


LAKE = "azurerm_storage_account.lake"
BREAKS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a group of another environment": (
        grant("prod-workspace", "grp-mrd-staging-ml-engineer", "SELECT"), "staging reaches prod: grp-mrd-staging",
    ),
    "a principal of another environment, by reference": (
        grant("prod-workspace", "${data.terraform_remote_state.account.outputs.runner_staging}", "SELECT"),
        "staging reaches prod: ${data.terraform_remote_state.account.outputs.runner_staging} holds SELECT",
    ),
    "a declared reader that writes": (
        grant("prod-workspace", "grp-mrd-dev-data-scientist", "MODIFY"), "dev reaches prod for more than is declared",
    ),
    "a member of another environment's workspace": (
        lambda e: e.add(
            "prod-account", "databricks_mws_permission_assignment", "x", permissions=["USER"],
            principal_id="${data.terraform_remote_state.account.outputs.group_staging_ml_engineer}",
        ),
        "staging reaches prod: ${data.terraform_remote_state.account.outputs.group_staging_ml_engineer} holds USER",
    ),
    "a declared reader that administers": (
        lambda e: e.add(
            "prod-account", "databricks_mws_permission_assignment", "x", permissions=["ADMIN"],
            principal_id="${data.terraform_remote_state.account.outputs.group_dev_data_scientist}",
        ),
        "dev reaches prod for more than is declared",
    ),
    "a job that another environment may run": (
        lambda e: e.first("prod-workspace", "databricks_permissions")["access_control"].append(
            {"group_name": "grp-mrd-dev-ml-engineer", "permission_level": "CAN_MANAGE_RUN"}
        ),
        "dev reaches prod for more than is declared: grp-mrd-dev-ml-engineer holds CAN_MANAGE_RUN",
    ),
    "a receiver of models that reads tables": (
        grant("staging-workspace", "${data.terraform_remote_state.account.outputs.runner_prod}", "SELECT"),
        "outputs.runner_prod} holds SELECT",
    ),
    "the identity of another environment on storage": (
        lambda e: e.first("prod-platform", "azurerm_role_assignment").update(
            principal_id="${data.terraform_remote_state.account.outputs.runner_staging}"
        ),
        "staging reaches prod: its identity holds the role",
    ),
    "a binding for writing": (
        lambda e: e.first("prod-workspace", "databricks_workspace_binding").update(binding_type="BINDING_TYPE_READ_WRITE"),
        "dev reaches prod for more than is declared: its workspace is bound",
    ),
    "an open catalog": (
        lambda e: e.first("prod-workspace", "databricks_catalog").update(isolation_mode="OPEN"),
        "staging reaches prod: prod is open to every workspace",
    ),
    "an open credential": (
        lambda e: e.first("staging-workspace", "databricks_storage_credential").pop("isolation_mode"),
        "prod reaches staging",
    ),
    "the state of another environment": (foreign_state, "dev reaches staging: reads the state of staging-platform"),
    "the state of a stack that nobody knows": (
        lambda e: e.stacks["dev-workspace"].content["data"]["terraform_remote_state"]["account"]["config"].update(path="x"),
        "dev reaches an unknown environment: reads the state of no stack of these",
    ),
    "a role on another environment's storage": (
        foreign_role, "staging reaches prod: its identity holds the role 'Storage Blob Data Reader'",
    ),
    "another environment's storage by name": (foreign_storage, "names the storage account"),
    "a private endpoint to storage that is not opened": (
        lambda e: endpoint(e, "dev-platform", f"staging-platform/{LAKE}"),
        "dev reaches staging: a private endpoint leads to staging-platform/azurerm_storage_account.lake. No setting",
    ),
    "a private endpoint against the direction of an opening": (
        lambda e: endpoint(e, "staging-platform", f"prod-platform/{LAKE}"), "staging reaches prod: a private endpoint",
    ),
    "a private endpoint to more than the storage of a declared owner": (
        lambda e: endpoint(e, "dev-platform", "prod-platform/azurerm_key_vault.vault"),
        "dev reaches prod for more than is declared: a private endpoint leads to prod-platform/azurerm_key_vault.vault",
    ),
    "a private endpoint that the declared owner need not approve": (
        lambda e: endpoint(e, "dev-platform", f"prod-platform/{LAKE}", is_manual_connection=False),
        "dev reaches prod for more than is declared: a private endpoint, which its owner need not approve,",
    ),
    "a private endpoint to what nobody knows": (
        lambda e: e.first("dev-platform", "azurerm_private_endpoint").update(
            private_service_connection={"private_connection_resource_alias": "x.azure.privatelinkservice"}
        ),
        "dev reaches an unknown environment: a private endpoint",
    ),
    "one's own storage in another environment's network": (lent_network, "staging reaches prod: a private endpoint"),
    "serverless compute of another environment": (
        serverless_rule, "staging reaches prod: a private endpoint of serverless compute leads to prod-platform/",
    ),
    "an overlapping range": (foreign_range, "overlaps 10.42.0.0/20"),
    "peered networks": (peered, "dev reaches staging: their networks are peered"),
}  # fmt: skip


@pytest.mark.parametrize("how", BREAKS)
def test_the_proof_fails_for(how: str, edited: Any) -> None:
    """Each way of reaching another environment is found, with who reaches whom through what."""
    alter, expected = BREAKS[how]
    alter(edited)
    found = proof(edited.stacks)
    assert any(expected in message for message in found), found


def test_both_sides_of_an_opening_may_read_each_other_s_platform_state(shipped: dict[str, SynthesizedStack]) -> None:
    """Prod must know dev's workspace to let it in, dev the id of prod's lake to reach it; there is no data in either."""
    across = [
        (way.reader, way.owner, way.how.removeprefix("reads the state of "))
        for way in access_paths(shipped)
        if way.is_state
    ]
    assert across == [
        ("dev", "prod", "prod-platform"), ("prod", "dev", "dev-platform"), ("prod", "staging", "staging-platform"),
        ("staging", "prod", "prod-platform"),
    ]  # fmt: skip
    assert any("prod reaches dev: reads the state" in message for message in proof(shipped, ()))


def test_a_way_names_the_resource_that_opens_it(edited: Any) -> None:
    """A person can go from the finding to the line that causes it."""
    edited.first("prod-workspace", "databricks_catalog").update(isolation_mode="OPEN")
    (name,) = edited.stacks["prod-workspace"].content["resource"]["databricks_catalog"]
    through = {way.through for way in access_paths(edited.stacks) if "open to every workspace" in way.how}
    assert through == {f"prod-workspace/databricks_catalog.{name}"}


def test_the_proof_reads_json_alone(edited: Any) -> None:
    """Written to text and read back, the stacks give the same ways: nothing hides in objects."""
    as_text = {
        name: SynthesizedStack(name=name, folder=stack.folder, content=json.loads(json.dumps(stack.content)))
        for name, stack in edited.stacks.items()
    }
    assert access_paths(as_text) == access_paths(edited.stacks)
    assert all(isinstance(way, AccessPath) for way in access_paths(as_text))
