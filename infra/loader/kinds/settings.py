"""Settings of a workspace."""

from infra.loader.kind import LoadedKind, State
from infra.loader.session import Json, LoaderError, Session

TYPES = {
    "databricks_restrict_workspace_admins_setting": ("restrict_workspace_admins", "restrict_workspace_admins"),
    "databricks_automatic_cluster_update_workspace_setting": (
        "automatic_cluster_update", "automatic_cluster_update_workspace",
    ),
    "databricks_default_namespace_setting": ("default_namespace_ws", "namespace"),
    "databricks_disable_legacy_access_setting": ("disable_legacy_access", "disable_legacy_access"),
    "databricks_disable_legacy_dbfs_setting": ("disable_legacy_dbfs", "disable_legacy_dbfs"),
    "databricks_enhanced_security_monitoring_workspace_setting": (
        "shield_esm_enablement_ws_db", "enhanced_security_monitoring_workspace",
    ),
    "databricks_compliance_security_profile_workspace_setting": (
        "shield_csp_enablement_ws_db", "compliance_security_profile_workspace",
    ),
}  # fmt: skip
"""Type to the name of its setting and the field that holds it."""


def _setting(name: str, field: str) -> LoadedKind:
    path = f"/api/2.0/settings/types/{name}/names/default"

    def change(session: Session, plan: State) -> Json:
        setting = {"setting_name": "default", field: plan[field]}
        body = {
            "allow_missing": True,
            "field_mask": ",".join(f"{field}.{key}" for key in plan[field]),
            "setting": setting,
        }
        try:
            session.ask("PATCH", path, body)
        except LoaderError as error:  # the first try tells which version a change must name
            if not error.remedy:
                raise
            session.ask("PATCH", path, {**body, "setting": {**setting, "etag": error.remedy}})
        return {"id": "global", "setting_name": "default"}

    def read(session: Session, state: State) -> Json:
        found = session.ask("GET", path).get(field, {})
        return {field: {key: found.get(key, value) for key, value in state[field].items()}}

    def find(session: Session, _parts: State) -> Json:
        found = session.ask("GET", path)
        return {field: found.get(field), "etag": found.get("etag"), "id": "global", "setting_name": "default"}

    return LoadedKind(create=change, read=read, find=find)


CONFIGURATION = "/api/2.0/workspace-conf"


def _configure(session: Session, plan: State) -> Json:
    session.ask("PATCH", CONFIGURATION, plan["custom_config"])
    return {"id": "_"}


def _configured(session: Session, state: State) -> Json:
    keys = ",".join(state["custom_config"])
    return {"custom_config": session.ask("GET", CONFIGURATION, query={"keys": keys})}


KINDS = {
    **{name: _setting(*stated) for name, stated in TYPES.items()},
    "databricks_workspace_conf": LoadedKind(create=_configure, read=_configured),
}
