"""Objects of Unity Catalog: created, then given to their owner and isolated, as the real provider does."""

from collections.abc import Mapping
from dataclasses import replace

from infra.loader.kind import LoadedKind, State
from infra.loader.session import Json, Session

UC = "/api/2.1/unity-catalog"
LATER = ("owner", "isolation_mode")
NOT_SENT = (
    "id",
    "force_destroy",
    "force_update",
    "skip_validation",
    "full_name",
    "metastore_id",
    "provider",
    "name_arg",
)
SHOWN = ("owner", "comment", "isolation_mode", "properties")


def _securable(path: str, parts: tuple[str, ...], gives: Mapping[str, str]) -> LoadedKind:
    def name(state: State) -> str:
        return ".".join(str(state[part]) for part in parts)

    def sent(plan: State) -> Json:
        return {key: value for key, value in plan.items() if key not in NOT_SENT}

    def create(session: Session, plan: State) -> Json:
        made = session.ask(
            "POST", f"{UC}/{path}", {key: value for key, value in sent(plan).items() if key not in LATER}
        )
        own_later(session, plan)
        taken = {attribute: made[field] for attribute, field in gives.items() if field in made}
        return {"id": name(plan), "name": plan["name"], **taken}

    def own_later(session: Session, plan: State) -> None:
        later = {key: plan[key] for key in LATER if key in plan}
        if later:
            session.ask("PATCH", f"{UC}/{path}/{name(plan)}", later)

    def change(session: Session, state: State, plan: State) -> Json:
        session.ask(
            "PATCH", f"{UC}/{path}/{state['id']}", {key: value for key, value in sent(plan).items() if key != "name"}
        )
        return {}

    def read(session: Session, state: State) -> Json:
        found = session.ask("GET", f"{UC}/{path}/{state['id']}")
        return {key: found[key] for key in SHOWN if key in found}

    def find(session: Session, parts: State) -> Json:
        found = session.ask("GET", f"{UC}/{path}/{name(parts)}")
        taken = {attribute: found[field] for attribute, field in gives.items() if field in found}
        return {**found, **taken, "id": name(parts)}

    def delete(session: Session, state: State) -> None:
        query = {"force": "true"} if path in ("catalogs", "schemas") else None
        session.ask("DELETE", f"{UC}/{path}/{state['id']}", query=query)

    return LoadedKind(create=create, read=read, change=change, delete=delete, find=find)


THREE = ("catalog_name", "schema_name", "name")
VOLUME = "/Volumes/{catalog_name}/{schema_name}/{name}"
_VOLUMES = _securable("volumes", THREE, {})


def _make_volume(session: Session, plan: State) -> Json:
    return {**_VOLUMES.create(session, plan), "volume_path": VOLUME.format(**plan)}


def _find_volume(session: Session, parts: State) -> Json:
    found = dict(_VOLUMES.find(session, parts)) if _VOLUMES.find else {}
    if found.get("volume_type") == "MANAGED":
        found.pop("storage_location", None)  # the argument is the place of an external volume
    return {**found, "volume_path": VOLUME.format(**parts)}


KINDS = {
    "databricks_catalog": _securable("catalogs", ("name",), {"metastore_id": "metastore_id"}),
    "databricks_schema": _securable("schemas", ("catalog_name", "name"), {"schema_id": "schema_id"}),
    "databricks_volume": replace(_VOLUMES, create=_make_volume, find=_find_volume),
    "databricks_registered_model": _securable("models", THREE, {}),
    "databricks_storage_credential": _securable("storage-credentials", ("name",), {"storage_credential_id": "id"}),
    "databricks_credential": _securable("credentials", ("name",), {"credential_id": "id"}),
    "databricks_external_location": _securable("external-locations", ("name",), {}),
}  # fmt: skip
