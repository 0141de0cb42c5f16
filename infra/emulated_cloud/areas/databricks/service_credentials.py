"""Service credentials of Unity Catalog in use: who may use one gets a token of the identity behind it.

https://docs.databricks.com/api/azure/workspace/credentials/generatetemporaryservicecredential
"""

from infra.emulated_cloud.areas.azure.resource_rules import GROUP, MADE_GROUP
from infra.emulated_cloud.areas.databricks.catalog_rules import DENIED, DOCS, METASTORE, UC, allow
from infra.emulated_cloud.calls import WORKSPACE, Area, Attempt, Call, ServiceRule, endpoints, invalid, not_found
from infra.emulated_cloud.privileges import CatalogRights, securables
from infra.emulated_cloud.world import SERVICE_PRINCIPAL, Caller, Json

USED = f"{UC}/temporary-service-credentials"
HOUR = 3_600_000
"""Milliseconds for which a token is valid."""


def _may_use(call: Call) -> bool:
    rights, name = CatalogRights(call), str(call.fields.get("credential_name"))
    return rights.has("ACCESS", "credential", name) and rights.reaches("credential", name, write=False)


def _use(call: Call) -> Json:
    """Answer a token of the managed identity of the credential's access connector."""
    name = str(call.fields.get("credential_name"))
    found = securables(call.world, CatalogRights(call).id, "credential").get(name)
    if found is None:
        raise not_found(f"Credential '{name}'")
    connector = str((found.get("azure_managed_identity") or {}).get("access_connector_id", "")).lower()
    identity = (call.world.store("azure", "resources").get(connector, {}).get("identity") or {}).get("principalId")
    if identity is None:
        raise invalid(f"The access connector of credential '{name}' does not exist or has no identity.")
    caller = Caller(name=f"identity of {name}", principal=identity, kind=SERVICE_PRINCIPAL, object_id=identity)
    token = call.world.issue_token(caller)
    return {"azure_aad": {"aad_token": token}, "expiration_time": call.world.now() + HOUR}


CONNECTOR = f"{GROUP}/providers/Microsoft.Databricks/accessConnectors/telemetry"
MADE_CREDENTIAL = (
    Attempt(who="dev", request=f"PUT azure{CONNECTOR}", body={"location": "westeurope", "identity": {"type": "SystemAssigned"}}),
    allow("person", "metastore", METASTORE, "CREATE_SERVICE_CREDENTIAL"),
    Attempt(
        who="dev", request=f"POST dev{UC}/credentials",
        body={"name": "telemetry", "purpose": "SERVICE", "azure_managed_identity": {"access_connector_id": CONNECTOR}},
    ),
)  # fmt: skip
"""An access connector with an identity, and a service credential of dev's principal for it; the resource group is there."""


def _used(who: str) -> Attempt:
    return Attempt(who=who, request=f"POST dev{USED}", body={"credential_name": "telemetry"})


AREA = Area(
    name="service credentials",
    endpoints=endpoints(WORKSPACE, {f"POST {USED}": _use}),
    rules=(
        ServiceRule(
            rule="service-credentials-need-access",
            says="A service credential is used by its owner and by who has ACCESS on it, from a workspace that it is bound to.",
            page=f"{DOCS}/connect/unity-catalog/cloud-services/use-service-credentials",
            on=(f"workspace POST {USED}",), holds=_may_use,
            refusal=(*DENIED, "User does not have ACCESS on Service Credential '{credential_name}'."),
            given=(MADE_GROUP, *MADE_CREDENTIAL), accepted=_used("dev"), refused=_used("analyst"),
        ),
    ),
)  # fmt: skip
