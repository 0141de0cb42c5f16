"""The allowed settings of an environment's network: its range, who reaches it, and what it shares with existing networks."""

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

ResourceId = Annotated[
    str,
    Field(
        pattern=r"^/subscriptions/[0-9a-f-]{36}/resourceGroups/[\w.()-]+/providers/Microsoft\.[A-Za-z]+(/[\w.()-]+){2,}$",
        description="The id of an Azure resource.",
    ),
]
DNS_ZONES: Mapping[str, str] = {
    "databricks": "privatelink.azuredatabricks.net",
    "dfs": "privatelink.dfs.core.windows.net",
    "blob": "privatelink.blob.core.windows.net",
    "vault": "privatelink.vaultcore.azure.net",
}
"""The private DNS zone of each service (learn.microsoft.com/azure/private-link/private-endpoint-dns)."""
MONITOR_ZONES: Mapping[str, str] = {
    "monitor": "privatelink.monitor.azure.com",
    "oms": "privatelink.oms.opinsights.azure.com",
    "ods": "privatelink.ods.opinsights.azure.com",
    "agentsvc": "privatelink.agentsvc.azure-automation.net",
}
"""The zones of a private link scope of Azure Monitor beside that of blobs, on the same page; in use only with telemetry."""


class Exposure(StrEnum):
    """Who can reach the workspace over the network."""

    PRIVATE = "private"
    PUBLIC = "public"


class Egress(StrEnum):
    """What compute may reach on the internet, serverless and classic alike."""

    RESTRICTED = "restricted"
    OPEN = "open"


class AgentPool(StrEnum):
    """What runs the pipelines' agents in the environment's network."""

    NONE = "none"
    VIRTUAL_MACHINES = "virtual_machines"
    MANAGED_DEVOPS_POOL = "managed_devops_pool"


class StrictSettings(BaseModel):
    """A part of the settings: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


PRIVATE = tuple(
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""What a virtual network may have; loopback, link-local and other reserved ranges are refused by Azure
(learn.microsoft.com/azure/virtual-network/virtual-networks-faq)."""


def _range(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    text = str(value)
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        whole = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an address range such as 10.40.0.0/20") from None
    raise ValueError(f"is an address within a range; the range is {whole}")


def _network(value: Any) -> str:
    """Return the address range in its normal form; pydantic turns a ValueError into a mistake of the field."""
    network = _range(value)
    if not isinstance(network, ipaddress.IPv4Network) or not any(network.subnet_of(whole) for whole in PRIVATE):
        raise ValueError("must be a private IPv4 range such as 10.40.0.0/20")
    if not 16 <= network.prefixlen <= 24:
        raise ValueError("must be between /16 and /24, to hold the workspace's two subnets and the private endpoints")
    return str(network)


def _public_range(value: Any) -> str:
    network = _range(value)
    if network.prefixlen == 0:
        raise ValueError("must not be the whole internet; give the ranges your people come from")
    return str(network)


def _storage_range(value: Any) -> str:
    """Return a range that a storage account's firewall takes: public IPv4 addresses alone, and no large part of the internet.

    Source: learn.microsoft.com/azure/storage/common/storage-network-security-limitations.
    """
    network = _range(value)
    if isinstance(network, ipaddress.IPv4Network) and network.prefixlen < 16:
        raise ValueError("must be /16 or narrower; give the ranges your people and agents come from")
    if not isinstance(network, ipaddress.IPv4Network) or any(network.overlaps(whole) for whole in PRIVATE):
        raise ValueError(
            "must be a public IPv4 range such as 203.0.113.0/24; for private addresses name endpoint_subnet"
        )
    return str(network)


def _private_address(value: Any) -> str:
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        address = None
    if not isinstance(address, ipaddress.IPv4Address) or not any(address in whole for whole in PRIVATE):
        raise ValueError("must be a private IPv4 address such as 10.0.1.4")
    return str(address)


PublicRange = Annotated[str, BeforeValidator(_public_range)]
StorageRange = Annotated[str, BeforeValidator(_storage_range)]
Address = Annotated[str, BeforeValidator(_private_address)]


class PrivateDnsZones(StrictSettings):
    """Existing private DNS zones, by resource id, of another subscription as a rule; their owner links them to networks."""

    databricks: ResourceId
    dfs: ResourceId
    blob: ResourceId
    vault: ResourceId
    monitor: ResourceId | None = None
    oms: ResourceId | None = None
    ods: ResourceId | None = None
    agentsvc: ResourceId | None = None

    @property
    def of_azure_monitor(self) -> bool:
        """Whether the zones of Azure Monitor's private link are named."""
        return all(getattr(self, service) is not None for service in MONITOR_ZONES)

    @model_validator(mode="after")
    def _zones_have_the_names_of_their_services(self) -> "PrivateDnsZones":
        for service, zone in {**DNS_ZONES, **MONITOR_ZONES}.items():
            stated = getattr(self, service)
            if stated is not None and not stated.lower().endswith(f"/microsoft.network/privatednszones/{zone}"):
                raise ValueError(f"{service} must be the id of a private DNS zone with the name {zone}")
        named = [service for service in MONITOR_ZONES if getattr(self, service) is not None]
        if named and not self.of_azure_monitor:
            raise ValueError(f"must name all of {', '.join(MONITOR_ZONES)}, which belong together, or none of them")
        return self


class Hub(StrictSettings):
    """An existing hub network, with which the environment's network is peered."""

    network: ResourceId = Field(description="Resource id of the hub's virtual network.")
    dns_servers: tuple[Address, ...] = Field(
        default=(), description="Resolvers of the hub; Azure's own by default, which see zones of this network alone."
    )
    egress_firewall: Address | None = Field(
        default=None, description="Private address of the firewall through which all compute reaches the internet."
    )

    @field_validator("network")
    @classmethod
    def _is_a_network(cls, network: str) -> str:
        if "/microsoft.network/virtualnetworks/" not in network.lower():
            raise ValueError("must be the resource id of a virtual network")
        return network


class Network(StrictSettings):
    """The environment's own network and who may reach its workspace."""

    address_space: Annotated[str, BeforeValidator(_network)] = Field(description="Range of the virtual network.")
    exposure: Exposure = Field(default=Exposure.PRIVATE, description="private: through private endpoints alone.")
    allowed_ip_ranges: tuple[PublicRange, ...] = Field(
        default=(), description="With public exposure: the only ranges that reach the workspace."
    )
    egress: Egress = Field(
        default=Egress.RESTRICTED, description="What compute may reach on the internet, serverless and classic alike."
    )
    agents: AgentPool = Field(
        default=AgentPool.VIRTUAL_MACHINES, description="Whose agents get a subnet here; none if they are elsewhere."
    )
    hub: Hub | None = Field(default=None, description="An existing hub network; absent: this network stands alone.")
    private_dns_zones: PrivateDnsZones | None = Field(
        default=None, description="Existing zones for all private endpoints; absent: zones of this network alone."
    )
    web_authentication: bool = Field(
        default=True,
        description="Whether the endpoint of sign-in is here: it exists once per region and private DNS zone.",
    )

    @model_validator(mode="after")
    def _ranges_belong_to_public_exposure(self) -> "Network":
        if (self.exposure is Exposure.PUBLIC) != bool(self.allowed_ip_ranges):
            raise ValueError("allowed_ip_ranges must be given with exposure: public, and only then")
        return self
