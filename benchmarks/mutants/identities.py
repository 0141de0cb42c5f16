"""Mutants of identities: who acts as whom, who administers the account, who signs in, who holds an Azure role.

Rules: learn.microsoft.com/azure/databricks/dev-tools/auth/oauth-federation-policy,
learn.microsoft.com/azure/role-based-access-control/built-in-roles, learn.microsoft.com/entra/workload-id.
"""

from benchmarks.mutants.operators import ACCOUNT, ANY, STRICT, adding, appending, custom, names, setting, without
from benchmarks.mutants.world import World, filled

_RUNNER = "${data.terraform_remote_state.account.outputs.runner_<lower>}"
_DEV_APPLICATION = "${azuread_application.runner_dev.id}"


def _output(world: World) -> None:
    """Let one environment's identity be another's."""
    outputs = world.content("account")["output"]
    environment = world.random.choice(STRICT)
    kind, attribute = world.random.choice((("runner", "application_id"), ("runner_id", "id")))
    outputs[f"{kind}_{environment}"]["value"] = f"${{databricks_service_principal.runner_dev.{attribute}}}"


def _group_output(world: World) -> None:
    outputs = world.content("account")["output"]
    environment = world.random.choice(STRICT)
    outputs[f"group_{environment}_platform_engineer"]["value"] = world.random.choice(
        ("${databricks_group.role_dev_ml_engineer.id}", "${databricks_group.entra_mrd_data_science.id}", "7")
    )


def _deployer(world: World) -> None:
    environment = world.random.choice(STRICT)
    world.content(f"{environment}-platform")["output"]["deployer"]["value"] = (
        "${data.terraform_remote_state.account.outputs.runner_dev}"
    )


def _account_deployer(world: World) -> None:
    data = world.content("account")["data"]["azuread_service_principal"]["deployer"]
    data["display_name"] = filled("app-mrd-<lower>", names(world, "prod-account"))


IDENTITIES = [
    custom("one identity for all environments", _output),
    custom("an output of a group is another group", _group_output),
    custom("the identity that applies a platform is dev's", _deployer),
    custom("the account is applied by an environment's identity", _account_deployer),
    setting("databricks_job", "run_as.service_principal_name", _RUNNER, "<uuid>"),
    custom("a job runs as a person", lambda world: world.pick("databricks_job", STRICT).arguments
           .update(run_as={"user_name": "ann@meridian-air.example"})),
    setting("databricks_alert_v2", "run_as.service_principal_name", _RUNNER, "<uuid>"),
    setting("databricks_catalog", "owner", _RUNNER, "grp-mrd-<env>-ml-engineer", "<uuid>"),
    setting("databricks_schema", "owner", _RUNNER, "grp-mrd-<env>-platform-engineer", "contractors"),
    setting("databricks_volume", "owner", _RUNNER, "grp-mrd-<env>-ml-engineer"),
    setting("databricks_registered_model", "owner", _RUNNER, "grp-mrd-<env>-data-scientist"),
    setting("databricks_external_location", "owner", _RUNNER, "mrd-data-platform"),
    setting("databricks_storage_credential", "owner", _RUNNER, "account users"),
    without("databricks_catalog", "owner"),
    without("databricks_storage_credential", "owner"),
    appending("azuread_application", "owners", "<uuid>", "${azuread_service_principal.runner_dev.object_id}", where=ACCOUNT),
    appending("azuread_service_principal", "owners", "<uuid>", where=ACCOUNT),
    setting("azuread_service_principal", "client_id", "${azuread_application.runner_dev.client_id}", "<uuid>", where=ACCOUNT,
            fits=lambda a: "runner_dev" not in a["client_id"]),
    setting("azuread_service_principal", "app_role_assignment_required", False, where=ACCOUNT),
    setting("databricks_service_principal", "application_id", "${azuread_application.runner_dev.client_id}", "<uuid>",
            where=ACCOUNT, fits=lambda a: "runner_dev" not in a["application_id"]),
    setting("databricks_service_principal", "allow_cluster_create", True, where=ACCOUNT),
    adding("databricks_service_principal_secret", "account",
           {"service_principal_id": "${databricks_service_principal.runner_prod.id}"}),
    adding("azuread_application_password", "account", {"application_id": "${azuread_application.runner_prod.id}"}),
    adding("azuread_service_principal_password", "account",
           {"service_principal_id": "${azuread_service_principal.runner_prod.id}"}),
    adding("azuread_application_certificate", "account", {"application_id": "${azuread_application.runner_prod.id}",
           "type": "AsymmetricX509Cert", "value": "x"}),
    adding("databricks_token", "workspace", {"comment": "for a script", "lifetime_seconds": 31536000}),
    adding("databricks_obo_token", "workspace", {"application_id": "<uuid>", "comment": "x"}),
    adding("azuread_app_role_assignment", "account", {"app_role_id": "<uuid>", "principal_object_id": "<uuid>",
           "resource_object_id": "<uuid>"}),
    setting("azuread_application", "required_resource_access", {"resource_app_id": "<uuid>",
            "resource_access": [{"id": "<uuid>", "type": "Role"}]}, where=ACCOUNT),
    adding("databricks_service_principal", "account", {"application_id": "<uuid>", "display_name": "helper"}),
    setting("databricks_dashboard", "embed_credentials", True),
]  # fmt: skip

METASTORE_AND_ACCOUNT = [
    setting("databricks_metastore", "owner", "mrd-data-science", "grp-mrd-dev-ml-engineer",
            "${databricks_service_principal.runner_dev.application_id}", "${databricks_group.entra_mrd_data_science.display_name}",
            where=ACCOUNT),
    setting("databricks_metastore", "delta_sharing_scope", "INTERNAL_AND_EXTERNAL", where=ACCOUNT),
    setting("databricks_metastore", "delta_sharing_recipient_token_lifetime_in_seconds", 0, where=ACCOUNT),
    setting("databricks_metastore", "storage_root", "abfss://root@other.dfs.core.windows.net/", where=ACCOUNT),
    setting("databricks_metastore", "force_destroy", True, where=ACCOUNT),
    without("databricks_metastore", "owner", where=ACCOUNT),
    appending("databricks_grant", "privileges", "CREATE_SHARE", "CREATE_RECIPIENT", "CREATE_CONNECTION", "SET_SHARE_PERMISSION",
              "MANAGE_ALLOWLIST", "CREATE_PROVIDER", "MANAGE", "CREATE_SERVICE_CREDENTIAL", where=ANY),
    adding("databricks_grant", "account", {"metastore": "${data.terraform_remote_state.account.outputs.metastore_id}",
           "principal": "grp-mrd-<env>-ml-engineer", "privileges": ["CREATE_CATALOG"]},
           {"metastore": "${data.terraform_remote_state.account.outputs.metastore_id}",
           "principal": "${data.terraform_remote_state.account.outputs.runner_<lower>}", "privileges": ["MANAGE_ALLOWLIST"]}),
    adding("databricks_grants", "workspace", {"metastore": "<uuid>", "grant": [{"principal": "grp-mrd-<env>-ml-engineer",
           "privileges": ["CREATE_CATALOG"]}]}),
    adding("databricks_service_principal_role", "account",
           {"service_principal_id": "${databricks_service_principal.runner_dev.id}", "role": "account_admin"},
           {"service_principal_id": "${databricks_service_principal.runner_prod.id}", "role": "account_admin"}),
    adding("databricks_group_role", "account", {"group_id": "${databricks_group.entra_mrd_data_science.id}", "role": "account_admin"}),
    adding("databricks_user_role", "account", {"user_id": "<number>", "role": "account_admin"}),
    adding("databricks_access_control_rule_set", "account",
           {"name": "accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/servicePrincipals/x/ruleSets/default",
            "grant_rules": [{"principals": ["groups/contractors"], "role": "roles/servicePrincipal.user"}]},
           {"name": "accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/ruleSets/default",
            "grant_rules": [{"principals": ["groups/mrd-data-science"], "role": "roles/marketplace.admin"}]}),
    adding("databricks_metastore_data_access", "account", {"metastore_id": "${databricks_metastore.metastore.id}", "name": "x",
           "is_default": True}),
    setting("databricks_metastore_assignment", "metastore_id", "<uuid>"),
    setting("databricks_metastore_assignment", "workspace_id", "${data.terraform_remote_state.<lower>_platform.outputs.workspace_id}"),
    adding("databricks_mws_permission_assignment", "account",
           {"workspace_id": "${data.terraform_remote_state.<env>_platform.outputs.workspace_id}", "permissions": ["ADMIN"],
            "principal_id": "${data.terraform_remote_state.account.outputs.runner_id_<lower>}"},
           {"workspace_id": "${data.terraform_remote_state.<env>_platform.outputs.workspace_id}", "permissions": ["ADMIN"],
            "principal_id": "${data.terraform_remote_state.account.outputs.group_<env>_ml_engineer}"}),
    setting("databricks_mws_permission_assignment", "permissions", ["ADMIN"], fits=lambda a: "USER" in a["permissions"]),
    adding("databricks_artifact_allowlist", "workspace", {"artifact_type": "INIT_SCRIPT",
           "artifact_matcher": [{"artifact": "/Volumes", "match_type": "PREFIX_MATCH"}]}),
    adding("databricks_mws_workspaces", "account", {"account_id": "<uuid>", "workspace_name": "shadow"}),
]  # fmt: skip

_LAKE, _GROUP = "${azurerm_storage_account.lake.id}", "${azurerm_resource_group.group.id}"
_CONNECTOR = "${azurerm_databricks_access_connector.connector.identity[0].principal_id}"
AZURE_ROLES = [
    setting("azurerm_role_assignment", "role_definition_name", "Owner", "Contributor", "User Access Administrator",
            "Storage Blob Data Owner", "Storage Account Contributor", "Key Vault Administrator", "Key Vault Crypto Officer",
            "Reader and Data Access", "Storage Account Key Operator Service Role", "Role Based Access Control Administrator",
            where=ANY),
    setting("azurerm_role_assignment", "scope", _GROUP, "/subscriptions/7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5",
            "/providers/Microsoft.Management/managementGroups/root", where=ANY),
    setting("azurerm_role_assignment", "principal_id", "<uuid>", "0b6f3c1e-8a55-4d0e-9d0c-1f4f5a7b8c01",
            "${data.azuread_service_principal.databricks.object_id}",
            fits=lambda a: "Blob" in a["role_definition_name"]),
    setting("azurerm_role_assignment", "principal_type", "User", "Group"),
    setting("azurerm_role_assignment", "role_definition_id", "/providers/Microsoft.Authorization/roleDefinitions/<uuid>"),
    without("azurerm_role_assignment", "principal_type"),
    adding("azurerm_role_assignment", "platform",
           {"scope": _LAKE, "role_definition_name": "Storage Blob Data Reader", "principal_id": "<uuid>", "principal_type": "User"},
           {"scope": _LAKE, "role_definition_name": "Storage Blob Data Contributor", "principal_id": "<uuid>",
            "principal_type": "ServicePrincipal"},
           {"scope": _GROUP, "role_definition_name": "Storage Blob Data Contributor", "principal_id": _CONNECTOR,
            "principal_type": "ServicePrincipal"},
           {"scope": "${data.terraform_remote_state.<other>_platform.outputs.lake_id}", "principal_id": _CONNECTOR,
            "role_definition_name": "Storage Blob Data Contributor", "principal_type": "ServicePrincipal"},
           {"scope": "${azurerm_key_vault.vault.id}", "role_definition_name": "Key Vault Secrets User",
            "principal_id": "2d8b5e30-ac77-4f20-9f2e-3b6c7c9dae03", "principal_type": "Group"},
           {"scope": "/subscriptions/7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5/resourceGroups/rg-mrd-prod/providers/"
            "Microsoft.Storage/storageAccounts/stmrdprodlake", "role_definition_name": "Storage Blob Data Reader",
            "principal_id": _CONNECTOR, "principal_type": "ServicePrincipal"}, where=ANY),
    adding("azurerm_role_definition", "platform", {"name": "all", "scope": _GROUP, "permissions": [{"actions": ["*"]}]}),
    adding("azurerm_pim_eligible_role_assignment", "platform", {"scope": _GROUP, "principal_id": "<uuid>",
           "role_definition_id": "<uuid>"}),
    adding("azurerm_user_assigned_identity", "platform", {"name": "x", "location": "westeurope"}),
    adding("azurerm_federated_identity_credential", "platform", {"name": "x", "issuer": "https://token.actions.githubusercontent.com",
           "subject": "repo:someone/else:ref:refs/heads/main", "audience": ["api://AzureADTokenExchange"], "parent_id": "x"}),
    setting("azurerm_databricks_access_connector", "identity", {"type": "UserAssigned", "identity_ids": ["<uuid>"]}),
]  # fmt: skip

_POLICY, _CREDENTIAL = (
    "databricks_service_principal_federation_policy",
    "azuread_application_federated_identity_credential",
)
_SUBJECTS = ("sc://meridian-air/lakehouse/lakehouse-dev", "*", "sc://meridian-air/*", "sc://someone/else/connection",
             "repo:meridian-air/lakehouse:ref:refs/heads/main", "sc://meridian-air/lakehouse/lakehouse-test")  # fmt: skip
_ISSUERS = (
    "https://token.actions.githubusercontent.com",
    "https://vstoken.dev.azure.com/<uuid>",
    "https://login.evil.example",
)


def _other(arguments: dict[str, object]) -> bool:
    return "lakehouse-dev" not in str(arguments)


FEDERATION = [
    setting(_POLICY, "oidc_policy.subject", *_SUBJECTS, where=ACCOUNT, fits=_other),
    setting(_POLICY, "oidc_policy.issuer", *_ISSUERS, where=ACCOUNT),
    setting(_POLICY, "oidc_policy.audiences", ["*"], ["<uuid>"], ["https://github.com/someone"], where=ACCOUNT),
    setting(_POLICY, "oidc_policy.subject_claim", "email", "oid", where=ACCOUNT),
    setting(_POLICY, "oidc_policy.jwks_uri", "https://keys.evil.example/jwks", where=ACCOUNT),
    without(_POLICY, "oidc_policy.subject", where=ACCOUNT),
    without(_POLICY, "oidc_policy.audiences", where=ACCOUNT),
    setting(_POLICY, "service_principal_id", "${databricks_service_principal.runner_prod.id}", where=ACCOUNT,
            fits=lambda a: "runner_prod" not in a["service_principal_id"]),
    setting(_CREDENTIAL, "subject", *_SUBJECTS, where=ACCOUNT, fits=_other),
    setting(_CREDENTIAL, "issuer", *_ISSUERS, where=ACCOUNT),
    setting(_CREDENTIAL, "audiences", ["api://other"], where=ACCOUNT),
    setting(_CREDENTIAL, "application_id", "${azuread_application.runner_prod.id}", where=ACCOUNT,
            fits=lambda a: "runner_prod" not in a["application_id"]),
    adding(_CREDENTIAL, "account", {"application_id": "${azuread_application.runner_prod.id}", "display_name": "x",
           "audiences": ["api://AzureADTokenExchange"], "issuer": "https://vstoken.dev.azure.com/9f1e2d3c-4b5a-4697-8877-665544332211",
           "subject": "sc://meridian-air/lakehouse/lakehouse-dev"}),
    adding(_POLICY, "account", {"service_principal_id": "${databricks_service_principal.runner_staging.id}", "policy_id": "x",
           "oidc_policy": {"issuer": "https://token.actions.githubusercontent.com", "audiences": ["x"], "subject": "repo:a/b"}}),
    adding("databricks_account_federation_policy", "account", {"policy_id": "x", "oidc_policy": {
           "issuer": "https://login.evil.example", "audiences": ["x"], "subject_claim": "sub"}}),
    adding("azuread_application_flexible_federated_identity_credential", "account",
           {"application_id": _DEV_APPLICATION, "claims_matching_expression": "claims['sub'] matches '*'"}),
]  # fmt: skip
