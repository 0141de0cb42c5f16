"""Checks that resources with data cannot be deleted by mistake, neither by Terraform nor in the Azure portal."""

from collections.abc import Iterator

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.forbidden_grants import OPEN_TO_EXPERIMENTS
from infra.checks.reading import referenced, resources

HOLDING_DATA = (
    "azurerm_resource_group", "azurerm_storage_account", "azurerm_storage_container", "azurerm_key_vault",
    "azurerm_key_vault_key", "azurerm_databricks_workspace", "azurerm_log_analytics_workspace", "databricks_metastore",
    "databricks_catalog", "databricks_external_location", "databricks_storage_credential",
    "databricks_registered_model", "databricks_mlflow_experiment",
)  # fmt: skip
"""Resource types whose loss loses data or the access to it. Schemas and volumes are left out: some hold no data."""

LOCKED = (
    "azurerm_storage_account", "azurerm_key_vault", "azurerm_databricks_workspace", "azurerm_log_analytics_workspace",
)  # fmt: skip
"""Resource types that Azure itself must refuse to delete."""


def _protection(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *HOLDING_DATA):
        protected = any(block.get("prevent_destroy") is True for block in resource.blocks("lifecycle"))
        if resource.environment not in OPEN_TO_EXPERIMENTS and not protected:
            yield resource.where, "holds data and may be destroyed; state prevent_destroy."
    for resource in resources(stacks):
        if resource.environment not in OPEN_TO_EXPERIMENTS and resource.arguments.get("force_destroy") is True:
            yield resource.where, "force_destroy deletes what is inside without asking; leave it out."


def _locks(stacks: Stacks) -> Iterator[tuple[str, str]]:
    locked = {
        name
        for lock in resources(stacks, "azurerm_management_lock")
        for name in referenced(stacks, lock.stack, lock.arguments.get("scope"))
    }
    for resource in resources(stacks, *LOCKED):
        if resource.environment not in OPEN_TO_EXPERIMENTS and resource.where not in locked:
            yield resource.where, "has no lock; everybody with the right to delete in Azure could delete it."


CHECKS = (
    PolicyCheck(
        id="data-is-protected", reason="a plan that destroys data must fail before it is applied", look=_protection
    ),
    PolicyCheck(id="data-is-locked", reason="Terraform is not the only way to delete something in Azure", look=_locks),
)
