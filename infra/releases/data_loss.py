"""What a plan would destroy that holds data, and whether somebody has named it.

``prevent_destroy`` guards a resource that the stacks still declare. A resource that leaves them is destroyed without a word
(https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle: "this setting does not prevent the remote
object from being destroyed if the resource block were removed"). The plan knows of both, so the plan is what is judged:
when it is saved, before it is applied, and in a deployment by the cdktf command line.
"""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from infra.terraform_cli.changes import Action, action_of

VARIABLE = "ALLOW_DESTROY"
"""The environment variable with the addresses whose loss is accepted, separated by commas; for pipelines and cdktf."""
TAINTED = "replace_because_tainted"
"""The reason of a replacement (https://developer.hashicorp.com/terraform/internals/json-format#plan-representation)."""
LOST_WITH_DATA = frozenset(
    {
        "azurerm_resource_group", "azurerm_storage_account", "azurerm_storage_container", "azurerm_key_vault",
        "azurerm_key_vault_key", "azurerm_databricks_workspace", "azurerm_log_analytics_workspace", "databricks_metastore",
        "databricks_catalog", "databricks_schema", "databricks_volume", "databricks_external_location",
        "databricks_storage_credential", "databricks_registered_model", "databricks_mlflow_experiment",
        "databricks_secret_scope", "databricks_online_store",
    }
)  # fmt: skip
"""Resource types whose destruction destroys data, or the only way to it."""
MADE_AGAIN = frozenset(
    {
        "azuread_application", "azuread_application_federated_identity_credential", "azuread_service_principal",
        "azurerm_application_insights", "azurerm_application_insights_workbook", "azurerm_consumption_budget_resource_group", "azurerm_consumption_budget_subscription",
        "azurerm_databricks_access_connector", "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
        "azurerm_management_lock", "azurerm_monitor_action_group", "azurerm_monitor_diagnostic_setting",
        "azurerm_monitor_private_link_scope", "azurerm_monitor_private_link_scoped_service",
        "azurerm_monitor_scheduled_query_rules_alert_v2", "azurerm_nat_gateway", "azurerm_nat_gateway_public_ip_association",
        "azurerm_network_security_group", "azurerm_network_security_rule", "azurerm_private_dns_zone",
        "azurerm_private_dns_zone_virtual_network_link", "azurerm_private_endpoint", "azurerm_public_ip",
        "azurerm_resource_group_template_deployment", "azurerm_role_assignment", "azurerm_route", "azurerm_route_table",
        "azurerm_storage_account_customer_managed_key", "azurerm_subnet", "azurerm_subnet_nat_gateway_association",
        "azurerm_subnet_network_security_group_association", "azurerm_subnet_route_table_association",
        "azurerm_virtual_network", "azurerm_virtual_network_peering",
        "databricks_account_network_policy", "databricks_alert_v2", "databricks_automatic_cluster_update_workspace_setting",
        "databricks_budget", "databricks_budget_policy", "databricks_cluster", "databricks_cluster_policy",
        "databricks_credential", "databricks_dashboard", "databricks_data_quality_monitor",
        "databricks_default_namespace_setting", "databricks_directory", "databricks_disable_legacy_access_setting",
        "databricks_disable_legacy_dbfs_setting", "databricks_enhanced_security_monitoring_workspace_setting",
        "databricks_file", "databricks_grant", "databricks_grants", "databricks_group", "databricks_group_member",
        "databricks_instance_pool", "databricks_ip_access_list", "databricks_job", "databricks_metastore_assignment",
        "databricks_model_serving", "databricks_mws_ncc_binding", "databricks_mws_ncc_private_endpoint_rule",
        "databricks_mws_network_connectivity_config", "databricks_mws_permission_assignment", "databricks_notebook",
        "databricks_permissions", "databricks_restrict_workspace_admins_setting", "databricks_secret_acl",
        "databricks_service_principal", "databricks_service_principal_federation_policy", "databricks_sql_endpoint",
        "databricks_workspace_binding", "databricks_workspace_conf", "databricks_workspace_network_option",
        "terraform_data",
    }
)  # fmt: skip
"""Resource types that the next deployment makes again from their declarations. A type of neither list may hold data: a plan can
destroy what an earlier release, or a change that nobody has judged, has made."""


@dataclass(frozen=True, kw_only=True)
class DataLoss:
    """One resource with data that a plan destroys.

    Attributes
    ----------
    action
        `Action.DESTROY`; `Action.REPLACE` or `Action.CREATE`: the new resource is empty.
    tainted
        Whether it is replaced because its creation was cut off after its first request, not because somebody changed it.
    gone
        Whether somebody has deleted it outside of Terraform, and the plan would create it empty.
    """

    stack: str
    address: str
    action: Action
    tainted: bool = False
    gone: bool = False

    @property
    def sentence(self) -> str:
        """What happens to it, for people."""
        if self.gone:
            return (
                f"{self.address} of {self.stack} held data, was deleted outside of Terraform and would be created empty"
            )
        what = "would be destroyed" if self.action is Action.DESTROY else "would be destroyed and created again, empty"
        return f"{self.address} of {self.stack} holds data and {what}"

    @property
    def remedy(self) -> str:
        """What to do instead."""
        if self.gone:
            return "restore it first, which its new namesake may prevent, and plan again"
        if not self.tainted:
            return "keep it declared, let a `removed` block forget it"
        command = f"terraform -chdir=cdktf.out/stacks/{self.stack} untaint {shlex.quote(self.address)}"
        return f"its creation was cut off, so keep what was created with `{command}` and apply again"


def holds_data(kind: str) -> bool:
    """Return whether data may be lost with a resource of a type."""
    return kind in LOST_WITH_DATA or kind not in MADE_AGAIN


def data_losses(plans: Mapping[str, Mapping[str, Any]]) -> tuple[DataLoss, ...]:
    """Return every resource with data that plans destroy, replace or create anew, in the order of stacks and addresses.

    A deleted storage account can be recovered until another one has its name:
    https://learn.microsoft.com/azure/storage/common/storage-account-recover.

    Parameters
    ----------
    plans
        By stack, as ``terraform show -json`` gives them. What a ``removed`` block forgets is not destroyed.
    """
    found = []
    for stack, plan in plans.items():
        gone = {
            drifted["address"]
            for drifted in plan.get("resource_drift", ())
            if action_of(drifted["change"]["actions"]) is Action.DESTROY
        }
        for resource in plan.get("resource_changes", ()):
            action = action_of(resource["change"]["actions"])
            anew = action is Action.CREATE and resource["address"] in gone
            if action is None or not (anew or action in (Action.DESTROY, Action.REPLACE)):
                continue
            if not holds_data(str(resource.get("type"))):
                continue
            tainted = resource.get("action_reason") == TAINTED
            found.append(DataLoss(stack=stack, address=resource["address"], action=action, tainted=tainted, gone=anew))
    return tuple(sorted(found, key=lambda loss: (loss.stack, loss.address)))


def unnamed_losses(losses: Collection[DataLoss], allowed: Collection[str]) -> tuple[str, ...]:
    """Return a reason against each loss that nobody has named.

    Parameters
    ----------
    allowed
        The addresses whose loss is accepted. One run of a pipeline plans several stacks, so a name that fits none of them
        is no reason.
    """
    return tuple(
        f"{loss.sentence}: {loss.remedy}, or name it with --allow-destroy "
        f"{loss.address} (in a pipeline or with cdktf: {VARIABLE})."
        for loss in losses
        if loss.address not in allowed
    )


def addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of a text with commas."""
    return tuple(sorted({address.strip() for address in text.split(",") if address.strip()}))
