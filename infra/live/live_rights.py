"""One right as a service states it, and the words of the rights that are no privilege of the service."""

from collections.abc import Sequence
from dataclasses import dataclass

OWNS, RUNS_AS, MEMBER, SIGNS_IN = "OWNER", "RUN_AS", "MEMBER", "SIGN_IN"
COPYABLE = "SECRET"
"""What can be copied and used by whoever has it: a secret, a password or a certificate of an identity."""
USES, PERSONAL_COMPUTE = "CAN_USE", "Personal Compute"
"""The policy that every workspace has from the start, with which people make clusters of their own
(https://learn.microsoft.com/en-us/azure/databricks/admin/clusters/personal-compute)."""
WORKSPACE = "workspace"
"""Before the number of a workspace in the place of a principal, for bindings."""
SECURABLES: dict[str, str] = {
    "metastore": "metastore", "catalog": "catalog", "schema": "schema", "table": "table", "volume": "volume",
    "model": "function", "storage_credential": "storage_credential", "credential": "credential",
    "external_location": "external_location",
}  # fmt: skip
"""Kind of securable to its name in the interface of grants, for which a registered model is a function
(https://docs.databricks.com/api/azure/workspace/grants/get)."""
OBJECTS: dict[str, str] = {
    "job": "jobs", "cluster": "clusters", "policy": "cluster-policies", "pool": "instance-pools",
    "warehouse": "sql/warehouses", "experiment": "experiments", "endpoint": "serving-endpoints", "folder": "directories",
    "online_store": "database-projects",
    "dashboard": "dashboards", "alert": "alertsv2",
}  # fmt: skip
"""Kind of object to its name in the interface of permissions (https://docs.databricks.com/api/azure/workspace/permissions/get)."""


@dataclass(frozen=True, kw_only=True, order=True)
class LiveRight:
    """What one principal holds on one object.

    Attributes
    ----------
    kind, on
        The object: for a securable its full name, for others the name under which people know it.
    principal
        The name of the group or person, or the display name of the service principal.
    """

    kind: str
    on: str
    principal: str
    words: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class LiveRights:
    """All that could be read in one place, and a sentence for each thing that could not."""

    place: str
    rights: Sequence[LiveRight]
    unread: Sequence[str] = ()
