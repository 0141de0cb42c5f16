"""What somebody was given by hand is found in the emulated cloud by the real SDK, whoever gave it and wherever it is."""

import json
from collections.abc import Iterator, Mapping

import pytest
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.service import catalog, iam, jobs, oauth2, workspace
from databricks.sdk.service import settings as settings_service

from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name
from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud, principal_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import SERVICE_PRINCIPAL
from infra.graph.declared import as_synthesized
from infra.live.by_hand import AddedByHand
from infra.live.looking import Declaration, RightsDrift, rights_of_account, rights_of_workspace
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases

PROD = principal_of("prod", 3).principal
ENGINEERS, SCHEMA = "grp-mrd-prod-ml-engineer", "prod.air_time_inference"
GROUPS = (ENGINEERS, "grp-mrd-prod-platform-engineer", "mrd-ml-engineering", "mrd-data-science")


class Live:
    """The emulated cloud with clients of prod's identity and of the account's administrator."""

    def __init__(self, cloud: Cloud, hosts: Mapping[str, str], tokens: Mapping[str, str], settings: Settings) -> None:
        self.cloud = cloud
        self.prod = WorkspaceClient(host=hosts["prod"], token=tokens["prod"], auth_type="pat")
        self.person = WorkspaceClient(host=hosts["prod"], token=tokens["person"], auth_type="pat")
        account = settings.account.databricks_account_id
        self.account = AccountClient(host=hosts["account"], account_id=account, token=tokens["person"], auth_type="pat")

    def workspace_of(self, environment: str) -> int:
        """Return the number of an environment's workspace."""
        return next(int(number) for name_of, number in self.cloud.world.site.workspaces if name_of == environment)

    def grant(self, kind: str, on: str, who: str, *privileges: str) -> None:
        """Grant as prod's identity."""
        added = [catalog.Privilege(word) for word in privileges]
        self.prod.grants.update(kind, on, changes=[catalog.PermissionsChange(principal=who, add=added)])


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Iterator[Live]:
    """Prod with a part of what is declared: groups, a catalog, a schema with its grants, a job."""
    cloud = new_cloud()
    world = cloud.world
    world.store(f"metastore {world.site.metastore}", "grants")[f"metastore {world.site.metastore}"] = {
        PROD: ["CREATE_CATALOG"]
    }
    for document in world.scim(SERVICE_PRINCIPAL).values():
        document["displayName"] = name(ResourceKind.APPLICATION, "mrd", document["displayName"])
    for document in world.store("account", "workspaces").values():
        document["workspace_name"] = name(ResourceKind.WORKSPACE, "mrd", document["workspace_name"])
    with served(cloud, tmp_path_factory.mktemp("live")) as addresses:
        identities = json.loads(addresses.tokens.read_text(encoding="utf-8"))["identities"]
        found = Live(cloud, addresses.hosts, {who: one["token"] for who, one in identities.items()}, settings)
        for group in GROUPS:
            found.account.groups.create(display_name=group)
        found.prod.catalogs.create("prod")
        found.prod.schemas.create("air_time_inference", "prod")
        found.grant("catalog", "prod", ENGINEERS, "USE_CATALOG")
        found.grant("schema", SCHEMA, ENGINEERS, "USE_SCHEMA", "SELECT")
        found.prod.jobs.create(name="air_time.scoring", run_as=jobs.JobRunAs(service_principal_name=PROD))
        yield found


@pytest.fixture(scope="module")
def declared(estate: Mapping[str, Stack], settings: Settings) -> Mapping[str, Declaration]:
    """What the shipped stacks declare for prod and for the account."""
    stacks = as_synthesized(estate.values())
    return {place: Declaration(stacks, {}, settings, use_cases(), place) for place in ("prod", "account")}


def told(drift: RightsDrift) -> dict[tuple[str, str, str], AddedByHand]:
    """Return what is told by principal, kind and name."""
    return {(one.principal, one.kind, one.on): one for one in drift.added}


def test_what_is_declared_is_not_told(live: Live, declared: Mapping[str, Declaration]) -> None:
    """Nor what the environment's identity owns because it made it; everything can be read."""
    found = rights_of_workspace(live.prod, declared["prod"])
    assert found.unread == ()
    assert [one for one in found.added if one.on.startswith(("prod", "air_time"))] == []


def test_what_was_given_by_hand_in_a_workspace_is_told(live: Live, declared: Mapping[str, Declaration]) -> None:
    """On a declared schema, on a table and a job that no stack knows, by a binding, an owner, a secret scope."""
    columns = [
        catalog.ColumnInfo(
            name="a", type_name=catalog.ColumnTypeName.INT, type_text="int", position=0, type_json='"int"'
        )
    ]
    live.prod.api_client.do("POST", "/api/2.1/unity-catalog/tables", body={
        "name": "copy", "catalog_name": "prod", "schema_name": "air_time_inference", "table_type": "EXTERNAL",
        "data_source_format": "DELTA", "storage_location": "abfss://x@y.dfs.core.windows.net/copy",
        "columns": [one.as_dict() for one in columns],
    })  # fmt: skip
    live.grant("table", f"{SCHEMA}.copy", "analyst@meridian-air.example", "SELECT")
    live.grant("schema", SCHEMA, ENGINEERS, "MODIFY")
    live.prod.catalogs.update("prod", isolation_mode=catalog.CatalogIsolationMode.ISOLATED)
    live.prod.workspace_bindings.update_bindings(
        "catalog",
        "prod",
        add=[
            catalog.WorkspaceBinding(
                workspace_id=live.workspace_of("dev"),
                binding_type=catalog.WorkspaceBindingBindingType.BINDING_TYPE_READ_WRITE,
            )
        ],
    )
    live.prod.secrets.create_scope("by-hand")
    live.prod.secrets.put_acl("by-hand", "analyst@meridian-air.example", workspace.AclPermission.READ)
    live.person.jobs.create(name="mine")
    scoring = next(job.job_id for job in live.prod.jobs.list(name="air_time.scoring"))
    live.prod.permissions.update("jobs", str(scoring), access_control_list=[
        iam.AccessControlRequest(group_name=ENGINEERS, permission_level=iam.PermissionLevel.CAN_MANAGE)
    ])  # fmt: skip
    found = told(rights_of_workspace(live.prod, declared["prod"]))
    modify = found[ENGINEERS, "schema", SCHEMA]
    assert (modify.words, modify.declared, modify.above) == (("MODIFY",), ("SELECT", "USE_SCHEMA"), ("MODIFY",))
    assert "The next deployment of the environment takes it away" in modify.remedy
    table = found["analyst@meridian-air.example", "table", f"{SCHEMA}.copy"]
    assert (table.words, table.declared, table.above) == (("SELECT",), (), ("SELECT",))
    assert "databricks grants update table" in table.remedy
    assert found[ENGINEERS, "job", "air_time.scoring"].above == ("CAN_MANAGE",)
    mine = found["person@meridian-air.example", "job", "mine"]
    assert {word for one in (mine,) for word in one.words} <= {"IS_OWNER", "RUN_AS"}
    assert found["analyst@meridian-air.example", "secrets", "by-hand"].words == ("READ",)
    bindings = [one for (who, kind, _), one in found.items() if who.startswith("workspace ") and kind == "catalog"]
    assert [one.words for one in bindings] == [("BINDING_TYPE_READ_WRITE",)]
    assert all(one.place == "prod" for one in found.values())


def test_what_was_given_by_hand_in_the_account_is_told(live: Live, declared: Mapping[str, Declaration]) -> None:
    """A member, a role, a way to sign in, an assignment to a workspace."""
    groups = {str(one.display_name): str(one.id) for one in live.account.groups.list()}
    machines = {str(one.display_name): one for one in live.account.service_principals.list()}
    analyst = next(one for one in live.account.users.list() if one.user_name == "analyst@meridian-air.example")
    assert analyst.id
    live.account.groups.patch(groups[ENGINEERS], operations=[
        iam.Patch(op=iam.PatchOp.ADD, path="members", value=[{"value": groups["mrd-ml-engineering"]}, {"value": analyst.id}]),
    ], schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP])  # fmt: skip
    live.account.users.patch(analyst.id, operations=[
        iam.Patch(op=iam.PatchOp.ADD, path="roles", value=[{"value": "account_admin"}]),
    ], schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP])  # fmt: skip
    live.account.service_principal_federation_policy.create(
        int(machines["app-mrd-prod"].id or 0), policy_id="mine",
        policy=oauth2.FederationPolicy(oidc_policy=oauth2.OidcFederationPolicy(issuer="https://token.example", subject="repo:me")),
    )  # fmt: skip
    found = told(rights_of_account(live.account, declared["account"]))
    analyst_in = found["analyst@meridian-air.example", "group", ENGINEERS]
    assert (analyst_in.words, analyst_in.above) == (("MEMBER",), ("MEMBER",))
    assert "Take analyst@meridian-air.example out of the group" in analyst_in.sentence
    assert ("mrd-ml-engineering", "group", ENGINEERS) not in found
    assert found["analyst@meridian-air.example", "account", "account"].words == ("account_admin",)
    assert found["repo:me of https://token.example", "identity", "app-mrd-prod"].words == ("SIGN_IN",)
    assert found["analyst@meridian-air.example", "workspace", "prod"].words == ("USER",)


def test_clusters_of_everybody_are_told_until_workspaces_decide(
    live: Live, declared: Mapping[str, Declaration]
) -> None:
    """An account lets everybody make clusters from the start, past the policies that the stacks give nobody but the jobs."""
    place = ("account users", "policy", "Personal Compute")
    found = told(rights_of_account(live.account, declared["account"]))[place]
    assert found.words == found.above == ("CAN_USE",)
    assert "Choose Delegate for Personal Compute" in found.sentence
    kept = live.account.settings.personal_compute.get()
    delegated = settings_service.PersonalComputeMessage(value=settings_service.PersonalComputeMessageEnum.DELEGATE)
    live.account.settings.personal_compute.update(
        allow_missing=True,
        field_mask="personal_compute.value",
        setting=settings_service.PersonalComputeSetting(personal_compute=delegated, etag=kept.etag),
    )
    looked = rights_of_account(live.account, declared["account"])
    assert place not in told(looked)
    assert looked.unread == ()


def test_a_secret_and_a_role_on_an_identity_are_told(live: Live, declared: Mapping[str, Declaration]) -> None:
    """Our identities sign in by federation; a secret, and the right to act as one, are ways in that no stack declares."""
    machines = {str(one.display_name): one for one in live.account.service_principals.list()}
    prod, groups = machines["app-mrd-prod"], {str(one.display_name): str(one.id) for one in live.account.groups.list()}
    made = live.account.service_principal_secrets.create(str(prod.id))
    account = live.account.config.account_id

    def give(part: str, role: str, *principals: str) -> None:
        place = f"accounts/{account}{part}/ruleSets/default"
        before = live.account.access_control.get_rule_set(place, "")
        rules = iam.RuleSetUpdateRequest(name=place, etag=before.etag, grant_rules=[iam.GrantRule(role=role, principals=list(principals))])  # fmt: skip
        live.account.access_control.update_rule_set(place, rules)

    give(
        f"/servicePrincipals/{prod.application_id}", "roles/servicePrincipal.user", "users/analyst@meridian-air.example"
    )
    give(f"/groups/{groups[ENGINEERS]}", "roles/group.manager", "users/analyst@meridian-air.example")
    give("", "roles/marketplace.admin", f"servicePrincipals/{PROD}")
    found = told(rights_of_account(live.account, declared["account"]))
    secret = found[f"whoever has the secret {made.id}", "identity", "app-mrd-prod"]
    assert secret.words == secret.above == ("SECRET",)
    assert "service-principal-secrets delete" in secret.remedy
    acts = found["analyst@meridian-air.example", "identity", "app-mrd-prod"]
    assert acts.words == acts.above == ("servicePrincipal.user",)
    assert "group.manager" in {word for one in told_on(found, "group", ENGINEERS) for word in one.words}
    assert found["app-mrd-prod", "account", "account"].words == ("marketplace.admin",)
    live.account.service_principal_secrets.delete(str(prod.id), str(made.id))
    assert (secret.principal, "identity", "app-mrd-prod") not in told(
        rights_of_account(live.account, declared["account"])
    )


def test_a_policy_that_no_stack_declares_is_told(live: Live, declared: Mapping[str, Declaration]) -> None:
    """Whoever may use it makes clusters as it says; what the environment's identity has made is compared by Terraform."""
    person = next(one for one in live.account.users.list() if one.user_name == "person@meridian-air.example")
    live.account.workspace_assignment.update(
        live.workspace_of("prod"), int(person.id or 0), permissions=[iam.WorkspacePermission.ADMIN]
    )
    made = live.person.cluster_policies.create(name="anything", definition="{}")
    found = told(rights_of_workspace(live.prod, declared["prod"]))
    mine = found["person@meridian-air.example", "policy", "anything"]
    assert "OWNER" in mine.words
    assert "cluster-policies delete" in mine.remedy
    live.person.cluster_policies.delete(str(made.policy_id))
    live.account.workspace_assignment.delete(live.workspace_of("prod"), int(person.id or 0))


def told_on(found: Mapping[tuple[str, str, str], AddedByHand], kind: str, on: str) -> list[AddedByHand]:
    """Return what is told of one object."""
    return [one for (_, of, where), one in found.items() if (of, where) == (kind, on)]


def test_what_nobody_may_read_is_told_and_not_taken_for_nothing(
    live: Live, declared: Mapping[str, Declaration]
) -> None:
    """A person who is no administrator sees a part."""
    found = rights_of_workspace(live.person, declared["prod"])
    assert any("cannot be read" in one for one in found.unread)


def test_every_declared_object_has_the_name_by_which_the_service_knows_it(
    declared: Mapping[str, Declaration],
) -> None:
    """No reference of Terraform is left in a name, also where it is a part of one, as in an experiment's."""
    names = {on for declaration in declared.values() for _, on in declaration.rights[0].objects}
    assert [on for on in names if "${" in on] == []
    assert "/lakehouse/experiments/air_time" in names
