"""A company that has some of it already: a metastore, groups in the account, and a hub network with private DNS zones.

What is there before the first deployment stays as it is: it is named in the settings, looked up, and never changed.
"""

import copy
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.config.network import DNS_ZONES
from infra.emulated_cloud.areas.azure.roles import give_role
from infra.emulated_cloud.areas.databricks.principals import add_principal
from infra.emulated_cloud.prepared import PERSON, add_metastore
from infra.emulated_cloud.world import GROUP, World

HUB = "8d3e4f50-6172-4d8e-9f90-a1b2c3d4e5f6"
"""The subscription of the hub, which is the company's and no environment's."""
_NETWORKS = f"/subscriptions/{HUB}/resourceGroups/rg-hub/providers/Microsoft.Network"
HUB_NETWORK = f"{_NETWORKS}/virtualNetworks/vnet-hub"
ZONES = {service: f"{_NETWORKS}/privateDnsZones/{zone}" for service, zone in DNS_ZONES.items()}


LASTS_DAYS = 300
WAIVER = """\
  - check: CKV_AZURE_183
    resource: {environment}-platform/azurerm_virtual_network.network
    reason: The resolvers are those of the hub, whose addresses are private as well; the check knows the network's own alone.
    owner: {owner}
    expires: {until}
"""
"""What docs/network.md lets a company with a hub accept: Checkov does not know one."""


@dataclass(frozen=True, kw_only=True)
class Owned:
    """What the company had: kind to its documents, by id."""

    metastores: Mapping[str, Any]
    groups: Mapping[str, Any]
    hub: Mapping[str, Any]


def settle(world: World, groups: list[str]) -> None:
    """Let a cloud have a metastore, groups of people, and a hub network that the person owns."""
    add_metastore(world)
    for group in groups:
        add_principal(world, GROUP, {"displayName": group})
    give_role(world, PERSON.object_id, "Owner", f"/subscriptions/{HUB}")
    properties: dict[str, Any] = {
        path: {} for path in (_NETWORKS.partition("/providers/")[0], HUB_NETWORK, *ZONES.values())
    }
    properties[HUB_NETWORK] = {"addressSpace": {"addressPrefixes": ["10.0.0.0/20"]}}
    for path, more in properties.items():
        world.store("azure", "resources")[path.lower()] = {
            "id": path, "name": path.rpartition("/")[2], "location": world.site.region, "properties": more,
        }  # fmt: skip


def owned(world: World, groups: list[str]) -> Owned:
    """Return what the company had before as it is now."""
    resources = world.store("azure", "resources")
    return Owned(
        metastores=copy.deepcopy(world.store("account", "metastores")),
        groups={
            key: copy.deepcopy(one) for key, one in world.scim(GROUP).items() if one.get("displayName") in groups
        },
        hub={path: copy.deepcopy(one) for path, one in resources.items() if path.startswith(_NETWORKS.lower())},
    )  # fmt: skip


def state_what_exists(infra: Path, metastore: str, environment: str) -> None:
    """Name in the settings what the company has, for the account and one environment, and accept what follows from it."""
    settings, waivers = infra / "settings", infra / "waivers.yaml"
    account = _read(settings / "account.yaml")
    account["metastore"] = {"region": account["metastore"]["region"], "id": metastore}
    account["entra_groups_are"] = "existing"
    account["entra_groups"] = dict.fromkeys(account["entra_groups"])
    _write(settings / "account.yaml", account)
    stated = _read(settings / f"{environment}.yaml")
    stated["network"] |= {
        "egress": "restricted", "web_authentication": False, "private_dns_zones": ZONES,
        "hub": {"network": HUB_NETWORK, "dns_servers": ["10.0.0.4", "10.0.0.5"], "egress_firewall": "10.0.1.4"},
    }  # fmt: skip
    _write(settings / f"{environment}.yaml", stated)
    until = dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=LASTS_DAYS)
    accepted = [WAIVER.format(environment=environment, owner=next(iter(account["entra_groups"])), until=until)]
    waivers.write_text("".join([waivers.read_text(encoding="utf-8"), *accepted]), encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def _write(file: Path, settings: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(settings), sort_keys=False, width=200), encoding="utf-8")
