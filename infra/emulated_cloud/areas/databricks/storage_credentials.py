"""Whose identity a storage credential may carry: that of an access connector, or a service principal with its secret."""

from infra.emulated_cloud.areas.azure.roles import allows
from infra.emulated_cloud.areas.databricks.catalog_rules import AREA_ON, DENIED, MAY_CREATE, UC
from infra.emulated_cloud.calls import Attempt, Call, ServiceRule
from infra.emulated_cloud.world import Site

CONNECTOR_WRITE = "Microsoft.Databricks/accessConnectors/write"
"""What a Contributor of an access connector may do to it."""
_CREDENTIALS_PAGE = "https://docs.databricks.com/api/uc-credentials/v1/create-storage-credential.md"


def _may_use_connector(call: Call) -> bool:
    """Return whether the creator of a credential is an account admin or contributes to its access connector."""
    connector = str((call.fields.get("azure_managed_identity") or {}).get("access_connector_id", ""))
    return (
        not connector
        or call.is_account_admin()
        or allows(call.world, call.caller.object_id, CONNECTOR_WRITE, connector)
    )


def _is_no_secret(call: Call) -> bool:
    """Return whether a credential is a managed identity's, or its creator an account admin."""
    return "azure_service_principal" not in call.fields or call.is_account_admin()


_SECRET = {"name": "old", "azure_service_principal": {"application_id": "a", "client_secret": "s", "directory_id": "d"}}


def _of_connector(subscription_of: str) -> Attempt:
    """Return the request by which dev's principal makes a credential of a connector in an environment's subscription."""
    subscription = dict(Site().subscriptions)[subscription_of]
    connector = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Databricks/accessConnectors/lake"
    body = {"name": "lake", "azure_managed_identity": {"access_connector_id": connector}}
    return Attempt(who="dev", request=f"POST dev{UC}/storage-credentials", body=body)


RULES = (
    ServiceRule(
        rule="credential-needs-its-connector",
        says="Who is no account admin makes a credential of an access connector only as its Contributor.",
        page=_CREDENTIALS_PAGE,
        on=(AREA_ON.format("POST") + "storage-credentials",),
        holds=_may_use_connector,
        refusal=(*DENIED, "User does not have the Contributor role on the access connector of '{name}'."),
        given=(MAY_CREATE,),
        accepted=_of_connector("dev"),
        refused=_of_connector("staging"),
    ),
    ServiceRule(
        rule="credential-of-a-service-principal",
        says="A credential of a service principal, with its secret, is made by account admins alone.",
        page=_CREDENTIALS_PAGE,
        on=(AREA_ON.format("POST") + "storage-credentials",),
        holds=_is_no_secret,
        refusal=(*DENIED, "Only account admins can create a storage credential of a service principal."),
        given=(MAY_CREATE,),
        accepted=Attempt(who="person", request=f"POST dev{UC}/storage-credentials", body=_SECRET),
        refused=Attempt(who="dev", request=f"POST dev{UC}/storage-credentials", body=_SECRET),
    ),
)
