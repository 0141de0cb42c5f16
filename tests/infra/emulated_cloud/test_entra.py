"""Signing in to the emulated Entra: what a token is good for, and who can make one."""

import json
import time
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from infra.emulated_cloud.areas.entra.tokens import ALGORITHM, assertion
from infra.emulated_cloud.calls import CloudAnswer
from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import PERSON, new_cloud, token_of

ISSUER, SUBJECT = "https://vstoken.dev.azure.com/one", "sc://organisation/project/connection"
EXCHANGE = "api://AzureADTokenExchange"
DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
SERVICES = {
    "https://management.core.windows.net/": ("management.azure.com", "/subscriptions"),
    "https://graph.microsoft.com": ("graph.microsoft.com", "/v1.0/me"),
    DATABRICKS: ("adb-1000000000000001.7.azuredatabricks.net", "/api/2.0/preview/scim/v2/Me"),
}
"""What a token is asked for, and a request to that service."""


@pytest.fixture
def cloud() -> Cloud:
    """A prepared cloud."""
    return new_cloud()


def token(cloud: Cloud, **form: str) -> CloudAnswer:
    """Ask for a token."""
    target = f"/{cloud.world.site.tenant}/oauth2/v2.0/token"
    content = urlencode({"client_id": "client", **form}).encode()
    return cloud.answer(Request(host="login.microsoftonline.com", method="POST", target=target, content=content))


def person(cloud: Cloud, resource: str) -> dict[str, Any]:
    """Sign the person in for a service, and return the answer."""
    scope = f"openid profile offline_access {resource}/.default"
    password = token_of(cloud.world, "person")
    answer = token(cloud, grant_type="password", username=PERSON.principal, password=password, scope=scope)
    assert answer.status == 200, answer.body
    return dict(answer.body)


def asked(cloud: Cloud, bearer: str, service: str) -> CloudAnswer:
    """Send the request of a service with a token."""
    host, target = SERVICES[service]
    return cloud.answer(Request(host=host, method="GET", target=target, token=bearer))


@pytest.mark.parametrize("resource", SERVICES)
def test_a_token_is_for_the_service_that_it_was_asked_for(cloud: Cloud, resource: str) -> None:
    """Every other service refuses it, by the rule."""
    given = person(cloud, resource)["access_token"]
    for service in SERVICES:
        answer = asked(cloud, given, service)
        wanted = (200, "") if service == resource else (401, "tokens-are-for-one-service")
        assert (answer.status, answer.headers.get("X-Emulator-Rule", "")) == wanted


def test_who_acts_for_an_identity_within_the_cloud_takes_a_token_for_every_service(
    cloud: Cloud, application: str
) -> None:
    """A job of it, for one: what somebody asked for one service is left aside."""
    person(cloud, DATABRICKS)
    assert cloud.world.token_of(PERSON.principal) == token_of(cloud.world, "person")
    federated(cloud, application, assertion(cloud.world, ISSUER, SUBJECT))
    assert cloud.world.token_of(application) == ""


def test_a_person_asks_for_the_next_token_with_the_last_answer(cloud: Cloud) -> None:
    """For another service too; what nobody was given is refused."""
    kept = person(cloud, DATABRICKS)["refresh_token"]
    scope = "https://graph.microsoft.com/.default"
    answer = token(cloud, grant_type="refresh_token", refresh_token=kept, scope=scope)
    assert asked(cloud, answer.body["access_token"], "https://graph.microsoft.com").body["id"] == PERSON.object_id
    refused = token(cloud, grant_type="refresh_token", refresh_token="other", scope=scope)  # noqa: S106 -- no secret
    assert (refused.status, refused.body["error_codes"]) == (400, [70043])


def ask(cloud: Cloud, path: str, body: Any) -> dict[str, Any]:
    """Write to Graph as the person."""
    answer = cloud.answer(
        Request(
            host="graph.microsoft.com", method="POST", target=f"/v1.0/{path}", content=json.dumps(body).encode(),
            token=token_of(cloud.world, "person"),
        )
    )  # fmt: skip
    assert answer.status < 300, answer.body
    return dict(answer.body)


@pytest.fixture
def application(cloud: Cloud) -> str:
    """The id of an application with a service principal that signs in by federation alone."""
    made = ask(cloud, "applications", {"displayName": "app"})
    ask(cloud, "servicePrincipals", {"appId": made["appId"]})
    body = {"name": "one", "issuer": ISSUER, "subject": SUBJECT, "audiences": [EXCHANGE]}
    ask(cloud, f"applications/{made['id']}/federatedIdentityCredentials", body)
    return str(made["appId"])


def federated(cloud: Cloud, application: str, signed: str) -> CloudAnswer:
    """Sign an application in with an assertion."""
    scope = "https://management.core.windows.net//.default"
    return token(cloud, grant_type="client_credentials", client_id=application, client_assertion=signed, scope=scope)


def test_only_what_the_cloud_has_signed_for_now_signs_an_application_in(cloud: Cloud, application: str) -> None:
    """The right claims under another key, past their end, or for another audience are no assertion."""
    world = cloud.world
    assert federated(cloud, application, assertion(world, ISSUER, SUBJECT)).status == 200
    claims: dict[str, Any] = {"iss": ISSUER, "sub": SUBJECT, "aud": EXCHANGE, "exp": int(time.time()) + 60}
    for signed in (
        jwt.encode(claims, "another key of more than thirty-two bytes", algorithm=ALGORITHM),
        jwt.encode({**claims, "exp": int(time.time()) - 60}, world.issuer_key, algorithm=ALGORITHM),
        assertion(world, ISSUER, SUBJECT, audience="api://other"),
        "no token",
    ):
        answer = federated(cloud, application, signed)
        assert (answer.status, answer.headers["X-Emulator-Rule"]) == (401, "federated-issuers-are-named")


def test_an_application_acts_as_its_service_principal(cloud: Cloud, application: str) -> None:
    """It sees the subscriptions in which that one holds a role: none yet."""
    given = federated(cloud, application, assertion(cloud.world, ISSUER, SUBJECT)).body["access_token"]
    assert asked(cloud, given, "https://management.core.windows.net/").body["value"] == []
    assert cloud.world.tokens[given].principal == application
