"""Microsoft Entra: who signs in with what, and tokens for services.

An application signs in with its secret or with a token of an issuer that one of its federated credentials names; a person with
their token of the tokens file as the password. All issuers sign with one key of this cloud, which the tokens file holds, so that
nobody else on this machine signs in. Not known: certificates, consent, conditional access, second factors, and devices.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import jwt

from infra.emulated_cloud.areas.entra.graph import APPLICATIONS, MAKE, PRINCIPALS, F
from infra.emulated_cloud.areas.entra.graph_credentials import SECRETS
from infra.emulated_cloud.calls import SIGN_IN, Area, Attempt, Call, CloudRefusalError, ServiceRule, endpoints
from infra.emulated_cloud.world import SERVICE_PRINCIPAL, USER, Caller, Json, World

AUTHORITY = "https://login.microsoftonline.com"
ALGORITHM = "HS256"
LASTS_SECONDS = 3600
RESOURCES = {
    "https://management.core.windows.net": "797f4846-ba00-4fd7-ba43-dac1f8f63013",
    "https://management.azure.com": "797f4846-ba00-4fd7-ba43-dac1f8f63013",
    "https://graph.microsoft.com": "00000003-0000-0000-c000-000000000000",
    "https://storage.azure.com": "e406a681-f3d4-42a8-90b6-c2b029497af1",
    "https://vault.azure.net": "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
}
"""Addresses of services to their applications; a scope names either."""
OWN = "openid profile offline_access"
"""Scopes that ask for a token about who signs in, not for a service."""
_ERRORS = "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes"
_FEDERATION = "https://learn.microsoft.com/en-us/azure/devops/pipelines/release/troubleshoot-workload-identity"


# What is signed ----------------------------------------------------------------------------------------------------------


def assertion(world: World, issuer: str, subject: str, audience: str = "api://AzureADTokenExchange") -> str:
    """Return the token that an issuer, such as Azure DevOps, gives a job to sign in with."""
    claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": int(time.time()) + LASTS_SECONDS}
    return jwt.encode(claims, world.issuer_key, algorithm=ALGORITHM)


def _claims(call: Call) -> Json:
    """Return what an assertion says; nothing for one that another key has signed, or that has expired."""
    try:
        given = str(call.fields.get("client_assertion", ""))
        return dict(jwt.decode(given, call.world.issuer_key, algorithms=[ALGORITHM], options={"verify_aud": False}))
    except jwt.InvalidTokenError:
        return {}


def _signed(call: Call, claims: Json) -> str:
    site, now = call.world.site, int(time.time())
    common = {"tid": site.tenant, "iat": now, "nbf": now, "exp": now + LASTS_SECONDS, "jti": call.world.new_uuid()}
    return jwt.encode({**common, **claims}, call.world.issuer_key, algorithm=ALGORITHM)


# Who signs in ------------------------------------------------------------------------------------------------------------


def _application(call: Call) -> Json | None:
    known = call.world.store("graph", APPLICATIONS).values()
    return next((one for one in known if one["appId"] == call.fields.get("client_id")), None)


def _principal(call: Call) -> Json | None:
    known = call.world.store("graph", PRINCIPALS).values()
    return next((one for one in known if one["appId"] == call.fields.get("client_id")), None)


def _person(call: Call) -> Caller | None:
    """Return the person that a password or an earlier sign-in is of."""
    if call.fields.get("grant_type") == "refresh_token":
        kept = call.world.store("entra", "refresh tokens").get(str(call.fields.get("refresh_token")), {})
        return next((one for one in call.world.tokens.values() if one.principal == kept.get("principal")), None)
    found = call.world.tokens.get(str(call.fields.get("password", "")))
    return found if found and found.kind == USER and found.principal == call.fields.get("username") else None


def _caller(call: Call) -> Caller:
    """Return who signs in; every rule has held."""
    person, principal = _person(call), _principal(call)
    if call.fields.get("grant_type") != "client_credentials":
        if person is None:
            raise CloudRefusalError(400, "invalid_grant", "AADSTS70043: The sign-in is not known any more.")
        return person
    if principal is None:
        raise CloudRefusalError(401, "invalid_client", "AADSTS700016: The application was not found.")
    name = str(principal.get("displayName") or principal["appId"])
    return Caller(name=name, principal=principal["appId"], kind=SERVICE_PRINCIPAL, object_id=principal["id"])


def _resource(call: Call) -> str:
    """Return the application of the service that a token is asked for; empty for a token about who signs in."""
    asked = [one for one in str(call.fields.get("scope", "")).split() if one not in OWN.split()]
    name = asked[0].rpartition("/")[0].rstrip("/") if asked else ""
    return RESOURCES.get(name, name)


def _token(call: Call) -> Json:
    caller = _caller(call)
    issued = call.world.issue_token(caller)
    call.world.audiences[issued] = _resource(call)
    answer: Json = {
        "token_type": "Bearer", "expires_in": LASTS_SECONDS, "ext_expires_in": LASTS_SECONDS, "access_token": issued,
    }  # fmt: skip
    if caller.kind == USER:
        answer |= _about_person(call, caller)
    return answer


def _about_person(call: Call, caller: Caller) -> Json:
    """Return what a person's client keeps: who they are, and how it asks for the next token."""
    tenant, kept = call.world.site.tenant, secrets.token_urlsafe(24)
    call.world.store("entra", "refresh tokens")[kept] = {"principal": caller.principal}
    client = json.dumps({"uid": caller.object_id, "utid": tenant}).encode()
    about = {
        "iss": f"{AUTHORITY}/{tenant}/v2.0", "aud": call.fields.get("client_id"), "oid": caller.object_id,
        "sub": caller.object_id, "preferred_username": caller.principal, "name": caller.name, "ver": "2.0",
    }  # fmt: skip
    return {
        "refresh_token": kept, "scope": call.fields.get("scope", ""), "id_token": _signed(call, about),
        "client_info": base64.urlsafe_b64encode(client).decode().rstrip("="),
    }  # fmt: skip


# What a client reads first -----------------------------------------------------------------------------------------------


def _configuration(call: Call) -> Json:
    start = f"{AUTHORITY}/{call.arguments['tenant']}"
    return {
        "issuer": f"{AUTHORITY}/{call.world.site.tenant}/v2.0", "token_endpoint": f"{start}/oauth2/v2.0/token",
        "authorization_endpoint": f"{start}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{start}/oauth2/v2.0/devicecode", "jwks_uri": f"{start}/discovery/v2.0/keys",
        "tenant_region_scope": "EU", "cloud_instance_name": "microsoftonline.com",
    }  # fmt: skip


def _instance(call: Call) -> Json:
    host, tenant = AUTHORITY.partition("//")[2], call.world.site.tenant
    known = {"preferred_network": host, "preferred_cache": "login.windows.net", "aliases": [host, "login.windows.net"]}
    address = f"{AUTHORITY}/{tenant}/v2.0/.well-known/openid-configuration"
    return {"tenant_discovery_endpoint": address, "api-version": "1.1", "metadata": [known]}


def _realm(call: Call) -> Json:
    domain = call.arguments["name"].rpartition("@")[2]
    return {
        "ver": "1.0", "account_type": "Managed", "domain_name": domain, "cloud_instance_name": "microsoftonline.com",
        "cloud_audience_urn": "urn:federation:MicrosoftOnline",
    }  # fmt: skip


# Rules -------------------------------------------------------------------------------------------------------------------


def _tenant_exists(call: Call) -> bool:
    return call.arguments["tenant"] in (call.world.site.tenant, "organizations", "common")


def _is_application(call: Call) -> bool:
    return call.fields.get("grant_type") == "client_credentials"


def _application_exists(call: Call) -> bool:
    return not _is_application(call) or _application(call) is not None or _principal(call) is not None


def _has_principal(call: Call) -> bool:
    return not _is_application(call) or _principal(call) is not None


def _secret_is_right(call: Call) -> bool:
    if not _is_application(call) or "client_assertion" in call.fields:
        return True
    held = [
        *((_application(call) or {}).get(SECRETS, {})).values(),
        *((_principal(call) or {}).get(SECRETS, {})).values(),
    ]
    given = str(call.fields.get("client_secret", ""))
    return any(secrets.compare_digest(one, given) for one in held)


def _assertion_matches(*names: str) -> Callable[[Call], bool]:
    """Return whether some federated credential of the application has the assertion's values of these names."""

    def holds(call: Call) -> bool:
        if not _is_application(call) or "client_assertion" not in call.fields:
            return True
        claims = _claims(call)
        wanted = {"issuer": claims.get("iss"), "subject": claims.get("sub")}
        known = ((_application(call) or {}).get("~federated") or {}).values()
        alike = [one for one in known if all(one.get(name) == wanted[name] for name in names)]
        return any(claims.get("aud") in one.get("audiences", ()) for one in alike)

    return holds


def _person_is_right(call: Call) -> bool:
    return call.fields.get("grant_type") != "password" or _person(call) is not None


def _resource_exists(call: Call) -> bool:
    wanted = _resource(call)
    return not wanted or any(one["appId"] == wanted for one in call.world.store("graph", PRINCIPALS).values())


TENANT = "2d9c8e70-61b4-4c1d-8f0a-5b7a3e9d4c22"
_TOKENS = ("sign-in POST */oauth2/v2.0/token",)
_ARM = "https://management.core.windows.net//.default"
_PRINCIPAL = Attempt(who="person", request="POST graph/v1.0/servicePrincipals", body={"appId": "<appId>"})
_SECRET = Attempt(who="person", request="POST graph/v1.0/applications/<applications>/addPassword", body={})
_FEDERATED = Attempt(
    who="person", request=f"POST graph/v1.0/applications/<applications>/{F}",
    body={
        "name": "one", "issuer": "https://vstoken.dev.azure.com/x", "subject": "sc://organisation/project/connection",
        "audiences": ["api://AzureADTokenExchange"],
    },
)  # fmt: skip


def _ask(who: str = "person", tenant: str = TENANT, **form: Any) -> Attempt:
    """Return an example of a request for a token."""
    known = {"grant_type": "client_credentials", "client_id": "<appId>", "scope": _ARM, **form}
    return Attempt(who=who, request=f"POST sign-in/{tenant}/oauth2/v2.0/token", body=known)


_BY_SECRET = _ask(client_secret="<secret>")  # noqa: S106 -- a place that the test fills
_BY_PASSWORD = {
    "grant_type": "password", "username": "person@meridian-air.example", "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
}  # fmt: skip

AREA = Area(
    name="Microsoft Entra",
    endpoints=endpoints(SIGN_IN, {
        "GET /{tenant}/v2.0/.well-known/openid-configuration": _configuration, "GET /common/discovery/instance": _instance,
        "GET /common/userrealm/{name}": _realm, "POST /{tenant}/oauth2/v2.0/token": _token,
    }),
    rules=(
        ServiceRule(
            rule="tenants-are-known", says="Identities sign in to a tenant that exists.", page=_ERRORS,
            on=("sign-in GET */v2.0/*", *_TOKENS), holds=_tenant_exists,
            refusal=(400, "invalid_request", "AADSTS90002: Tenant '{tenant}' not found."),
            given=(MAKE, _PRINCIPAL, _SECRET), accepted=_BY_SECRET,
            refused=_ask(tenant="00000000-0000-4000-8000-000000000000", client_secret="any"),  # noqa: S106 -- no secret
        ),
        ServiceRule(
            rule="applications-are-known", says="An application signs in to the tenant that it is registered in.",
            page=_FEDERATION, on=_TOKENS, holds=_application_exists,
            refusal=(400, "unauthorized_client",
                     "AADSTS700016: Application with identifier '{client_id}' was not found in the directory '{tenant}'."),
            given=(MAKE, _PRINCIPAL, _SECRET), accepted=_BY_SECRET, refused=_ask(client_id="unknown", client_secret="any"),  # noqa: S106 -- no secret
        ),
        ServiceRule(
            rule="applications-sign-in-as-service-principals",
            says="An application signs in as its service principal in the tenant; without one it does not.",
            page="https://learn.microsoft.com/en-us/entra/identity-platform/app-objects-and-service-principals",
            on=_TOKENS, holds=_has_principal,
            refusal=(401, "invalid_client",
                     "AADSTS7000229: The client application '{client_id}' is missing service principal in the tenant '{tenant}'."),
            given=(MAKE, _PRINCIPAL, _SECRET, MAKE, _SECRET),
            accepted=_ask(client_id="<appId of a service principal>", client_secret="<first secret>"),  # noqa: S106 -- places
            refused=_BY_SECRET,
        ),
        ServiceRule(
            rule="secrets-are-the-applications", says="A secret is one that the application has.", page=_FEDERATION,
            on=_TOKENS, holds=_secret_is_right,
            refusal=(401, "invalid_client", "AADSTS7000215: Invalid client secret provided."),
            given=(MAKE, _PRINCIPAL, _SECRET), accepted=_BY_SECRET, refused=_ask(client_secret="wrong"),  # noqa: S106 -- no secret
        ),
        ServiceRule(
            rule="federated-issuers-are-named",
            says="A token of another issuer signs an application in only if one of its credentials names issuer and audience.",
            page=_FEDERATION, on=_TOKENS, holds=_assertion_matches("issuer"),
            refusal=(401, "invalid_client", "AADSTS700211: No matching federated identity record found for presented assertion issuer."),
            given=(MAKE, _PRINCIPAL, _FEDERATED), accepted=_ask(client_assertion="<assertion>"),
            refused=_ask(client_assertion="<assertion of another issuer>"),
        ),
        ServiceRule(
            rule="federated-subjects-are-named",
            says="A token of an issuer signs an application in only for the subject that one of its credentials names.",
            page=_FEDERATION, on=_TOKENS, holds=_assertion_matches("issuer", "subject"),
            refusal=(401, "invalid_client", "AADSTS700213: No matching federated identity record found for presented assertion subject."),
            given=(MAKE, _PRINCIPAL, _FEDERATED), accepted=_ask(client_assertion="<assertion>"),
            refused=_ask(client_assertion="<assertion of another subject>"),
        ),
        ServiceRule(
            rule="people-sign-in-with-their-password", says="A person signs in with the password of that person.",
            page=_ERRORS, on=_TOKENS, holds=_person_is_right,
            refusal=(400, "invalid_grant", "AADSTS50126: Error validating credentials due to invalid username or password."),
            accepted=_ask(**_BY_PASSWORD, password="<token of person>"), refused=_ask(**_BY_PASSWORD, password="wrong"),  # noqa: S106 -- no password
        ),
        ServiceRule(
            rule="services-are-in-the-tenant", says="A token is for a service that has a service principal in the tenant.",
            page=_ERRORS, on=_TOKENS, holds=_resource_exists,
            refusal=(400, "invalid_resource", "AADSTS500011: The resource principal named in '{scope}' was not found in the tenant."),
            given=(MAKE, _PRINCIPAL, _SECRET), accepted=_BY_SECRET,
            refused=_ask(client_secret="<secret>", scope="https://unknown.example/.default"),  # noqa: S106 -- a place
        ),
    ),
)  # fmt: skip
