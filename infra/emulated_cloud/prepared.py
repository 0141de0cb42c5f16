"""What a new cloud holds before the first request, and who can call it."""

import uuid

from infra.emulated_cloud.areas.azure.databricks_workspaces import add_workspace
from infra.emulated_cloud.areas.azure.roles import give_role
from infra.emulated_cloud.areas.databricks.principals import add_principal
from infra.emulated_cloud.areas.entra.graph import PRINCIPALS
from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.world import SERVICE_PRINCIPAL, USER, Caller, Site, World

PERSON = Caller(
    name="person", principal="person@meridian-air.example", kind=USER, object_id="11111111-2222-4333-8444-555555555555"
)
ANALYST = Caller(
    name="analyst",
    principal="analyst@meridian-air.example",
    kind=USER,
    object_id="11111111-2222-4333-8444-666666666666",
)


def principal_of(environment: str, index: int) -> Caller:
    """Return the service principal with which an environment is deployed."""
    return Caller(
        name=environment, principal=f"aaaaaaaa-0000-4000-8000-{index:012d}", kind=SERVICE_PRINCIPAL,
        object_id=f"bbbbbbbb-0000-4000-8000-{index:012d}",
    )  # fmt: skip


def callers(site: Site) -> tuple[Caller, ...]:
    """Return the identities of a new cloud: the person, an analyst, and a service principal for each environment."""
    environments = [name for name, _ in site.workspaces]
    return PERSON, ANALYST, *(principal_of(name, index) for index, name in enumerate(environments, 1))


def new_cloud(site: Site | None = None) -> Cloud:
    """Return a cloud with its identities and, unless it is to be empty, a metastore and the workspaces.

    The person administers the account, owns the subscriptions and writes applications. The service principal of an
    environment contributes to its subscription and administers its workspace; the analyst is a user of every workspace.
    An empty cloud has none of the workspaces, and no identity but people holds a role: a first deployment makes both.
    """
    world = World(site=site or Site())
    for caller in callers(world.site):
        world.issue_token(caller)
        _enter_directory(world, caller)
    world.account_admins.add(PERSON.principal)
    world.directory_writers.add(PERSON.object_id)
    for index, (environment, subscription) in enumerate(world.site.subscriptions, 1):
        give_role(world, PERSON.object_id, "Owner", f"/subscriptions/{subscription}")
        if world.site.prepared:
            give_role(
                world, principal_of(environment, index).object_id, "Contributor", f"/subscriptions/{subscription}"
            )
    _enter_services(world)
    if world.site.prepared:
        _prepare(world)
    return Cloud(world=world)


def _enter_directory(world: World, caller: Caller) -> None:
    name = {"userName": caller.principal} if caller.kind == USER else {"applicationId": caller.principal}
    add_principal(world, caller.kind, {**name, "displayName": caller.name})
    entra = {"userPrincipalName": caller.principal} if caller.kind == USER else {"appId": caller.principal}
    world.store("graph", "directory objects")[caller.object_id] = {
        "id": caller.object_id, "displayName": caller.name, **entra,
    }  # fmt: skip


def add_metastore(world: World) -> None:
    """Let the account have a metastore in its region, administered by the person."""
    metastore = world.site.metastore
    world.store("account", "metastores")[metastore] = {
        "metastore_id": metastore, "name": f"metastore-{world.site.region}", "region": world.site.region,
        "owner": PERSON.principal, "account_id": world.site.account,
    }  # fmt: skip


SERVICES = {
    "00000003-0000-0000-c000-000000000000": "Microsoft Graph",
    "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d": "AzureDatabricks",
    "797f4846-ba00-4fd7-ba43-dac1f8f63013": "Windows Azure Service Management API",
    "499b84ac-1321-427f-aa17-267ca6975798": "Azure DevOps",
    "e406a681-f3d4-42a8-90b6-c2b029497af1": "Azure Storage",
    "cfa8b339-82a2-471a-a3c9-0fc0be7a4093": "Azure Key Vault",
}
"""Applications of Microsoft's services, by the ids that it publishes: they are the same in every tenant.

https://learn.microsoft.com/en-us/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
"""


def _enter_services(world: World) -> None:
    """Let the tenant have the service principals of the services that its identities ask, as each tenant has them."""
    for application, name in SERVICES.items():
        world.store("graph", PRINCIPALS)[str(uuid.uuid5(uuid.NAMESPACE_URL, application))] = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, application)), "appId": application, "displayName": name,
            "appDisplayName": name, "accountEnabled": True, "servicePrincipalNames": [application],
            "servicePrincipalType": "Application", "signInAudience": "AzureADMultipleOrgs", "~owners": [], "~federated": {},
        }  # fmt: skip


def _prepare(world: World) -> None:
    add_metastore(world)
    for index, (environment, number) in enumerate(world.site.workspaces, 1):
        add_workspace(world, number, environment)
        admit(world, number, principal_of(environment, index).principal, "ADMIN")
        admit(world, number, PERSON.principal, "USER")
        admit(world, number, ANALYST.principal, "USER")


def admit(world: World, workspace: str, principal: str, level: str) -> None:
    """Let a principal into a workspace as ``USER`` or ``ADMIN``."""
    document = world.principal(principal) or {}
    world.store("account", f"assignments {workspace}")[str(document["id"])] = {"permissions": [level]}


def token_of(world: World, name: str) -> str:
    """Return the bearer token of an identity by its name."""
    return next(token for token, caller in world.tokens.items() if caller.name == name)
