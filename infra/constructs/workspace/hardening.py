"""Settings of the workspace itself: no legacy access, no personal tokens, no download past the catalog, automatic updates.

What only an account admin may set is in `infra.constructs.account.restrictions`.
"""

from databricks.sdk.service.settings import ListType

from infra.config.network import Exposure
from infra.constructs.workspace.context import WorkspaceContext

FORBIDDEN = {
    "enableTokensConfig": "false",
    "enableDbfsFileBrowser": "false",
    "enableUploadDataUis": "false",
    "enableFileStoreEndpoint": "false",
    "enableResultsDownloading": "false",
    "enableExportNotebook": "false",
    "enableNotebookTableClipboard": "false",
    "enableVerboseAuditLogs": "true",
    "storeInteractiveNotebookResultsInCustomerAccount": "true",
}


def hardening(workspace: WorkspaceContext, *, catalog_name: str) -> None:
    """Close what a workspace leaves open by default."""
    deployment = workspace.deployment
    public = deployment.settings.network.exposure is Exposure.PUBLIC
    configured = workspace.add(
        "databricks_workspace_conf",
        "workspace",
        custom_config={**FORBIDDEN, "enableIpAccessLists": str(public).lower()},
    )
    if public:
        workspace.add(
            "databricks_ip_access_list",
            "company",
            depends_on=(configured,),
            label=f"{deployment.account.organisation}-{deployment.environment}",
            list_type=ListType.ALLOW.value,
            ip_addresses=list(deployment.settings.network.allowed_ip_ranges),
        )
    for setting, block in (
        ("disable_legacy_access", {"value": True}),
        ("disable_legacy_dbfs", {"value": True}),
        ("automatic_cluster_update_workspace", {"enabled": True}),
        ("enhanced_security_monitoring_workspace", {"is_enabled": True}),
    ):
        workspace.add(f"databricks_{setting}_setting", "workspace", **{setting: block})
    workspace.add("databricks_default_namespace_setting", "workspace", namespace={"value": catalog_name})
