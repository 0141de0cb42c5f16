"""Openings between environments: each has its network way and no other exists; none before both sides are connected."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infra.commands.matrix import matrix
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.config.model import StateStorage
from infra.config.stack_names import environment_of
from infra.constructs.deployment import holders, owners, readers, receivers
from infra.constructs.release import Release
from infra.graph.openings import openings_into
from infra.permissions.roles import Access
from infra.stacks.estate import stacks
from infra.synthesis.stack import Stack
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_cases

SERVICES = {"dfs", "blob"}
STATE = StateStorage(
    subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group="rg-mrd-state", storage_account="stmrdstate",
    container="terraform",
)  # fmt: skip


def connected(settings: Settings, *names: str) -> Settings:
    """Return the settings with a place for the state of some environments."""
    environments = {
        name: stated.model_copy(update={"state": STATE}) if name in names else stated
        for name, stated in settings.environments.items()
    }
    return dataclasses.replace(settings, environments=environments)


def network_ways(content: Mapping[str, Any], kind: str, target: str, service: str) -> set[tuple[str, str]]:
    """Return the output of another platform that each endpoint of a kind leads to, with the service."""
    found = set()
    for arguments in content.get("resource", {}).get(kind, {}).values():
        inner = arguments.get("private_service_connection", arguments)
        if "terraform_remote_state" in inner[target]:
            services = inner[service] if isinstance(inner[service], list) else [inner[service]]
            found |= {(inner[target], one) for one in services}
    return found


def test_every_declared_opening_has_its_network_way_and_no_other_exists(
    synthesized: Mapping[str, Mapping[str, Any]], settings: Settings
) -> None:
    """For clusters and for serverless compute, to both services of the owner's lake, in the reader's stacks alone."""
    declared = {
        (one.reader, one.owner) for owner in ENVIRONMENTS for one in openings_into(settings, use_cases(), owner)
    }
    assert declared == {("dev", "prod"), ("prod", "staging")}
    for kind, target, service, part in (
        ("azurerm_private_endpoint", "private_connection_resource_id", "subresource_names", "workspace"),
        ("databricks_mws_ncc_private_endpoint_rule", "resource_id", "group_id", "account"),
    ):
        own = {(name, name) for name in ENVIRONMENTS} if part == "account" else set()
        expected = {
            (f"{reader}-{part}", f"${{data.terraform_remote_state.{owner}_platform.outputs.{storage}}}", one)
            for reader, owner in declared | own
            for one in SERVICES
            for storage in ("lake_id", *(["workspace_storage_id"] if reader == owner else []))
        }
        found = {
            (name, *way)
            for name, content in synthesized.items()
            for way in network_ways(content, kind, target, service)
        }
        assert found == expected, kind


def test_a_way_ends_in_the_reader_s_own_network_and_names(synthesized: Mapping[str, Mapping[str, Any]]) -> None:
    """Prod's clusters resolve staging's lake in prod's zone, to an address in prod's subnet, once staging approves."""
    own = "${{data.terraform_remote_state.prod_platform.outputs.{}}}"
    for service in SERVICES:
        endpoint = synthesized["prod-workspace"]["resource"]["azurerm_private_endpoint"][f"staging_lake_{service}"]
        assert endpoint["subnet_id"] == own.format("endpoint_subnet_id")
        assert endpoint["resource_group_name"] == own.format("resource_group")
        assert endpoint["private_dns_zone_group"]["private_dns_zone_ids"] == [own.format(f"zone_{service}_id")]
        assert endpoint["private_service_connection"]["is_manual_connection"] is True
        assert len(endpoint["private_service_connection"]["request_message"]) <= 140
    outputs = synthesized["prod-platform"]["output"]
    assert outputs["endpoint_subnet_id"]["value"] == "${azurerm_subnet.endpoints.id}"
    assert outputs["zone_dfs_id"]["value"] == "${azurerm_private_dns_zone.dfs.id}"
    assert synthesized["staging-platform"]["output"]["lake_id"]["value"] == "${azurerm_storage_account.lake.id}"


def opened_everywhere(settings: Settings) -> Settings:
    """Return the settings with every opening that they could declare: all read all, all receive."""
    environments = {
        name: stated.model_copy(
            update={
                "reads": tuple(set(ENVIRONMENTS) - {name}),
                "receives_models": ENVIRONMENTS[name].receives_from is not None,
            }
        )
        for name, stated in settings.environments.items()
    }
    return dataclasses.replace(settings, environments=environments)


def test_stacks_have_an_order_even_if_everything_is_opened_to_everybody(settings: Settings, release: Release) -> None:
    """Platforms read no other platform, so no two of them can wait for each other."""
    seen: set[str] = set()
    for stack in stacks(opened_everywhere(settings), use_cases(), release):
        assert set(stack.read) <= seen, stack.name
        assert not stack.name.endswith("platform") or set(stack.read) == {"account"}
        seen.add(stack.name)


@pytest.mark.parametrize("names", [c for n in range(4) for c in itertools.combinations(ENVIRONMENTS, n)])
def test_no_connected_environment_reads_the_state_of_one_that_is_not(
    settings: Settings, release: Release, names: tuple[str, ...]
) -> None:
    """Whichever are connected first: what is deployed never waits for what nobody has deployed, nor the other way."""
    alike = connected(opened_everywhere(settings), *names)
    for stack in stacks(alike, use_cases(), release):
        others = {environment_of(other) for other in stack.read} - {"account"}
        own = environment_of(stack.name)
        assert all((other in names) == (own in names) for other in others), stack.name


def test_an_environment_that_is_not_connected_is_let_in_later(settings: Settings) -> None:
    """Dev and staging connected, prod not: staging knows no receiver, and prod no reader, until prod is connected."""
    early = connected(settings, "dev", "staging")
    assert receivers(early, use_cases(), "staging") == ()
    assert readers(early, "prod") == ()
    assert [owners(early, use_cases(), name) for name in ENVIRONMENTS] == [(), (), ()]
    assert not [one for owner in ENVIRONMENTS for one in openings_into(early, use_cases(), owner)]
    assert not [holder for holder in holders(early, "prod") if holder.access is Access.EXPLAIN]
    assert not [row for row in matrix(early) if row.access in ("explain", "copy models")]


@pytest.mark.parametrize("names", [(), tuple(ENVIRONMENTS)], ids=["as shipped", "all connected"])
def test_environments_that_are_connected_alike_are_opened_as_declared(settings: Settings, names: Sequence[str]) -> None:
    """With every state on the local disk and with every state in the cloud nothing is left out."""
    alike = connected(settings, *names)
    assert receivers(alike, use_cases(), "staging") == ("prod",)
    assert readers(alike, "prod") == ("dev",)
    assert owners(alike, use_cases(), "dev") == ("prod",)
    assert owners(alike, use_cases(), "prod") == ("staging",)
    assert {row.access for row in matrix(alike)} >= {"explain", "copy models"}


def test_connecting_prod_opens_what_is_declared_and_moves_nothing_else(settings: Settings, release: Release) -> None:
    """The bindings, the ways of the network and who is admitted come; every address that was there stays."""
    early, late = (
        {stack.name: stack for stack in stacks(connected(settings, *names), use_cases(), release)}
        for names in (("dev", "staging"), ("dev", "staging", "prod"))
    )
    added = {name: set(late[name].resources) - set(early[name].resources) for name in late}
    assert all(set(early[name].resources) <= set(late[name].resources) for name in late)
    assert added["staging-workspace"] == {"databricks_workspace_binding.catalog_read_by_prod"}
    assert added["dev-platform"] == added["staging-platform"] == added["account"] == set()
    assert added["prod-platform"] == added["staging-account"] == set()
    assert added["prod-account"] == {
        "databricks_mws_permission_assignment.dev_data_scientist",
        *(f"databricks_mws_ncc_private_endpoint_rule.staging_lake_{service}" for service in SERVICES),
    }
    assert added["dev-account"] == {
        f"databricks_mws_ncc_private_endpoint_rule.prod_lake_{service}" for service in SERVICES
    }
    assert {address.split(".")[0] for address in added["dev-workspace"]} == {"azurerm_private_endpoint"}


def test_an_opening_that_is_taken_back_takes_its_network_way_along(folder: Any, release: Release) -> None:
    """With the last one no resource of Azure is left in the workspace stack, but the provider by which Terraform destroys it."""
    folder.change("dev", ("reads",), [])
    found: dict[str, Stack] = {s.name: s for s in stacks(load_settings(folder.path), use_cases(), release)}
    assert not [r for r in found["dev-workspace"].resources.values() if r.type.startswith("azurerm_")]
    assert set(found["dev-workspace"].providers) == {"databricks.workspace", "azurerm.azure"}
    assert "prod-platform" not in {**found["dev-workspace"].read, **found["dev-account"].read}
