"""Mutants of what holds data and keys: bindings of securables, storage, secrets and keys.

Rules: learn.microsoft.com/azure/databricks/catalogs/binding, learn.microsoft.com/azure/storage/common/storage-network-security,
learn.microsoft.com/azure/key-vault/general/security-features.
"""

import base64

from benchmarks.mutants.operators import ANY, STRICT, adding, appending, custom, dropping, setting, without
from benchmarks.mutants.world import World

_WORKSPACE = "${data.terraform_remote_state.<other>_platform.outputs.workspace_id}"
_OPEN = ("databricks_catalog", "databricks_storage_credential", "databricks_external_location")

BINDINGS = [
    *(setting(kind, "isolation_mode", "OPEN", "ISOLATION_MODE_OPEN", where=ANY) for kind in _OPEN),
    *(without(kind, "isolation_mode", where=ANY) for kind in _OPEN),
    setting("databricks_workspace_binding", "binding_type", "BINDING_TYPE_READ_WRITE", where=ANY),
    without("databricks_workspace_binding", "binding_type", where=ANY),
    setting("databricks_workspace_binding", "securable_type", "external_location", "storage_credential", "credential"),
    setting("databricks_workspace_binding", "workspace_id", "984752964297111", where=ANY),
    adding("databricks_workspace_binding", "workspace",
           {"securable_name": "${databricks_catalog.catalog.name}", "securable_type": "catalog",
            "binding_type": "BINDING_TYPE_READ_ONLY",
            "workspace_id": "${data.terraform_remote_state.staging_platform.outputs.workspace_id}"},
           {"securable_name": "${databricks_catalog.catalog.name}", "securable_type": "catalog",
            "binding_type": "BINDING_TYPE_READ_WRITE",
            "workspace_id": "${data.terraform_remote_state.dev_platform.outputs.workspace_id}"},
           {"securable_name": "${databricks_external_location.lake.name}", "securable_type": "external_location",
            "binding_type": "BINDING_TYPE_READ_ONLY",
            "workspace_id": "${data.terraform_remote_state.dev_platform.outputs.workspace_id}"},
           {"securable_name": "${databricks_storage_credential.lake.name}", "securable_type": "storage_credential",
            "binding_type": "BINDING_TYPE_READ_WRITE",
            "workspace_id": "${data.terraform_remote_state.dev_platform.outputs.workspace_id}"}, where=("prod",)),
    adding("databricks_catalog_workspace_binding", "workspace", {"securable_name": "prod", "workspace_id": 984752964297111,
           "binding_type": "BINDING_TYPE_READ_ONLY"}, {"catalog_name": "prod", "workspace_id": "<number>"}),
    adding("databricks_catalog", "workspace", {"name": "shared", "isolation_mode": "OPEN"}, {"name": "<lower>"}),
]  # fmt: skip

_A = "azurerm_storage_account"
STORAGE = [
    setting(_A, "shared_access_key_enabled", True, where=ANY),
    setting(_A, "public_network_access_enabled", True, where=ANY),
    setting(_A, "allow_nested_items_to_be_public", True, where=ANY),
    setting(_A, "https_traffic_only_enabled", False, where=ANY),
    setting(_A, "min_tls_version", "TLS1_0", "TLS1_1", where=ANY),
    setting(_A, "cross_tenant_replication_enabled", True),
    setting(_A, "local_user_enabled", True),
    setting(_A, "sftp_enabled", True),
    setting(_A, "nfsv3_enabled", True),
    setting(_A, "infrastructure_encryption_enabled", False),
    setting(_A, "is_hns_enabled", False),
    setting(_A, "default_to_oauth_authentication", False),
    setting(_A, "account_replication_type", "LRS"),
    setting(_A, "network_rules.default_action", "Allow", where=ANY),
    setting(_A, "network_rules.bypass", ["AzureServices", "Logging", "Metrics"]),
    setting(_A, "network_rules.ip_rules", ["203.0.113.0/24"], ["20.0.0.0/8"]),
    setting(_A, "network_rules.virtual_network_subnet_ids", ["${azurerm_subnet.agents.id}"],
            ["/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Network/virtualNetworks/x/subnets/x"]),
    setting(_A, "network_rules.private_link_access",
            [{"endpoint_resource_id": "${data.terraform_remote_state.<other>_platform.outputs.connector_id}"}],
            [{"endpoint_resource_id": "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Synapse/workspaces/x"}],
            [{"endpoint_resource_id": "${azurerm_databricks_access_connector.connector.id}", "endpoint_tenant_id": "<uuid>"}]),
    setting(_A, "blob_properties.delete_retention_policy.days", 1),
    without(_A, "blob_properties.delete_retention_policy"),
    without(_A, "blob_properties"),
    without(_A, "network_rules"),
    setting(_A, "blob_properties.cors_rule", {"allowed_origins": ["*"], "allowed_methods": ["GET"], "allowed_headers": ["*"],
            "exposed_headers": ["*"], "max_age_in_seconds": 3600}),
    setting(_A, "allowed_copy_scope", "AAD"),
    setting(_A, "location", "eastus"),
    setting(_A, "static_website", {"index_document": "index.html"}),
    setting("azurerm_storage_container", "container_access_type", "blob", "container", where=ANY),
    adding(_A, "platform", {"name": "stmrdextra", "location": "westeurope", "account_tier": "Standard",
           "account_replication_type": "LRS", "resource_group_name": "${azurerm_resource_group.group.name}"}),
    adding("azurerm_storage_container", "platform", {"name": "open", "container_access_type": "blob",
           "storage_account_id": "${azurerm_storage_account.lake.id}"}),
    adding("azurerm_storage_account_network_rules", "platform", {"storage_account_id": "${azurerm_storage_account.lake.id}",
           "default_action": "Allow"}),
    adding("azurerm_storage_management_policy", "platform", {"storage_account_id": "${azurerm_storage_account.lake.id}",
           "rule": [{"name": "all", "enabled": True, "filters": {"blob_types": ["blockBlob"]},
                     "actions": {"base_blob": {"delete_after_days_since_modification_greater_than": 1}}}]}),
    adding("azurerm_storage_account_local_user", "platform", {"name": "x", "storage_account_id": "${azurerm_storage_account.lake.id}"}),
    adding("azurerm_storage_object_replication", "platform", {"source_storage_account_id": "${azurerm_storage_account.lake.id}",
           "destination_storage_account_id": "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/x"}),
    dropping("azurerm_storage_account_customer_managed_key"),
    without("azurerm_storage_container", "lifecycle"),
    without(_A, "lifecycle"),
    setting("databricks_external_location", "url", "${data.terraform_remote_state.<other>_platform.outputs.lake_url}",
            "abfss://catalog@stmrdprodlake.dfs.core.windows.net/", "abfss://x@elsewhere.dfs.core.windows.net/", where=("staging",)),
    setting("databricks_external_location", "fallback", True),
    setting("databricks_storage_credential", "azure_managed_identity.access_connector_id",
            "${data.terraform_remote_state.<other>_platform.outputs.connector_id}",
            "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Databricks/accessConnectors/x"),
    setting("databricks_storage_credential", "skip_validation", True),
    setting("databricks_catalog", "storage_root", "abfss://catalog@stmrd<other>lake.dfs.core.windows.net/<env>",
            "abfss://x@elsewhere.dfs.core.windows.net/"),
    setting("databricks_catalog", "force_destroy", True),
    setting("databricks_schema", "force_destroy", True),
    setting("databricks_schema", "storage_root", "abfss://x@elsewhere.dfs.core.windows.net/"),
    setting("databricks_volume", "volume_type", "EXTERNAL"),
    adding("databricks_external_location", "workspace", {"name": "extra", "url": "abfss://x@elsewhere.dfs.core.windows.net/",
           "credential_name": "${databricks_storage_credential.lake.name}"}),
    adding("databricks_mount", "workspace", {"name": "lake", "uri": "abfss://catalog@stmrdprodlake.dfs.core.windows.net/"}),
]  # fmt: skip

_TOKEN = "dapi<hex>"  # noqa: S105 -- the form of a token, not one
_V = "azurerm_key_vault"


def _in_notebook(world: World) -> None:
    token = f"{world.random.getrandbits(128):032x}"
    line = world.random.choice((f"TOKEN = 'dapi{token}'", f"aws_secret_access_key = '{token}{token[:8]}'",
                                f"password = 'pw-{token[:14]}'"))  # fmt: skip
    notebook = world.pick("databricks_notebook", ANY).arguments
    text = base64.b64decode(notebook["content_base64"]).decode() + f"\n{line}\n"
    notebook["content_base64"] = base64.b64encode(text.encode()).decode()


def _in_parameter(world: World) -> None:
    job = world.pick("databricks_job", ANY, lambda a: any("python_wheel_task" in task for task in a["task"])).arguments
    task = next(task for task in job["task"] if "python_wheel_task" in task)
    key = f"{world.random.getrandbits(128):032x}"
    secret = world.random.choice((f"jdbc:sqlserver://h;user=sa;password=S3cr{key[:10]}",
                                  f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={key}{key}{key[:22]}==",
                                  f"https://x.blob.core.windows.net/c?sv=2024&sig={key}%3D"))  # fmt: skip
    task["python_wheel_task"]["parameters"] = [*task["python_wheel_task"].get("parameters", []), secret]


def _in_backend(world: World) -> None:
    stack = world.random.choice(("account", "prod-platform", "staging-workspace"))
    world.content(stack)["terraform"]["backend"] = {
        "azurerm": {"storage_account_name": "x", "container_name": "y", "key": "z",
                    "access_key": f"{world.random.getrandbits(300):075x}=="}
    }  # fmt: skip


def _in_template(world: World) -> None:
    target = world.pick("azurerm_resource_group_template_deployment", STRICT).arguments
    old, new = world.random.choice((('"keySize": 3072', '"keySize": 2048'), ('"RSA-HSM"', '"RSA"'), ('"rotate"', '"notify"'),
                                    ('["wrapKey", "unwrapKey"]', '["wrapKey", "unwrapKey", "decrypt", "sign"]')))  # fmt: skip
    target["template_content"] = target["template_content"].replace(old, new)


_CONF = "job_cluster.new_cluster.spark_conf"
SECRETS_AND_KEYS = [
    custom("a token in a notebook", _in_notebook),
    custom("a secret in a parameter of a task", _in_parameter),
    custom("a key in a backend", _in_backend),
    custom("a weaker key", _in_template),
    setting("databricks_job", "job_cluster.new_cluster.spark_env_vars",
            {"DB_PASSWORD": "hunter2-<number>"}, {"AWS_SECRET_ACCESS_KEY": "<hex>AbCdEfGh"}, {"API_TOKEN": _TOKEN}, where=ANY),
    setting("databricks_job", _CONF, {"fs.azure.account.key.x.dfs.core.windows.net": "<hex><hex>=="},
            {"spark.hadoop.fs.azure.account.oauth2.client.secret": "abc8Q~<hex>12"}, where=ANY),
    setting("databricks_job", "parameter", [{"name": "password", "default": "pw<number>Q!x"}], where=ANY),
    setting("databricks_model_serving", "config", {"served_entities": [{"environment_vars": {"OPENAI_API_KEY": "sk-<hex>"}}]}),
    adding("databricks_secret", "workspace", {"scope": "${databricks_secret_scope.revenue.name}", "key": "k", "string_value": "v<number>"}),
    adding("databricks_secret_acl", "workspace", {"scope": "${databricks_secret_scope.revenue.name}", "permission": "READ",
           "principal": "grp-mrd-<env>-ml-engineer"}, {"scope": "${databricks_secret_scope.loyalty.name}", "permission": "WRITE",
           "principal": "grp-mrd-team-operations"}),
    setting("databricks_secret_acl", "principal", "grp-mrd-team-operations", "grp-mrd-<env>-ml-engineer"),
    setting("databricks_secret_scope", "initial_manage_principal", "users", where=ANY),
    setting("databricks_secret_scope", "keyvault_metadata", {"dns_name": "https://kv-mrd-<other>.vault.azure.net/",
            "resource_id": "${data.terraform_remote_state.<other>_platform.outputs.vault_id}"}),
    setting(_V, "purge_protection_enabled", False, where=ANY),
    setting(_V, "public_network_access_enabled", True, where=ANY),
    setting(_V, "rbac_authorization_enabled", False, where=ANY),
    setting(_V, "network_acls.default_action", "Allow", where=ANY),
    setting(_V, "network_acls.ip_rules", ["203.0.113.0/24"]),
    setting(_V, "soft_delete_retention_days", 7, where=("prod",)),
    setting(_V, "sku_name", "standard"),
    setting(_V, "enabled_for_deployment", True),
    setting(_V, "enabled_for_template_deployment", True),
    setting(_V, "enabled_for_disk_encryption", True),
    setting(_V, "tenant_id", "<uuid>"),
    setting(_V, "access_policy", [{"tenant_id": "<uuid>", "object_id": "<uuid>", "key_permissions": ["Get"]}]),
    adding("azurerm_key_vault_access_policy", "platform", {"key_vault_id": "${azurerm_key_vault.vault.id}", "object_id": "<uuid>",
           "key_permissions": ["Get", "UnwrapKey"]}),
    adding("azurerm_key_vault_secret", "platform", {"name": "x", "value": "pw<number>", "key_vault_id": "${azurerm_key_vault.vault.id}"}),
    setting("azurerm_storage_account_customer_managed_key", "key_vault_id",
            "${data.terraform_remote_state.<other>_platform.outputs.vault_id}"),
    setting("azurerm_databricks_workspace", "managed_services_cmk_key_vault_key_id",
            "https://kv-other.vault.azure.net/keys/k/<hex>"),
    setting("azurerm_databricks_workspace", "customer_managed_key_enabled", False),
    without("azurerm_databricks_workspace", "managed_services_cmk_key_vault_key_id"),
    without("azurerm_databricks_workspace", "managed_disk_cmk_key_vault_key_id"),
    setting("azurerm_databricks_workspace", "managed_disk_cmk_rotation_to_latest_version_enabled", False),
    setting("azurerm_databricks_workspace", "infrastructure_encryption_enabled", False),
    dropping("azurerm_databricks_workspace_root_dbfs_customer_managed_key"),
    without(_V, "network_acls"),
    appending("azurerm_resource_group_template_deployment", "parameters_content", "{\"password\": {\"value\": \"pw<number>\"}}"),
]  # fmt: skip
