"""Mutants of rights: who gets a grant, a permission, a membership, an Azure role.

Words of the services: learn.microsoft.com/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges and
learn.microsoft.com/azure/databricks/security/auth/access-control.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.mutants.operators import ACCOUNT, ANY, STRICT, Operator, adding, appending, custom, names, setting
from benchmarks.mutants.world import Content, World, filled

FOREIGN = (
    "grp-mrd-<lower>-ml-engineer",
    "grp-mrd-<lower>-platform-engineer",
    "grp-mrd-<other>-ml-engineer",
    "${data.terraform_remote_state.account.outputs.runner_<lower>}",
    "${data.terraform_remote_state.account.outputs.runner_<other>}",
)
WITHOUT_WORD = (
    "contractors",
    "<uuid>",
    "data-team",
    "mrd-customer-loyalty",
    "mrd-ml-engineering",
    "analysts",
    "auditors",
)
EVERYBODY = ("account users", "users", "all account users", "All workspace users", "admins")
OWN = ("grp-mrd-<env>-ml-engineer", "grp-mrd-<env>-platform-engineer", "grp-mrd-<env>-data-scientist")
READS = {
    "catalog": ["SELECT", "USE_SCHEMA", "EXECUTE", "READ_VOLUME"],
    "schema": ["SELECT", "EXECUTE", "READ_VOLUME", "CREATE_TABLE", "MODIFY"],
    "volume": ["READ_VOLUME", "WRITE_VOLUME"],
    "model": ["EXECUTE", "APPLY_TAG"],
    "external_location": ["READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE", "BROWSE"],
    "storage_credential": ["READ_FILES", "CREATE_EXTERNAL_LOCATION", "CREATE_EXTERNAL_TABLE"],
}
DANGEROUS = {
    "catalog": ["MANAGE", "ALL_PRIVILEGES", "MODIFY", "CREATE_SCHEMA", "EXTERNAL_USE_SCHEMA", "SELECT", "CREATE_MODEL"],
    "schema": [
        "MANAGE",
        "ALL_PRIVILEGES",
        "MODIFY",
        "EXTERNAL_USE_SCHEMA",
        "CREATE_FUNCTION",
        "CREATE_MODEL",
        "REFRESH",
    ],
    "volume": ["WRITE_VOLUME", "MANAGE", "ALL_PRIVILEGES", "APPLY_TAG"],
    "model": ["MANAGE", "ALL_PRIVILEGES", "APPLY_TAG", "CREATE_MODEL_VERSION"],
    "external_location": ["WRITE_FILES", "EXTERNAL_USE_LOCATION", "CREATE_EXTERNAL_TABLE", "ALL_PRIVILEGES", "MANAGE"],
    "storage_credential": ["CREATE_EXTERNAL_TABLE", "WRITE_FILES", "MANAGE", "ALL_PRIVILEGES"],
}
LEVELS = {
    "job_id": ["CAN_MANAGE", "IS_OWNER", "CAN_MANAGE_RUN"],
    "experiment_id": ["CAN_MANAGE", "CAN_EDIT"],
    "sql_endpoint_id": ["CAN_MANAGE", "IS_OWNER", "CAN_MONITOR"],
    "directory_path": ["CAN_MANAGE", "CAN_EDIT"],
    "serving_endpoint_id": ["CAN_MANAGE"],
    "dashboard_id": ["CAN_MANAGE", "CAN_EDIT"],
    "alert_v2_id": ["CAN_MANAGE", "CAN_EDIT", "CAN_RUN"],
    "cluster_policy_id": ["CAN_USE"],
    "instance_pool_id": ["CAN_MANAGE", "CAN_ATTACH_TO"],
}
"""By kind of object, levels above what people hold in staging and prod."""


def granting(principals: Sequence[str], privileges: dict[str, list[str]], where: tuple[str, ...] = STRICT) -> Operator:
    """Grant something more on any securable, in a block of its own or to the block of the first principal."""

    def change(world: World) -> None:
        kind = world.random.choice(sorted(privileges))
        target = world.pick("databricks_grants", where, lambda arguments: kind in arguments)
        words = world.random.sample(privileges[kind], min(len(privileges[kind]), world.random.randint(1, 2)))
        who = filled(world.random.choice(principals), names(world, target.stack))
        target.arguments["grant"].append({"principal": who, "privileges": words})

    return custom(f"grant to {principals[0]}", change)


def replacing(principals: Sequence[str], where: tuple[str, ...] = STRICT) -> Operator:
    """Give what a principal holds to another one."""

    def change(world: World) -> None:
        target = world.pick("databricks_grants", where)
        grant = world.random.choice(target.arguments["grant"])
        grant["principal"] = filled(world.random.choice(principals), names(world, target.stack))

    return custom(f"grant moved to {principals[0]}", change)


def permitting(principals: Sequence[str], *, service: bool = False, where: tuple[str, ...] = STRICT) -> Operator:
    """Give a level on any object."""

    def change(world: World) -> None:
        kind = world.random.choice(sorted(LEVELS))
        target = world.pick("databricks_permissions", where, lambda arguments: kind in arguments)
        who = filled(world.random.choice(principals), names(world, target.stack))
        control: Content = {"permission_level": world.random.choice(LEVELS[kind])}
        by = (
            "service_principal_name"
            if service or who.startswith("$") or (who.count("-") == 4 and len(who) == 36)
            else "group_name"
        )
        target.arguments["access_control"].append({by: who, **control})

    return custom(f"permission to {principals[0]}", change)


def _additive(principals: Sequence[str], *choices: Content) -> Operator:
    return adding(
        "databricks_grant",
        "workspace",
        *({**choice, "principal": who} for choice in choices for who in principals),
    )


def _acl(principals: Sequence[str], *levels: str) -> Operator:
    scope = "${databricks_secret_scope.revenue.name}"
    rows: list[Any] = [
        {"scope": scope, "principal": who, "permission": level} for who in principals for level in levels
    ]
    return adding("databricks_secret_acl", "workspace", *rows)


def _member(*pairs: tuple[str, str]) -> Operator:
    rows: list[Any] = [
        {"group_id": f"${{databricks_group.{group}.id}}", "member_id": member} for group, member in pairs
    ]
    return adding("databricks_group_member", "account", *rows)


FOREIGN_PRINCIPAL = [
    granting(FOREIGN, READS),
    granting(FOREIGN, DANGEROUS),
    replacing(FOREIGN),
    permitting(FOREIGN),
    _additive(FOREIGN, {"catalog": "<env>", "privileges": ["USE_CATALOG", "SELECT"]}),
    _additive(FOREIGN, {"schema": "<env>.air_time_bronze", "privileges": ["SELECT"]}),
    _acl(FOREIGN, "READ", "MANAGE"),
    setting("databricks_mws_permission_assignment", "principal_id",
            "${data.terraform_remote_state.account.outputs.group_<lower>_platform_engineer}",
            "${data.terraform_remote_state.account.outputs.runner_id_<lower>}",
            fits=lambda a: "ADMIN" in a["permissions"]),
    setting("databricks_grant", "principal", "${data.terraform_remote_state.account.outputs.runner_<other>}"),
    # Dev may read what explains prod's predictions, and nothing else of prod.
    custom("dev reads prod's bronze", lambda world: world.pick(
        "databricks_grants", ("prod",), lambda a: "bronze" in str(a.get("schema")))
        .arguments["grant"].append({"principal": "grp-mrd-dev-data-scientist", "privileges": ["USE_SCHEMA", "SELECT"]})),
    custom("dev loads prod's models", lambda world: world.pick(
        "databricks_grants", ("prod",), lambda a: "model" in a or "catalog" in a)
        .arguments["grant"].append({"principal": "grp-mrd-dev-data-scientist", "privileges": ["EXECUTE"]})),
    custom("prod executes all of staging", lambda world: world.pick(
        "databricks_grants", ("staging",), lambda a: "catalog" in a)
        .arguments["grant"].append({"principal": "${data.terraform_remote_state.account.outputs.runner_prod}", "privileges": ["EXECUTE"]})),
]  # fmt: skip

WITHOUT_ENVIRONMENT = [
    granting(WITHOUT_WORD, READS),
    granting(WITHOUT_WORD, DANGEROUS),
    permitting(WITHOUT_WORD),
    replacing(WITHOUT_WORD),
    _acl(WITHOUT_WORD, "READ", "WRITE", "MANAGE"),
    granting(("grp-mrd-team-operations", "grp-mrd-team-loyalty"), READS, where=("prod",)),
    permitting(("grp-mrd-team-operations",), where=("prod",)),
    _additive(WITHOUT_WORD, {"catalog": "<env>", "privileges": ["USE_CATALOG"]}),
    setting("databricks_mws_permission_assignment", "principal_id", "<number>"),
    adding("databricks_mws_permission_assignment", "account",
           {"workspace_id": "${data.terraform_remote_state.<env>_platform.outputs.workspace_id}", "principal_id": "<number>",
            "permissions": ["USER"]}),
    adding("databricks_permission_assignment", "workspace", {"principal_id": "<number>", "permissions": ["ADMIN"]},
           {"group_name": "contractors", "permissions": ["USER"]}),
]  # fmt: skip

EVERYBODYS = [
    granting(EVERYBODY, READS, where=ANY),
    granting(EVERYBODY, DANGEROUS, where=ANY),
    permitting(EVERYBODY, where=ANY),
    replacing(EVERYBODY),
    _acl(EVERYBODY, "READ"),
    _additive(EVERYBODY, {"catalog": "<env>", "privileges": ["BROWSE"]}),
    setting("databricks_catalog", "owner", "account users", where=ANY),
    setting("databricks_metastore", "owner", "account users", where=ACCOUNT),
    adding("databricks_grant", "account", {"metastore": "${data.terraform_remote_state.account.outputs.metastore_id}",
           "principal": "account users", "privileges": ["CREATE_CATALOG"]}, where=ANY),
    adding("databricks_sql_permissions", "workspace",
           {"any_file": True, "privilege_assignments": [{"principal": "users", "privileges": ["SELECT"]}]}),
    adding("databricks_entitlements", "workspace", {"group_id": "<number>", "allow_cluster_create": True}),
]  # fmt: skip

DANGEROUS_PRIVILEGE = [
    granting(OWN[:2], DANGEROUS),
    granting(OWN, {kind: ["MANAGE", "ALL_PRIVILEGES"] for kind in DANGEROUS}),
    granting(("grp-mrd-prod-ml-engineer",), {"catalog": ["SELECT", "READ_VOLUME"], "volume": ["READ_VOLUME"]}, ("prod",)),
    granting(("grp-mrd-dev-ml-engineer", "grp-mrd-team-revenue"),
             {"catalog": ["MANAGE", "ALL_PRIVILEGES", "EXTERNAL_USE_SCHEMA", "CREATE_SCHEMA"]}, ("dev",)),
    custom("operate writes releases", lambda world: world.pick(
        "databricks_grants", STRICT, lambda a: "releases" in str(a.get("volume")))
        .arguments["grant"].append({"principal": "grp-mrd-prod-ml-engineer", "privileges": ["READ_VOLUME", "WRITE_VOLUME"]})),
    custom("operate reads bronze", lambda world: world.pick(
        "databricks_grants", ("prod",), lambda a: "bronze" in str(a.get("schema")) or "features" in str(a.get("schema")))
        .arguments["grant"].append({"principal": "grp-mrd-prod-ml-engineer", "privileges": ["USE_SCHEMA", "SELECT"]})),
    appending("databricks_grants", "grant", {"principal": "grp-mrd-<env>-platform-engineer", "privileges": ["MANAGE"]}),
    appending("databricks_grants", "grant",
              {"principal": "${data.terraform_remote_state.account.outputs.runner_<env>}", "privileges": ["ALL_PRIVILEGES"]},
              {"principal": "${data.terraform_remote_state.account.outputs.runner_<env>}",
               "privileges": ["EXTERNAL_USE_SCHEMA"]}, fits=lambda a: "catalog" in a),
]  # fmt: skip

OBJECT_PERMISSIONS = [
    permitting(("grp-mrd-<env>-ml-engineer",)),
    permitting(("grp-mrd-<env>-data-scientist", "grp-mrd-<env>-platform-engineer")),
    permitting(("grp-mrd-team-loyalty", "mrd-data-science")),
    permitting(("grp-mrd-dev-data-scientist",), where=("prod",)),
    custom("a level is raised", lambda world: _raised(world)),
    custom("one person", lambda world: world.pick("databricks_permissions", STRICT).arguments["access_control"]
           .append({"user_name": "ann@meridian-air.example", "permission_level": "CAN_MANAGE"})),
    adding("databricks_permissions", "workspace",
           {"authorization": "tokens", "access_control": [{"group_name": "grp-mrd-<env>-ml-engineer", "permission_level": "CAN_USE"}]},
           {"authorization": "passwords", "access_control": [{"group_name": "users", "permission_level": "CAN_USE"}]},
           {"notebook_path": "/lakehouse/air_time/orchestrator",
            "access_control": [{"group_name": "grp-mrd-<env>-ml-engineer", "permission_level": "CAN_EDIT"}]},
           {"directory_path": "/", "access_control": [{"group_name": "grp-mrd-<env>-ml-engineer", "permission_level": "CAN_MANAGE"}]}),
    custom("the owner of a job is another", lambda world: _owner(world)),
]  # fmt: skip


def _raised(world: World) -> None:
    target = world.pick("databricks_permissions", STRICT, lambda a: any("group_name" in c for c in a["access_control"]))
    control = next(c for c in target.arguments["access_control"] if "group_name" in c)
    control["permission_level"] = world.random.choice(["CAN_MANAGE", "CAN_EDIT", "IS_OWNER"])


def _owner(world: World) -> None:
    target = world.pick(
        "databricks_permissions",
        STRICT,
        lambda a: any(c["permission_level"] == "IS_OWNER" for c in a["access_control"]),
    )
    control = next(c for c in target.arguments["access_control"] if c["permission_level"] == "IS_OWNER")
    del control["service_principal_name"]
    control["group_name"] = filled(world.random.choice(OWN), names(world, target.stack))


GROUPS = [
    _member(("role_prod_platform_engineer", "${databricks_service_principal.runner_dev.id}"),
            ("role_prod_ml_engineer", "${databricks_group.role_dev_ml_engineer.id}"),
            ("role_staging_platform_engineer", "${databricks_group.entra_mrd_data_science.id}"),
            ("entra_mrd_data_platform", "${databricks_service_principal.runner_staging.id}"),
            ("entra_mrd_data_platform", "${databricks_group.role_dev_data_scientist.id}"),
            ("role_prod_platform_engineer", "<number>"),
            ("role_prod_data_scientist", "${databricks_group.entra_mrd_customer_loyalty.id}"),
            ("role_team_operations", "${databricks_group.entra_mrd_customer_loyalty.id}"),
            ("role_prod_ml_engineer", "${databricks_group.role_team_revenue.id}")),
    setting("databricks_group_member", "member_id", "${databricks_group.entra_mrd_data_science.id}", "<number>",
            "${databricks_service_principal.runner_dev.id}", where=ACCOUNT,
            fits=lambda a: "platform_engineer" in a["group_id"]),
    setting("databricks_group_member", "group_id", "${databricks_group.role_prod_platform_engineer.id}", where=ACCOUNT,
            fits=lambda a: "entra_mrd_data_platform" not in a["member_id"]),
    setting("databricks_group", "external_id", "<uuid>", "2d8b5e30-ac77-4f20-9f2e-3b6c7c9dae03", where=ACCOUNT,
            fits=lambda a: a["display_name"] in ("mrd-data-platform", "mrd-ml-engineering")),
    setting("databricks_group", "allow_cluster_create", True, where=ACCOUNT),
    setting("databricks_group", "allow_instance_pool_create", True, where=ACCOUNT),
    setting("databricks_group", "workspace_access", True, where=ACCOUNT),
    setting("databricks_group", "force", True, where=ACCOUNT),
    setting("databricks_group", "display_name", "admins", "account users", where=ACCOUNT),
    adding("databricks_group_role", "account", {"group_id": "${databricks_group.role_dev_ml_engineer.id}", "role": "account_admin"}),
    adding("databricks_entitlements", "workspace", {"group_id": "<number>", "workspace_access": True}),
    adding("databricks_user", "account", {"user_name": "ann@meridian-air.example"}),
    adding("databricks_group_instance_profile", "account", {"group_id": "<number>", "instance_profile_id": "x"}),
    adding("azuread_group_member", "account", {"group_object_id": "0b6f3c1e-8a55-4d0e-9d0c-1f4f5a7b8c01",
           "member_object_id": "<uuid>"}),
]  # fmt: skip
