"""Which checks of the Security Analysis Tool are decided from code, before anything exists, and by what.

The ids, names and rules are those of `configs/security_best_practices.csv` of
github.com/databricks-industry-solutions/security-analysis-tool as of 2026-08-06, without the rows for other clouds alone.
A row that is decided names the resource type and the argument whose table in `infra/graph/types` requires the control.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Decided(StrEnum):
    """Where a check of the tool is decided."""

    HERE = "here"
    LIVE = "in the workspace"
    NOT_SET = "not required"


@dataclass(frozen=True, kw_only=True)
class AnalysisRow:
    """One check of the tool.

    Attributes
    ----------
    by
        What decides it here, or why it is not decided.
    """

    name: str
    decided: Decided
    by: str


def _here(name: str, by: str) -> AnalysisRow:
    return AnalysisRow(name=name, decided=Decided.HERE, by=by)


def _live(name: str, by: str) -> AnalysisRow:
    return AnalysisRow(name=name, decided=Decided.LIVE, by=by)


def _not(name: str, by: str) -> AnalysisRow:
    return AnalysisRow(name=name, decided=Decided.NOT_SET, by=by)


_CONF = "databricks_workspace_conf custom_config"
ROWS: Mapping[str, AnalysisRow] = {
    "DP-1": _here("secrets management", "databricks_secret_scope, and no-secret-literal"),
    "DP-2": _not("disk encryption of clusters", "customer-managed keys encrypt disks: azurerm_databricks_workspace managed_disk_cmk_key_vault_key_id"),
    "DP-5": _here("download of results", f"{_CONF}.enableResultsDownloading"),
    "DP-6": _here("export of notebooks", f"{_CONF}.enableExportNotebook"),
    "DP-7": _here("clipboard of notebooks", f"{_CONF}.enableNotebookTableClipboard"),
    "DP-8": _here("results in the customer's account", f"{_CONF}.storeInteractiveNotebookResultsInCustomerAccount"),
    "DP-9": _here("FileStore endpoint", f"{_CONF}.enableFileStoreEndpoint"),
    "DP-10": _here("legacy DBFS", "databricks_disable_legacy_dbfs_setting disable_legacy_dbfs.value"),
    "DP-11": _live("download of SQL results", "no resource type of the provider's locked version sets it"),
    "DP-13": _here("DBFS file browser", f"{_CONF}.enableDbfsFileBrowser"),
    "DP-14": _not("embeddings", "nothing here stores embeddings; a vector search endpoint is an unknown type"),
    "GOV-2": _live("tokens about to expire", "tokens cannot be made, GOV-15 and IA-8; those that exist are in the workspace"),
    "GOV-3": _here("delivery of audit logs", "azurerm_monitor_diagnostic_setting enabled_log.category_group"),
    "GOV-4": _live("clusters that run for long", "only the workspace knows what runs"),
    "GOV-5": _here("deprecated runtimes", "the settings, compute.runtime newer_than"),
    "GOV-10": _live("managed tables in the DBFS root", "only the workspace knows; DP-10 refuses new ones"),
    "GOV-11": _here("DBFS mounts", "databricks_mount is an unknown type; DP-10 refuses mounts"),
    "GOV-12": _here("clusters with Unity Catalog", "databricks_job job_cluster.new_cluster.data_security_mode"),
    "GOV-15": _here("verbose audit logs", f"{_CONF}.enableVerboseAuditLogs"),
    "GOV-16": _here("metastore assignment", "databricks_metastore_assignment metastore_id"),
    "GOV-17": _here("life of sharing tokens", "databricks_metastore delta_sharing_scope is an unknown argument"),
    "GOV-18": _here("address lists of recipients", "databricks_recipient is an unknown type"),
    "GOV-19": _here("expiry of sharing tokens", "databricks_recipient is an unknown type"),
    "GOV-20": _here("a metastore exists", "databricks_metastore name"),
    "GOV-21": _here("metastore administrators are a group", "databricks_metastore owner"),
    "GOV-25": _here("init scripts in DBFS", "databricks_cluster_policy definition"),
    "GOV-28": _here("models are governed", "databricks_registered_model schema_name"),
    "GOV-34": _live("system tables", "the access schema is enabled once for the metastore, by a person who is account admin"),
    "GOV-35": _here("workspace admins are restricted", "databricks_restrict_workspace_admins_setting restrict_workspace_admins.status"),
    "GOV-36": _here("automatic updates of clusters", "databricks_automatic_cluster_update_workspace_setting automatic_cluster_update_workspace.enabled"),
    "GOV-37": _live("legacy features of new workspaces", "a setting of the account for workspaces that nobody has made yet"),
    "GOV-42": _here("jobs run as a service principal", "databricks_job run_as.service_principal_name"),
    "GOV-45": _here("no CAN_MANAGE on jobs", "databricks_permissions access_control.permission_level"),
    "IA-4": _live("tokens without an end", "tokens cannot be made, IA-8; those that exist are in the workspace"),
    "IA-5": _here("longest life of new tokens", f"{_CONF}.enableTokensConfig: there are none"),
    "IA-6": _live("tokens beyond the longest life", "tokens cannot be made, IA-8; those that exist are in the workspace"),
    "IA-8": _here("who may make tokens", f"{_CONF}.enableTokensConfig, and databricks_permissions authorization is an unknown argument"),
    "INFO-3": _here("global libraries", "databricks_library is an unknown type"),
    "INFO-5": _here("global init scripts", "databricks_global_init_script is an unknown type"),
    "INFO-6": _here("number of admins", "databricks_mws_permission_assignment permissions"),
    "INFO-8": _live("job access control", "always on in a premium workspace"),
    "INFO-9": _live("cluster access control", "always on in a premium workspace"),
    "INFO-10": _live("workspace access control", "always on in a premium workspace"),
    "INFO-11": _not("Git repositories in the workspace", "code comes as a wheel; databricks_repo is an unknown type"),
    "INFO-18": _here("who may share", "databricks_grant privileges"),
    "INFO-29": _not("external language models", "nothing here calls one; an external model is an unknown argument"),
    "INFO-38": _here("third-party libraries", "databricks_job task.library.whl, and databricks_artifact_allowlist is an unknown type"),
    "INFO-39": _not("compliance security profile", "for regulated data; it costs more, and a company decides"),
    "INFO-40": _here("enhanced security monitoring", "databricks_enhanced_security_monitoring_workspace_setting enhanced_security_monitoring_workspace.is_enabled"),
    "INFO-42": _not("allowed Git repositories", "code comes as a wheel; databricks_repo is an unknown type"),
    "NS-3": _here("private connectivity of people", "azurerm_databricks_workspace public_network_access_enabled"),
    "NS-4": _here("the customer's own network", "azurerm_databricks_workspace custom_parameters.virtual_network_id"),
    "NS-5": _here("address lists of the workspace", "databricks_ip_access_list ip_addresses"),
    "NS-6": _here("no public addresses of machines", "azurerm_databricks_workspace custom_parameters.no_public_ip"),
    "NS-7": _here("serving is not public", "azurerm_databricks_workspace public_network_access_enabled"),
    "NS-8": _live("address lists of the account console", "a setting of the account, made by a person who is account admin"),
    "NS-9": _here("network policies", "databricks_workspace_network_option network_policy_id"),
    "NS-11": _here("address lists are enforced", f"{_CONF}.enableIpAccessLists"),
    "NS-12": _live("context-based ingress", "no argument of the provider's locked version states it"),
    "NS-13": _live("address lists of the account console are enforced", "a setting of the account, as NS-8"),
    "NS-14": _live("egress is tried", "only compute can try; what it may reach is decided by NS-9 and networks-as-declared"),
}  # fmt: skip


def coverage_table() -> list[str]:
    """Return the lines of the coverage table: every row, and how many are decided where."""
    width = max(len(row.name) for row in ROWS.values())
    lines = [f"{key:8} {row.name:{width}}  {row.decided.value}: {row.by}" for key, row in ROWS.items()]
    counts = {decided: sum(row.decided is decided for row in ROWS.values()) for decided in Decided}
    summary = ", ".join(f"{count} {decided.value}" for decided, count in counts.items())
    return [*lines, f"{len(ROWS)} checks of the Security Analysis Tool for Azure: {summary}."]
