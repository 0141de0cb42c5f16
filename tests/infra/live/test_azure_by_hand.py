"""What somebody was given by hand in Azure and Entra is found in the emulated cloud by Azure's real SDK."""

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from infra.config.ceilings import Ceilings, ceilings
from infra.config.loading import Settings
from infra.config.model import StateStorage
from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import new_cloud, token_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import Site
from infra.graph.declared import as_synthesized
from infra.graph.estate import Estate
from infra.live.azure_by_hand import added_in_azure
from infra.live.azure_declared import TYPES, AzureDeclaration, azure_declaration
from infra.live.azure_reading import AzureReader
from infra.live.azure_session import AzureSession
from infra.live.by_hand import AddedByHand
from infra.permissions.azure_roles import ASSIGNS, only_assigning
from infra.rights.catalogue import Authority
from infra.rights.needed import NeededRight, rights_by_identity
from infra.synthesis.stack import Stack

SUBSCRIPTION = "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"
HOSTS = {"arm": "management.azure.com", "graph": "graph.microsoft.com"}
OWNER, ANALYST = "person@meridian-air.example", "11111111-2222-4333-8444-666666666666"


class StaticToken:
    """Signs in with a token that is there already."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return the token, for every service."""
        assert scopes[0].endswith("/.default")
        return AccessToken(self._token, int(time.time()) + 3600)


class Tenant:
    """The emulated cloud as the settings describe it, with prod's Azure part as it is after its deployment."""

    def __init__(self, cloud: Cloud, declared: AzureDeclaration) -> None:
        self.cloud, self.declared = cloud, declared
        self.names: dict[str, str] = {}

    def ask(self, host: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send a request as the person who owns the subscriptions."""
        content = b"" if body is None else json.dumps(body).encode()
        token = token_of(self.cloud.world, "person")
        answer = self.cloud.answer(Request(host=HOSTS[host], method=method, target=path, content=content, token=token))
        assert answer.status < 300, answer
        return dict(answer.body or {})

    def assign(self, who: str, role: str, scope: str, condition: str = "") -> str:
        """Give a role, and return the id of the assignment."""
        found = self.ask("arm", "GET", f"{scope}/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName%20eq%20'{role}'".replace(" ", "%20"))  # fmt: skip
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{self.cloud.world.new_uuid()}"
        limit = {"condition": condition, "conditionVersion": "2.0"} if condition else {}
        self.ask("arm", "PUT", path, {"properties": {"principalId": who, "roleDefinitionId": found["value"][0]["id"], **limit}})  # fmt: skip
        return path

    def identity(self, name: str) -> str:
        """Make an application with a principal, and return the object id of the principal."""
        made = self.ask("graph", "POST", "/v1.0/applications", {"displayName": name})
        self.names[name] = str(made["id"])
        return str(self.ask("graph", "POST", "/v1.0/servicePrincipals", {"appId": made["appId"]})["id"])

    def found(
        self, who: str = "person", declared: AzureDeclaration | None = None
    ) -> tuple[list[AddedByHand], list[str]]:
        """Return what Azure's SDK finds for an identity, and what it could not read."""
        stated = declared or self.declared
        live = AzureReader(AzureSession(StaticToken(token_of(self.cloud.world, who))), stated).read()
        return list(added_in_azure(live, stated)), list(live.unread)


def _declaration(estate: Mapping[str, Stack], settings: Settings, place: str, limits: Ceilings) -> AzureDeclaration:
    needed = rights_by_identity(estate.values())
    return azure_declaration([Estate(as_synthesized(estate.values()), settings)], limits, place, needed)


@pytest.fixture(scope="module")
def declared(estate: Mapping[str, Stack], settings: Settings) -> AzureDeclaration:
    """What the shipped stacks and the ceilings declare for prod; the person of the emulated cloud owns its subscription."""
    limits = ceilings().model_copy(update={"azure_holders": {OWNER: ("Owner",)}})
    return _declaration(estate, settings, "prod", limits)


@pytest.fixture(scope="module")
def tenant(
    tmp_path_factory: pytest.TempPathFactory,
    estate: Mapping[str, Stack],
    settings: Settings,
    declared: AzureDeclaration,
) -> Iterator[Tenant]:
    """Prod as declared: its resources with their identities, their roles, its application and how it signs in."""
    site = Site(
        subscriptions=tuple((name, str(one.subscription_id)) for name, one in settings.environments.items()),
        prepared=False,
    )
    cloud = new_cloud(site)
    found = Tenant(cloud, declared)
    (group,) = (scope for scope in declared.scopes if scope.endswith("/rg-mrd-prod"))
    found.ask("arm", "PUT", group, {"location": "westeurope"})
    for one in Estate(as_synthesized(estate.values()), settings).resources:
        if one.environment == "prod" and one.type in TYPES:
            managed = {
                f"{name}Identity": {"principalId": cloud.world.new_uuid()} for name in ("managedDisk", "storageAccount")
            }
            cloud.world.store("azure", "resources")[f"{group}/providers/{TYPES[one.type]}/{one.get('name')}".lower()] = {
                "id": f"{group}/providers/{TYPES[one.type]}/{one.get('name')}", "properties": managed,
                "identity": {"principalId": cloud.world.new_uuid()},
            }  # fmt: skip
    deployer, own = found.identity("app-mrd-account"), found.identity("app-mrd-prod")
    found.identity("AzureDatabricks")
    cloud.world.store("graph", "servicePrincipals")[list(cloud.world.store("graph", "servicePrincipals"))[-1]][
        "appId"
    ] = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
    for kind in ("applications", "servicePrincipals"):
        for document in cloud.world.store("graph", kind).values():
            document["~owners"] = [deployer]
    for who, words in declared.credentials["app-mrd-prod"].items():
        subject, _, issuer = who.partition(" of ")
        if "SIGN_IN" in words:
            body = {"name": who, "issuer": issuer, "subject": subject, "audiences": []}
            found.ask("graph", "POST", f"/v1.0/applications/{found.names['app-mrd-prod']}/federatedIdentityCredentials", body)  # fmt: skip
    folder = tmp_path_factory.mktemp("azure")
    with served(cloud, folder) as addresses, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", addresses.proxy)
        patch.setenv("REQUESTS_CA_BUNDLE", str(addresses.authority))
        patch.delenv("NO_PROXY", raising=False)
        patch.delenv("no_proxy", raising=False)
        live = AzureReader(AzureSession(StaticToken(token_of(cloud.world, "person"))), declared).read()
        assert live.unread == ()
        for one in sorted(declared.assignments):
            found.assign(live.object_ids[one.identity], one.role, one.scope, one.condition)
        assert own in live.object_ids.values()
        yield found


def told(found: list[AddedByHand]) -> dict[tuple[str, str], AddedByHand]:
    """Return what is told by principal and by the last part of where it is."""
    return {(one.principal, one.on.rpartition("/")[2]): one for one in found}


def test_what_is_declared_in_azure_is_not_told(tenant: Tenant) -> None:
    """Five roles of the platform's identities, those of its own identity with their condition, its sign-ins and its owner."""
    assert len(tenant.declared.assignments) >= 8
    assert tenant.found() == ([], [])


def test_a_role_that_was_given_by_hand_is_told_with_who_where_and_how_to_take_it_away(tenant: Tenant) -> None:
    """To a person on the data, to another environment's identity above it; within the ceiling is no other than declared."""
    group = next(scope for scope in tenant.declared.scopes if scope.endswith("/rg-mrd-prod"))
    lake = next(one.scope for one in tenant.declared.assignments if "storageAccounts/" in one.scope and "rg-mrd-prod/" in one.scope)  # fmt: skip
    dev = tenant.identity("app-mrd-dev")
    tenant.ask("arm", "PUT", f"{group}-other", {"location": "westeurope"})
    made = [
        tenant.assign(ANALYST, "Storage Blob Data Reader", lake),
        tenant.assign(dev, "Contributor", group.partition("/resourceGroups")[0]),
        tenant.assign(ANALYST, "Reader", f"{group}-other"),
    ]
    found, unread = tenant.found()
    for path in made:
        tenant.ask("arm", "DELETE", path)
    assert unread == []
    assert len(found) == 2
    analyst = told(found)["analyst@meridian-air.example", lake.rpartition("/")[2]]
    assert (analyst.words, analyst.above) == (("Storage Blob Data Reader",), ("Storage Blob Data Reader",))
    assert (
        f"az role assignment delete --assignee {ANALYST} --role 'Storage Blob Data Reader' --scope {lake}"
        in analyst.remedy
    )
    other = told(found)["app-mrd-dev", group.split("/")[2]]
    assert other.words == ("Contributor",)
    assert "by hand; the declaration gives nothing; above the ceiling: Contributor" in other.sentence


def test_a_role_that_lost_its_condition_is_told(tenant: Tenant) -> None:
    """Whoever may assign roles without one may assign every role."""
    assigns = next(one for one in tenant.declared.assignments if one.role == ASSIGNS)
    assert assigns.condition == only_assigning(["Key Vault Crypto Service Encryption User", "Storage Blob Data Contributor"])  # fmt: skip
    kept = tenant.cloud.world.store("azure", "role assignments")
    path, document = next((path, one) for path, one in kept.items() if one.get("condition"))
    kept[path] = {name: value for name, value in document.items() if name != "condition"}
    found, _ = tenant.found()
    kept[path] = document
    assert [(one.principal, one.words, one.declared) for one in found] == [
        ("app-mrd-prod", (ASSIGNS,), ("Contributor", "Locks Contributor", ASSIGNS))
    ]


def test_what_was_added_to_the_application_is_told(tenant: Tenant) -> None:
    """A password, a certificate, a federated credential, an owner, a role of Microsoft Graph, a group: six ways to act as prod."""
    application = f"/v1.0/applications/{tenant.names['app-mrd-prod']}"
    principal = next(
        identity for identity, one in tenant.cloud.world.store("graph", "servicePrincipals").items() if one["displayName"] == "app-mrd-prod"
    )  # fmt: skip
    before = json.dumps(
        {kind: tenant.cloud.world.store("graph", kind) for kind in ("applications", "servicePrincipals")}
    )
    secret = tenant.ask("graph", "POST", f"/v1.0/servicePrincipals/{principal}/addPassword", {"passwordCredential": {"displayName": "mine"}})  # fmt: skip
    assert secret["secretText"]
    tenant.ask("graph", "PATCH", application, {"keyCredentials": [{"keyId": "7", "endDateTime": "2030-01-01"}]})
    body = {"name": "x", "issuer": "https://token.example", "subject": "repo:me", "audiences": []}
    tenant.ask("graph", "POST", f"{application}/federatedIdentityCredentials", body)
    tenant.ask("graph", "POST", f"{application}/owners/$ref", {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{ANALYST}"})  # fmt: skip
    tenant.ask("graph", "POST", f"/v1.0/servicePrincipals/{principal}/appRoleAssignments", {"appRoleId": "06b708a9-e830-4db3-a914-8e69da51d44f"})  # fmt: skip
    group = tenant.ask("graph", "POST", "/v1.0/groups", {"displayName": "mrd-data-platform"})
    tenant.ask("graph", "POST", f"/v1.0/groups/{group['id']}/members/$ref", {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{principal}"})  # fmt: skip
    found, unread = tenant.found()
    for kind, documents in json.loads(before).items():
        tenant.cloud.world.store("graph", kind).clear()
        tenant.cloud.world.store("graph", kind).update(documents)
    tenant.cloud.world.store("graph", "groups").clear()
    assert unread == []
    words = {(one.principal, one.words) for one in found}
    assert {(f"whoever has the password {secret['keyId']} 'mine', until {secret['endDateTime']},", ("SECRET",)),
            ("whoever has the certificate 7, until 2030-01-01,", ("SECRET",)),
            ("repo:me of https://token.example", ("SIGN_IN",)), ("analyst@meridian-air.example", ("OWNER",)),
            ("app-mrd-prod", ("role 06b708a9-e830-4db3-a914-8e69da51d44f",)),
            ("app-mrd-prod", ("MEMBER OF mrd-data-platform",))} == words  # fmt: skip
    assert all(one.above == one.words and one.on == "app-mrd-prod" for one in found)
    assert "secretText" not in str(found)
    assert tenant.found() == ([], [])


def test_what_nobody_may_read_in_azure_is_told(tenant: Tenant) -> None:
    """An identity without a role reads neither assignments nor applications; with Application.Read.All it reads the latter."""
    caller = next(one for one in tenant.cloud.world.tokens.values() if one.name == "dev")
    _, unread = tenant.found("dev")
    assert any("role assignments of" in one and "cannot be read" in one for one in unread)
    assert any("applications app-mrd-prod cannot be read" in one for one in unread)
    tenant.cloud.world.directory_readers.add(caller.object_id)
    _, unread = tenant.found("dev")
    tenant.cloud.world.directory_readers.discard(caller.object_id)
    assert not any("applications" in one for one in unread)


def test_an_identity_that_may_not_read_the_tenant_still_reads_the_roles(
    tenant: Tenant, estate: Mapping[str, Stack], settings: Settings, declared: AzureDeclaration
) -> None:
    """As dev's does: its own roles are not told, what people and others hold is; the account's reads every application."""
    blind = dataclasses.replace(declared, reads_directory=False, holders={})
    caller = next(one for one in tenant.cloud.world.tokens.values() if one.name == "dev")
    (group,) = (scope for scope in declared.scopes if scope.endswith("/rg-mrd-prod"))
    made = tenant.assign(caller.object_id, "Reader", group)
    found, unread = tenant.found("dev", blind)
    tenant.ask("arm", "DELETE", made)
    assert unread == []
    own = {one.role for one in declared.assignments if one.identity.value == "app-mrd-prod"}
    assert not any(word in own for one in found for word in one.words)
    assert {"Owner", "Reader"} <= {word for one in found for word in one.words}
    shipped = {place: _declaration(estate, settings, place, ceilings()) for place in ("account", "dev", "prod")}
    assert [one.reads_directory for one in shipped.values()] == [True, False, True]
    assert list(shipped["account"].credentials) == ["app-mrd-account", "app-mrd-dev", "app-mrd-staging", "app-mrd-prod"]


def test_a_subscriptions_owner_is_told_unless_the_ceilings_name_it(
    tenant: Tenant, estate: Mapping[str, Stack], settings: Settings
) -> None:
    """By name; with another role it is told too."""
    shipped = _declaration(estate, settings, "prod", ceilings())
    found, _ = tenant.found(declared=shipped)
    assert [(one.principal, one.words) for one in found] == [(OWNER, ("Owner",))]
    reader = _declaration(estate, settings, "prod", ceilings().model_copy(update={"azure_holders": {OWNER: ("Reader",)}}))  # fmt: skip
    assert [one.principal for one in tenant.found(declared=reader)[0]] == [OWNER]


def test_of_states_the_place_s_own_is_read_and_whoever_else_needs_it_is_declared(
    estate: Mapping[str, Stack], settings: Settings
) -> None:
    """The account's identity reads dev's state; dev's reads the account's, whose roles are none of dev's to read."""
    places = ("account", "dev")
    states = {
        place: StateStorage(subscription_id=SUBSCRIPTION, resource_group="rg", storage_account=f"st{place}", container="terraform", allowed_ip_ranges=())
        for place in places
    }  # fmt: skip
    kept = {place: f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st{place}" for place in places}  # fmt: skip
    stated = dataclasses.replace(
        settings,
        account=settings.account.model_copy(update={"state": states["account"]}),
        environments={**settings.environments, "dev": settings.environments["dev"].model_copy(update={"state": states["dev"]})},
    )  # fmt: skip
    reader, writer = "Storage Blob Data Reader", "Storage Blob Data Contributor"
    rights = {
        place: tuple(
            NeededRight(authority=Authority.AZURE, scope=kept[at], right=writer if at == place else reader, page="", granted_by="")
            for at in places
        )
        for place in places
    }  # fmt: skip
    found = azure_declaration([Estate(as_synthesized(estate.values()), stated)], ceilings(), "dev", rights)
    group = f"/subscriptions/{settings.environments['dev'].subscription_id}/resourceGroups/rg-mrd-dev"
    assert set(found.scopes) == {group, kept["dev"]}
    assert {("app-mrd-dev", writer), ("app-mrd-account", reader)} == {
        (one.identity.value, one.role) for one in found.assignments if one.scope == kept["dev"]
    }


def test_every_identity_that_holds_a_role_has_a_source(estate: Mapping[str, Stack], settings: Settings) -> None:
    """Each assignment of the stacks is found again: none is left out because its principal or scope is of a new type."""
    made = Estate(as_synthesized(estate.values()), settings)
    for environment in settings.environments:
        count = sum(one.environment == environment for one in made.of("azurerm_role_assignment"))
        limits = _declaration(estate, settings, environment, ceilings())
        stated = [one for one in limits.assignments if one.identity.value != limits.application]
        assert len(stated) == count > 0
        assert set(stated) <= limits.permitted
