"""A summary of the synthesized JSON: resources by stack, area and type.

Pure functions on the output of `infra.synthesis.cdktf_seam`, so that the summary describes what would be deployed.
`infra.description.permission_matrix` describes who may do what.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.config.stack_names import ACCOUNT, PARTS_OF_ENVIRONMENTS, stack_name
from ml.spec.errors import NotPossibleError
from pipelines.declarations.environment import ENVIRONMENTS

AREAS: Mapping[str, tuple[str, ...]] = {
    "identities and groups": ("azuread_", "databricks_group", "databricks_service_principal"),
    "network": (
        "azurerm_virtual_network", "azurerm_subnet", "azurerm_network_", "azurerm_nat_", "azurerm_public_ip", "azurerm_route",
        "azurerm_private_", "databricks_mws_n", "databricks_account_network", "databricks_workspace_network",
    ),
    "storage and keys": (
        "azurerm_storage_", "azurerm_key_vault", "azurerm_resource_group_template", "azurerm_role_",
        "azurerm_databricks_access",
    ),
    "workspace": ("azurerm_databricks_workspace", "azurerm_resource_group", "databricks_metastore_assignment",
                  "databricks_mws_permission"),
    "logs, locks, budgets": ("azurerm_log_", "azurerm_application_insights", "azurerm_monitor_", "azurerm_management_lock", "azurerm_consumption_",
                             "databricks_budget"),
    "catalog": ("databricks_metastore", "databricks_catalog", "databricks_schema", "databricks_volume",
                "databricks_registered_model", "databricks_storage_credential", "databricks_credential",
                "databricks_external_location",
                "databricks_workspace_binding"),
    "grants and permissions": ("databricks_grant", "databricks_permissions", "databricks_secret"),
    "compute": ("databricks_cluster", "databricks_instance_pool", "databricks_sql_endpoint"),
    "jobs and code": ("databricks_job", "databricks_file", "databricks_notebook", "databricks_directory",
                      "databricks_mlflow"),
    "serving and monitoring": ("databricks_model_serving", "databricks_online_store", "databricks_data_quality", "databricks_dashboard",
                               "databricks_alert"),
    "hardening": ("databricks_",),
}  # fmt: skip
"""Areas in the order of building, each with prefixes of its resource types; a type belongs to the first that matches."""


@dataclass(frozen=True, kw_only=True)
class StackSummary:
    """The resources of one stack.

    Attributes
    ----------
    environment
        None for the account.
    types
        Number of resources by type, without data sources.
    reads
        Names of the stacks whose outputs it reads.
    """

    name: str
    environment: str | None
    types: Mapping[str, int]
    reads: tuple[str, ...]

    @property
    def resources(self) -> int:
        """How many resources the stack has."""
        return sum(self.types.values())

    @property
    def areas(self) -> Mapping[str, int]:
        """Number of resources by area, in the order of building, without the empty areas."""
        counted: Counter[str] = Counter()
        for type_, count in self.types.items():
            counted[area_of(type_)] += count
        return {area: counted[area] for area in AREAS if counted[area]}


def area_of(resource_type: str) -> str:
    """Return the area of a resource type.

    Raises
    ------
    ValueError
        If no area lists it; a type that is new in the stacks must be added to `AREAS`.
    """
    for area, beginnings in AREAS.items():
        if resource_type.startswith(beginnings):
            return area
    raise NotPossibleError(
        f"resource type {resource_type!r} belongs to no area: add it to AREAS in infra/description/describe.py."
    )


def read_synthesized(outdir: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON of every synthesized stack by its name, in the order of deployment.

    Raises
    ------
    NotPossibleError
        If nothing was synthesized there.
    """
    manifest = outdir / "manifest.json"
    if not manifest.exists():
        raise NotPossibleError(f"nothing is synthesized in {outdir}: run `python -m infra synth` first.")
    stacks = json.loads(manifest.read_text(encoding="utf-8"))["stacks"]
    order = [ACCOUNT, *(stack_name(part, name) for name in ENVIRONMENTS for part in PARTS_OF_ENVIRONMENTS)]
    return {
        name: json.loads((outdir / entry["synthesizedStackPath"]).read_text(encoding="utf-8"))
        for name, entry in sorted(stacks.items(), key=lambda item: order.index(item[0]))
    }


def summaries(synthesized: Mapping[str, Mapping[str, Any]]) -> tuple[StackSummary, ...]:
    """Return the summary of each stack.

    Parameters
    ----------
    synthesized
        JSON of the stacks by name, as `read_synthesized` returns it.
    """
    return tuple(
        StackSummary(
            name=name,
            environment=name.rpartition("-")[0] or None,
            types={type_: len(found) for type_, found in sorted(content.get("resource", {}).items())},
            reads=tuple(
                other.replace("_", "-") for other in sorted(content.get("data", {}).get("terraform_remote_state", {}))
            ),
        )
        for name, content in synthesized.items()
    )


def addresses(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every resource address of one stack's JSON, sorted."""
    return tuple(sorted(f"{type_}.{name}" for type_, found in content.get("resource", {}).items() for name in found))
