"""The environments of the shipped stacks are apart, and every kind of path that is added between them is found and printed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.build.release import current_release
from infra.config.ceilings import ceilings
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.graph.declared import as_synthesized
from infra.graph.edges import edges
from infra.graph.estate import Estate
from infra.graph.openings import DeclaredOpening, openings_into
from infra.graph.paths import Graph, sentence
from infra.graph.principals import Principals
from infra.graph.proof import GraphFinding, prove
from infra.graph.rights import Judge, held_rights
from infra.stacks.estate import stacks as estate_stacks
from infra.terraform_cli.synthesized import SynthesizedStack, as_blocks
from pipelines.declarations.registry import use_cases


@pytest.fixture
def proof(settings: Settings) -> Callable[[Any], list[GraphFinding]]:
    """Return what the proof finds in stacks."""
    return lambda stacks: list(prove(stacks, settings, use_cases()))


def test_the_shipped_stacks_are_proven(
    shipped: dict[str, SynthesizedStack], proof: Callable[[Any], list[GraphFinding]]
) -> None:
    """No environment reaches another's data but by the declared openings, nobody holds more than the ceilings allow."""
    assert proof(shipped) == []


def test_the_settings_declare_these_openings(settings: Settings) -> None:
    """Dev's people read what explains prod; prod's jobs copy the model that staging trains for them, and nothing else."""
    into = {name: list(openings_into(settings, use_cases(), name)) for name in settings.environments}
    assert into == {
        "dev": [],
        "staging": [DeclaredOpening(reader="prod", owner="staging", use_cases=frozenset({"air_time"}))],
        "prod": [DeclaredOpening(reader="dev", owner="prod", principal="grp-mrd-dev-data-scientist")],
    }


def test_an_opening_names_principal_object_and_privileges(
    shipped: dict[str, SynthesizedStack], settings: Settings
) -> None:
    """Of all rights of other environments' principals, each is one that an opening names."""
    estate = Estate(shipped, settings)
    judge = Judge(estate, ceilings(), use_cases())
    foreign = [
        right
        for right in held_rights(estate, Principals(estate), use_cases())
        if right.principal.environment not in ("", "account", right.environment)
    ]
    assert {(right.principal.words, right.environment) for right in foreign} == {
        ("dev's data scientists (grp-mrd-dev-data-scientist)", "prod"),
        ("prod's identity (app-mrd-prod)", "staging"),
    }
    assert all(right.words <= judge.allowed(right) for right in foreign)
    copied = {(right.kind, right.layer, *right.words) for right in foreign if right.environment == "staging"}
    assert copied == {("catalog", "", "USE_CATALOG"), ("schema", "models", "USE_SCHEMA"), ("model", "", "EXECUTE")}


def test_without_the_declaration_the_same_stacks_are_refused(shipped: dict[str, SynthesizedStack], folder: Any) -> None:
    """An opening that no setting declares is found wherever it shows: binding, rights, endpoints, states."""
    folder.change("dev", ("reads",), [])
    found = prove(shipped, load_settings(folder.path), use_cases())
    through = {finding.resource.split("/")[1].split(".")[0] for finding in found if "/" in finding.resource}
    assert {"databricks_workspace_binding", "databricks_grants", "databricks_permissions", "data"} <= through
    assert "databricks_mws_ncc_private_endpoint_rule" in through
    assert any("dev reaches prod: " in finding.message for finding in found)


def test_a_path_of_several_steps_is_one_sentence_with_file_and_address(
    edited: Any, proof: Callable[[Any], list[GraphFinding]]
) -> None:
    """Who may write the volume of the code acts as the identity that runs it: from the token to that identity."""
    grants = edited.stacks["prod-workspace"].content["resource"]["databricks_grants"]["releases"]["grant"]
    runner = "${data.terraform_remote_state.account.outputs.runner_dev}"
    grants.append({"principal": runner, "privileges": ["WRITE_VOLUME"]})
    (found,) = [one for one in proof(edited.stacks) if one.check == "environments-are-isolated"]
    assert found.resource == "prod-workspace/databricks_grants.releases"
    assert found.message.startswith("dev reaches prod: whoever signs in with sc://meridian-air/lakehouse/lakehouse-dev")
    for step in (
        "signs in as dev's identity (app-mrd-dev) (stacks/account/cdk.tf.json, ",
        "holds WRITE_VOLUME on prod's volume releases (stacks/prod-workspace/cdk.tf.json, databricks_grants.releases)",
        "which holds the code of prod's job ",
        "which runs as prod's identity (app-mrd-prod) (stacks/prod-workspace/cdk.tf.json, databricks_job.",
    ):
        assert step in found.message
    assert found.message.count(". ") == 1


def test_a_pipeline_acts_as_what_its_connections_sign_in_as(
    shipped: dict[str, SynthesizedStack], settings: Settings
) -> None:
    """From the file of the pipeline over connection and token to the identity; what reviews a change reaches dev's alone."""
    estate = Estate(shipped, settings)
    graph = Graph(edges(estate, tuple(held_rights(estate, Principals(estate), use_cases()))))
    reached = {node: path for node, path in graph.closure("pipeline:release").items() if node.startswith("runner:")}
    assert list(reached) == ["runner:app-mrd-prod"]
    assert sentence(reached["runner:app-mrd-prod"]).startswith(
        "the pipeline release may use the service connection lakehouse-prod (.azuredevops/release.yml), which is whoever signs"
    )
    runners = {node for node in graph.closure("pipeline:pull-request") if node.startswith("runner:")}
    assert runners == {"runner:app-mrd-dev"}


def test_what_is_read_leads_no_further(shipped: dict[str, SynthesizedStack], settings: Settings) -> None:
    """Reading a table is not acting as its owner: dev's data scientists reach prod's explanation, and there they end."""
    estate = Estate(shipped, settings)
    graph = Graph(edges(estate, tuple(held_rights(estate, Principals(estate), use_cases()))))
    reached = graph.closure("role:grp-mrd-dev-data-scientist")
    in_prod = {node for node in reached if node.startswith("prod-")}
    assert in_prod
    assert not any(node.startswith("runner:") for node in reached)
    assert all(sentence(reached[node]).endswith(")") for node in in_prod)


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


def foreign_zone(edited: Any) -> None:
    """Let the network of dev resolve names in a zone of staging."""
    platform = edited.stacks["staging-platform"]
    zone = next(iter(platform.content["resource"]["azurerm_private_dns_zone"]))
    platform.content["output"]["zone"] = {"value": f"${{azurerm_private_dns_zone.{zone}.name}}"}
    edited.stacks["dev-platform"].content.setdefault("data", {}).setdefault("terraform_remote_state", {})["x"] = {
        "backend": "local", "config": {"path": platform.backend[1]["path"]},
    }  # fmt: skip
    edited.first("dev-platform", "azurerm_private_dns_zone_virtual_network_link").update(
        private_dns_zone_name="${data.terraform_remote_state.x.outputs.zone}"
    )


def shared_state(edited: Any) -> None:
    """Let dev's platform keep its state where staging's keeps its own."""
    edited.stacks["dev-platform"].content["terraform"]["backend"] = edited.stacks["staging-platform"].content[
        "terraform"
    ]["backend"]


def foreign_subscription(edited: Any) -> None:
    """Let dev's platform work in the subscription of prod."""
    (prod,) = as_blocks(edited.stacks["prod-platform"].content["provider"]["azurerm"])
    for provider in as_blocks(edited.stacks["dev-platform"].content["provider"]["azurerm"]):
        provider["subscription_id"] = prod["subscription_id"]


LAKE = "azurerm_storage_account.lake"
BREAKS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a group of another environment": (
        grant("prod-workspace", "grp-mrd-staging-ml-engineer", "SELECT"), "which holds SELECT on prod's schema air_time_bronze",
    ),
    "a principal of another environment, by reference": (
        grant("prod-workspace", "${data.terraform_remote_state.account.outputs.runner_staging}", "SELECT"),
        "staging's identity (app-mrd-staging) (stacks/account/cdk.tf.json, azuread_application_federated_identity_credential",
    ),
    "a declared reader that writes": (
        grant("prod-workspace", "grp-mrd-dev-data-scientist", "MODIFY"), "holds MODIFY",
    ),
    "a member of another environment's workspace": (
        lambda e: e.add(
            "prod-account", "databricks_mws_permission_assignment", "x", permissions=["USER"],
            principal_id="${data.terraform_remote_state.account.outputs.group_staging_ml_engineer}",
        ),
        "holds USER on prod's",
    ),
    "a declared reader that administers": (
        lambda e: e.add(
            "prod-account", "databricks_mws_permission_assignment", "x", permissions=["ADMIN"],
            principal_id="${data.terraform_remote_state.account.outputs.group_dev_data_scientist}",
        ),
        "holds ADMIN on prod's",
    ),
    "a job that another environment may run": (
        lambda e: e.first("prod-workspace", "databricks_permissions")["access_control"].append(
            {"group_name": "grp-mrd-dev-ml-engineer", "permission_level": "CAN_MANAGE_RUN"}
        ),
        "holds CAN_MANAGE_RUN on prod's",
    ),
    "a receiver of models that reads tables": (
        grant("staging-workspace", "${data.terraform_remote_state.account.outputs.runner_prod}", "SELECT"),
        "holds SELECT on staging's schema",
    ),
    "the identity of another environment on storage": (
        lambda e: e.first("prod-platform", "azurerm_role_assignment").update(
            principal_id="${data.terraform_remote_state.account.outputs.runner_staging}"
        ),
        "gives @{account/databricks_service_principal.runner_staging.application_id} the role",
    ),
    "a binding for writing": (
        lambda e: e.first("prod-workspace", "databricks_workspace_binding").update(binding_type="BINDING_TYPE_READ_WRITE"),
        "which is bound to prod's catalog prod (stacks/prod-workspace/cdk.tf.json, ",
    ),
    "an open catalog": (
        lambda e: e.first("prod-workspace", "databricks_catalog").update(isolation_mode="OPEN"),
        "isolation_mode is 'OPEN', allowed is 'ISOLATED'",
    ),
    "an open credential": (
        lambda e: e.first("staging-workspace", "databricks_storage_credential").pop("isolation_mode"),
        "leaves out isolation_mode",
    ),
    "the state of another environment": (foreign_state, "reads the state of staging-platform"),
    "the state of a stack that nobody knows": (
        lambda e: e.stacks["dev-workspace"].content["data"]["terraform_remote_state"]["account"]["config"].update(path="x"),
        "reads the state of no stack of these",
    ),
    "a role on another environment's storage": (
        foreign_role, "the role 'Storage Blob Data Reader' on @{prod-platform/",
    ),
    "another environment's storage by name": (foreign_storage, "url is 'abfss://x@stmrdprodlake"),
    "a private endpoint to storage that is not opened": (
        lambda e: endpoint(e, "dev-platform", f"staging-platform/{LAKE}"),
        "dev reaches staging: the network of dev has a private address of staging's storage account",
    ),
    "a private endpoint against the direction of an opening": (
        lambda e: endpoint(e, "staging-platform", f"prod-platform/{LAKE}"), "staging reaches prod: the network of staging has a private address",
    ),
    "a private endpoint to more than the storage of a declared owner": (
        lambda e: endpoint(e, "dev-platform", "prod-platform/azurerm_key_vault.vault"),
        "leads from dev to prod's prod-platform/azurerm_key_vault.vault. No setting declares it",
    ),
    "a private endpoint that the declared owner need not approve": (
        lambda e: endpoint(e, "dev-platform", f"prod-platform/{LAKE}", is_manual_connection=False),
        "which its owner need not approve",
    ),
    "a private endpoint to what nobody knows": (
        lambda e: e.first("dev-platform", "azurerm_private_endpoint").update(
            private_service_connection={"private_connection_resource_alias": "x.azure.privatelinkservice"}
        ),
        "which is nothing of these stacks",
    ),
    "one's own storage in another environment's network": (lent_network, "staging reaches prod: the network of staging"),
    "serverless compute of another environment": (
        serverless_rule, "staging reaches prod: serverless compute of staging has a private address",
    ),
    "an overlapping range": (foreign_range, "overlaps 10.42.0.0/20"),
    "names of another environment": (foreign_zone, "dev reaches staging: the network of dev resolves names in staging's"),
    "one state for two environments": (shared_state, "the stack dev-platform writes the state of staging-platform"),
    "the subscription of another environment": (
        foreign_subscription, "the stack dev-platform works, by its provider azurerm, in the subscription",
    ),
    "peered networks": (peered, "dev reaches staging: the network of dev is peered with"),
}  # fmt: skip


def test_stacks_as_values_have_the_same_edges_as_what_cdktf_writes(
    shipped: dict[str, SynthesizedStack], settings: Settings
) -> None:
    """So the answers of `access`, which need no cdktf, are those of what is deployed."""

    def ways(stacks: Any) -> set[tuple[str, str, str, str]]:
        estate = Estate(stacks, settings)
        found = edges(estate, tuple(held_rights(estate, Principals(estate), use_cases())))
        return {(edge.source.id, edge.verb, edge.target.id, edge.through) for edge in found}

    made = as_synthesized(estate_stacks(settings, use_cases(), current_release()))
    assert ways(made) == ways(shipped)


@pytest.mark.parametrize("how", BREAKS)
def test_the_proof_fails_for(how: str, edited: Any, proof: Callable[[Any], list[GraphFinding]]) -> None:
    """Each way of reaching another environment is found, with who reaches whom through what."""
    alter, expected = BREAKS[how]
    alter(edited)
    found = [finding.message for finding in proof(edited.stacks)]
    assert any(expected in message for message in found), found
    assert all(message.endswith(".") for message in found)


def test_the_proof_reads_json_alone(edited: Any, settings: Settings) -> None:
    """Written to text and read back, the stacks give the same findings: nothing hides in objects."""
    edited.first("prod-workspace", "databricks_catalog").update(isolation_mode="OPEN")
    as_text = {
        name: SynthesizedStack(name=name, folder=stack.folder, content=json.loads(json.dumps(stack.content)))
        for name, stack in edited.stacks.items()
    }
    found = prove(edited.stacks, settings, use_cases())
    assert found
    assert prove(as_text, settings, use_cases()) == found


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ({"from": "databricks_schema.old_bronze", "lifecycle": {"destroy": False}}, []),
        ({"from": "databricks_schema.old_bronze", "lifecycle": [{"destroy": True}]}, ["forgets databricks_schema.old_bronze"]),
        ({"from": "azurerm_management_lock.lake", "lifecycle": {"destroy": False}}, ["forgets azurerm_management_lock.lake"]),
    ],
)  # fmt: skip
def test_only_the_data_of_a_retired_use_case_may_be_forgotten(
    block: dict[str, Any], found: list[str], shipped: dict[str, SynthesizedStack],
    proof: Callable[[Any], list[GraphFinding]],
) -> None:  # fmt: skip
    """A lock that Terraform forgets is one that anybody can take away."""
    stack = shipped["prod-workspace"]
    changed = SynthesizedStack(name=stack.name, folder=stack.folder, content={**stack.content, "removed": [block]})
    said = [finding.message for finding in proof({**shipped, stack.name: changed})]
    assert [message.partition(":")[0] for message in said] == found
