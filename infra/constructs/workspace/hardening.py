"""Settings of the workspace itself: no legacy ways in, no personal tokens, updates by themselves."""

from typing import Any

from databricks.sdk.service.settings import ListType, RestrictWorkspaceAdminsMessageStatus

from infra.config.model import Exposure
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

FORBIDDEN = {
    "enableTokensConfig": "false",
    "enableDbfsFileBrowser": "false",
    "enableUploadDataUis": "false",
    "enableVerboseAuditLogs": "true",
    "storeInteractiveNotebookResultsInCustomerAccount": "true",
}


def hardening(stack: Stack, *, deployment: Deployment, catalog: Resource, provider: Provider) -> None:
    """Close what a workspace leaves open by default."""
    public = deployment.settings.network.exposure is Exposure.PUBLIC
    configured = stack.add(
        "databricks_workspace_conf",
        "workspace",
        provider=provider,
        custom_config={**FORBIDDEN, "enableIpAccessLists": str(public).lower()},
    )
    if public:
        stack.add(
            "databricks_ip_access_list",
            "company",
            provider=provider,
            depends_on=(configured,),
            label=f"{deployment.account.organisation}-{deployment.environment}",
            list_type=ListType.ALLOW.value,
            ip_addresses=list(deployment.settings.network.allowed_ip_ranges),
        )
    for setting in ("disable_legacy_access", "disable_legacy_dbfs"):
        on: dict[str, Any] = {setting: {"value": True}}
        stack.add(f"databricks_{setting}_setting", "workspace", provider=provider, **on)
    stack.add(
        "databricks_restrict_workspace_admins_setting",
        "workspace",
        provider=provider,
        restrict_workspace_admins={"status": RestrictWorkspaceAdminsMessageStatus.RESTRICT_TOKENS_AND_JOB_RUN_AS.value},
    )
    stack.add(
        "databricks_automatic_cluster_update_workspace_setting",
        "workspace",
        provider=provider,
        automatic_cluster_update_workspace={"enabled": True},
    )
    stack.add(
        "databricks_enhanced_security_monitoring_workspace_setting",
        "workspace",
        provider=provider,
        enhanced_security_monitoring_workspace={"is_enabled": True},
    )
    stack.add(
        "databricks_default_namespace_setting",
        "workspace",
        provider=provider,
        namespace={"value": catalog.attribute("name")},
    )
