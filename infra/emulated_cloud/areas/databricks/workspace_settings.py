"""Settings of a workspace, typed ones and the older ``workspace-conf``, and of the account; who the caller's workspace is."""

import copy

from infra.emulated_cloud.calls import (
    ACCOUNT,
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    CloudRefusalError,
    ServiceRule,
    endpoints,
)
from infra.emulated_cloud.world import Json

RESTRICT_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/admin/workspace-settings/restrict-workspace-admins"
RESTRICT = "restrict_workspace_admins"
TYPES = "/api/2.0/settings/types"
FIRST = "etag-0"
PERSONAL = "/api/2.0/accounts/{account}/settings/types/dcp_acct_enable/names/default"
"""Who may use the Personal Compute policy; present in every account:
https://docs.databricks.com/api/azure/account/personalcompute/get."""


def _stale(call: Call, etag: str) -> CloudRefusalError:
    """Return the refusal of a change without the present etag, which it tells."""
    name = call.arguments["kind"]
    missing = name not in call.store("setting")
    details = [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "databricks.com", "metadata": {"etag": etag},
        "reason": "RESOURCE_NOT_FOUND" if missing else "RESOURCE_CONFLICT",
    }]  # fmt: skip
    status, code = (404, "NOT_FOUND") if missing else (409, "RESOURCE_CONFLICT")
    return CloudRefusalError(status, code, "etag", details={"details": details})


def _change(call: Call) -> Json:
    name, setting = call.arguments["kind"], copy.deepcopy(call.fields.get("setting", {}))
    present = call.store("setting").get(name, {"etag": FIRST})
    if setting.get("etag") != present["etag"]:
        raise _stale(call, present["etag"])
    kept = {**setting, "setting_name": "default", "etag": f"etag-{next(call.world.numbers)}"}
    call.store("setting")[name] = kept
    return copy.deepcopy(kept)


def _read(call: Call) -> Json:
    name = call.arguments["kind"]
    if name not in call.store("setting"):
        raise _stale(call, FIRST)
    return copy.deepcopy(call.store("setting")[name])


def _delete(call: Call) -> Json:
    kept = call.store("setting").pop(call.arguments["kind"], {"etag": FIRST})
    return {"etag": kept["etag"]}


def _personal_compute(call: Call) -> Json:
    kept: Json = call.world.store("account", "settings").setdefault(
        "personal compute", {"etag": FIRST, "setting_name": "default", "personal_compute": {"value": "ON"}}
    )
    return kept


def _read_personal(call: Call) -> Json:
    return copy.deepcopy(_personal_compute(call))


def _change_personal(call: Call) -> Json:
    stated, kept = call.fields.get("setting", {}), _personal_compute(call)
    if stated.get("etag", kept["etag"]) != kept["etag"]:
        raise CloudRefusalError(409, "RESOURCE_CONFLICT", "etag")
    kept.update(etag=f"etag-{next(call.world.numbers)}", personal_compute=copy.deepcopy(stated["personal_compute"]))
    return copy.deepcopy(kept)


def _change_conf(call: Call) -> CloudAnswer:
    call.store("workspace conf").setdefault("conf", {}).update(copy.deepcopy(call.fields))
    return CloudAnswer(status=204, body=None)


def _read_conf(call: Call) -> Json:
    kept = call.store("workspace conf").get("conf", {})
    return {key: kept.get(key) for key in call.query.get("keys", "").split(",")}


def _config(call: Call) -> Json:
    return {"oidc_endpoint": f"https://login.microsoftonline.com/{call.world.site.tenant}/oauth2/v2.0",
            "workspace_id": call.place}  # fmt: skip


def _account_config(call: Call) -> Json:
    site = call.world.site
    return {
        "oidc_endpoint": f"https://accounts.azuredatabricks.net/oidc/accounts/{site.account}",
        "account_id": site.account,
    }


def _sign_in(call: Call) -> CloudAnswer:
    tenant = call.world.site.tenant
    return CloudAnswer(status=302, headers={"Location": f"https://login.microsoftonline.com/{tenant}/oauth2/authorize"})


def _may_restrict(call: Call) -> bool:
    return call.is_account_admin() and bool(call.world.workspace_permission(call.place, call.caller.principal))


_RESTRICT = {"allow_missing": True, "field_mask": "restrict_workspace_admins.status", "setting": {
    "etag": FIRST, "setting_name": "default", "restrict_workspace_admins": {"status": "RESTRICT_TOKENS_AND_JOB_RUN_AS"},
}}  # fmt: skip

AREA = Area(
    name="workspace settings",
    endpoints=(
        *endpoints(WORKSPACE, {
            f"PATCH {TYPES}/{{kind}}/names/default": _change, f"GET {TYPES}/{{kind}}/names/default": _read,
            f"DELETE {TYPES}/{{kind}}/names/default": _delete,
            "PATCH /api/2.0/workspace-conf": _change_conf, "GET /api/2.0/workspace-conf": _read_conf,
            "GET /.well-known/databricks-config": _config, "GET /aad/auth": _sign_in,
        }),
        *endpoints(ACCOUNT, {
            "GET /aad/auth": _sign_in, "GET /.well-known/databricks-config": _account_config,
            f"GET {PERSONAL}": _read_personal, f"PATCH {PERSONAL}": _change_personal,
        }),
    ),
    rules=(
        ServiceRule(
            rule="settings-need-workspace-admin", says="The settings of a workspace are for its admins.",
            page="https://learn.microsoft.com/en-us/azure/databricks/admin/workspace-settings/",
            on=("workspace PATCH /api/2.0/workspace-conf", f"workspace PATCH {TYPES}/*", f"workspace DELETE {TYPES}/*"),
            holds=lambda call: call.is_workspace_admin() or RESTRICT in call.path,
            refusal=(403, "PERMISSION_DENIED", "Only workspace admins can change the settings of a workspace."),
            accepted=Attempt(who="dev", request="PATCH dev/api/2.0/workspace-conf", body={"enableTokensConfig": "false"}),
            refused=Attempt(who="analyst", request="PATCH dev/api/2.0/workspace-conf", body={"enableTokensConfig": "false"}),
        ),
        ServiceRule(
            rule="restriction-needs-account-admin",
            says="Workspace admins are restricted by an account admin who is a member of the workspace.",
            page=RESTRICT_PAGE,
            on=(f"workspace PATCH {TYPES}/restrict_workspace_admins/*", f"workspace DELETE {TYPES}/restrict_workspace_admins/*"),
            holds=_may_restrict,
            refusal=(403, "PERMISSION_DENIED", "Only account admins can change the setting restrict_workspace_admins."),
            accepted=Attempt(who="person", request=f"PATCH dev{TYPES}/restrict_workspace_admins/names/default", body=_RESTRICT),
            refused=Attempt(who="dev", request=f"PATCH dev{TYPES}/restrict_workspace_admins/names/default", body=_RESTRICT),
        ),
    ),
)  # fmt: skip
