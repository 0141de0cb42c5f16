"""The stacks of 2026-11-27 fail in the emulated cloud as they would have failed in the services; those of today do not.

The first test of the emulated cloud: had it not refused these, it would share the assumptions that let them pass. Each stack is
applied with the real Terraform, by the identity and in the order that the guide of its commit states. `earlier_stacks/README.md`
says where the old ones come from.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from infra.config.checks import load_settings
from infra.constructs.release import Release
from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.areas.azure.roles import give_role
from infra.emulated_cloud.calls import CloudAnswer
from infra.emulated_cloud.prepared import PERSON
from infra.emulated_cloud.world import Site
from infra.releases.ledger import LedgerError
from tests.infra.conftest import SettingsFolder
from tests.infra.emulated_cloud.az_requests import UNKNOWN, AzRequests
from tests.infra.emulated_cloud.azure_requests import AzurePlatform
from tests.infra.emulated_cloud.deployment import DeployedCloud, deployed_cloud, let_person_join, rule_of
from tests.infra.emulated_cloud.todays_company import TodaysCompany, todays_company

pytestmark = pytest.mark.terraform
EARLIER = Path(__file__).with_name("earlier_stacks")
PERSON_ID = PERSON.principal
ADMINISTRATORS = "mrd-data-platform"
ACCOUNT_APPLICATION = "app-mrd-account"
EARLIER_ROLES = ("Contributor", "User Access Administrator")
"""What the set-up of that commit gave an environment's identity on its subscription."""
RUNNER_OF_DEV = "${data.terraform_remote_state.account.outputs.runner_dev}"
CATALOG, JOBS = "/api/2.1/unity-catalog", "/api/2.2/jobs"
GRAPH, ARM, ASSIGNMENTS = (
    "graph.microsoft.com/v1.0",
    "management.azure.com",
    "providers/Microsoft.Authorization/roleAssignments",
)
STATE_ROLE, NEW = "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "11111111-1111-4111-8111-111111111111"
"""The role Storage Blob Data Contributor, and the name of an assignment."""
NUMBER = dict(Site().workspaces)
HOST = {environment: host_of(number) for environment, number in NUMBER.items()}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedCloud]:
    """The old account stack, applied by the person as the guide's step 6 says; dev's and staging's identities have their roles.

    The groups come first: the old metastore names its owner without waiting for that group.
    """
    stacks = {
        file.name.removesuffix(".tf.json.gz"): json.loads(gzip.decompress(file.read_bytes()))
        for file in EARLIER.glob("*.gz")
    }
    with deployed_cloud(stacks, tmp_path_factory.mktemp("earlier")) as cloud:
        groups = [f"databricks_group.{name}" for name in cloud.resources("account", "databricks_group")]
        assert cloud.apply("account", PERSON_ID, *groups) == []
        assert cloud.apply("account", PERSON_ID) == []
        let_person_join(cloud.world, ADMINISTRATORS)
        for environment, subscription in cloud.world.site.subscriptions:
            for role in EARLIER_ROLES:
                principal = cloud.entra_id(cloud.runner(environment))
                give_role(cloud.world, principal, role, f"/subscriptions/{subscription}")
        yield cloud


@pytest.fixture(scope="module")
def platform_of_dev(earlier: DeployedCloud) -> DeployedCloud:
    """The old platform of dev, which the person has applied, and the metastore's privileges of the guide's step 7."""
    assert earlier.apply("dev-platform", PERSON_ID) == []
    (metastore,) = earlier.world.store("account", "metastores")
    given = ["CREATE_CATALOG", "CREATE_EXTERNAL_LOCATION", "CREATE_STORAGE_CREDENTIAL"]
    change = {"changes": [{"principal": earlier.runner("dev"), "add": given}]}
    assert (
        rule_of(earlier.ask(PERSON_ID, f"PATCH {HOST['dev']}{CATALOG}/permissions/metastore/{metastore}", change)) == ""
    )
    return earlier


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory, release: Release) -> Iterator[TodaysCompany]:
    """Today's stacks of dev alone, with keys of the company; today's set-up, and the account by its own identity."""
    folder = SettingsFolder(tmp_path_factory.mktemp("settings"))
    folder.change("dev", ("reads",), [])
    folder.change("dev", ("customer_managed_keys",), True)
    with todays_company(load_settings(folder.path), release, tmp_path_factory.mktemp("today")) as company:
        yield company


# D1: who may do it ----------------------------------------------------------------------------------------------------


def test_the_identity_of_an_environment_is_no_account_admin(earlier: DeployedCloud) -> None:
    """The pipelines of that commit apply the platform with dev's identity: all of it that belongs to the account is refused."""
    runner = earlier.runner("dev")
    refused = earlier.apply("dev-platform", runner)
    assert {(one.rule, one.who) for one in refused} == {("account-needs-account-admin", runner)}
    endings = {one.path.rpartition("/workspaces/")[2].rpartition("/")[2] for one in refused}
    (metastore,) = earlier.world.store("account", "metastores")
    assert endings == {metastore, "network-connectivity-configs", "network"}


def test_a_person_cannot_fill_what_belongs_to_the_identity(platform_of_dev: DeployedCloud) -> None:
    """By the guide a person applies the workspace: it stops where the first object belongs to dev's identity.

    What comes after it is asked for by itself, with the values of the stack: schemas in the catalog, a job of that identity.
    """
    cloud, runner = platform_of_dev, platform_of_dev.runner("dev")
    refused = cloud.apply("dev-workspace", PERSON_ID)
    assert ("create-external-location", PERSON_ID) in {(one.rule, one.who) for one in refused}
    catalog = next(iter(cloud.resources("dev-workspace", "databricks_catalog").values()))
    schema = next(iter(cloud.resources("dev-workspace", "databricks_schema").values()))
    job = next(iter(cloud.resources("dev-workspace", "databricks_job").values()))
    host, name = HOST["dev"], catalog["name"]
    assert catalog["owner"] == schema["owner"] == job["run_as"]["service_principal_name"] == RUNNER_OF_DEV
    assert rule_of(cloud.ask(PERSON_ID, f"POST {host}{CATALOG}/catalogs", {"name": name})) == ""
    assert rule_of(cloud.ask(PERSON_ID, f"PATCH {host}{CATALOG}/catalogs/{name}", {"owner": runner})) == ""
    within = {"catalog_name": name, "name": schema["name"]}
    assert rule_of(cloud.ask(PERSON_ID, f"POST {host}{CATALOG}/schemas", within)) == "create-schema"
    asked = {"name": job["name"], "run_as": {"service_principal_name": runner}}
    assert rule_of(cloud.ask(PERSON_ID, f"POST {host}{JOBS}/create", asked)) == "run-as-needs-service-principal-user"
    own = cloud.ask(PERSON_ID, f"POST {host}{JOBS}/create", {"name": job["name"]}).body["job_id"]
    entries = {"access_control_list": [{"service_principal_name": runner, "permission_level": "IS_OWNER"}]}
    given = cloud.ask(PERSON_ID, f"PUT {host}/api/2.0/permissions/jobs/{own}", entries)
    assert rule_of(given) == "restricted-admins-own-their-jobs"


def test_today_each_stack_is_applied_by_its_own_identity(today: TodaysCompany) -> None:
    """Objects of the same kinds, with all that they need: nothing is refused, and the job runs as dev's identity."""
    cloud, runner = today.cloud, today.identity("dev")
    kinds = ("databricks_external_location", "databricks_schema", "databricks_job")
    targets = [f"{kind}.{next(iter(cloud.resources('dev-workspace', kind)))}" for kind in kinds]
    assert cloud.apply("dev-workspace", runner, *targets) == []
    (job,) = cloud.world.store(f"workspace {NUMBER['dev']}", "job").values()
    assert job["settings"]["run_as"]["service_principal_name"] == runner


# D2: the set-up of the identities -------------------------------------------------------------------------------------


def test_the_earlier_set_up_stops_at_an_application_without_a_service_principal(earlier: DeployedCloud) -> None:
    """It created the application of the account and asked for its roles at once, which nothing can hold.

    The commands of that commit, as the requests that azure-cli sends for them.
    """
    az = AzRequests(cloud=earlier, who=PERSON_ID)
    application = str(json.loads(az(("ad", "app", "create", "--display-name", ACCOUNT_APPLICATION)))["appId"])
    scope = f"/subscriptions/{earlier.world.site.subscriptions[0][1]}"
    for verb, more in (("list", ()), ("create", ("--role", "Storage Blob Data Contributor"))):
        with pytest.raises(LedgerError, match=UNKNOWN.format(application)):
            az(("role", "assignment", verb, "--assignee", application, "--scope", scope, *more))
    given = {"principalId": application, "roleDefinitionId": f"/x/{STATE_ROLE}"}
    answer = earlier.ask(PERSON_ID, f"PUT {ARM}{scope}/{ASSIGNMENTS}/{NEW}", {"properties": given})
    assert rule_of(answer) == "role-assignments-name-principals"


def test_the_earlier_set_up_names_no_role_of_graph(earlier: DeployedCloud) -> None:
    """With a service principal that somebody makes by hand, the account stack writes no application, and a platform reads none."""
    az = AzRequests(cloud=earlier, who=PERSON_ID)
    application = str(json.loads(az(("ad", "app", "create", "--display-name", "app-by-hand")))["appId"])
    az(("ad", "sp", "create", "--id", application))
    wanted = next(iter(earlier.resources("account", "azuread_application").values()))
    made = earlier.ask(application, f"POST {GRAPH}/applications", {"displayName": wanted["display_name"]})
    assert rule_of(made) == "applications-need-a-directory-right"
    read = next(iter(earlier.stacks["staging-platform"].content["data"]["azuread_service_principal"].values()))
    asked = quote(f"appId eq '{read['client_id']}'")
    found = earlier.ask(earlier.runner("staging"), f"GET {GRAPH}/servicePrincipals?$filter={asked}")
    assert rule_of(found) == "applications-are-read-with-a-role"


def test_today_the_set_up_leaves_nothing_to_do_for_its_identities(today: TodaysCompany) -> None:
    """Applications, service principals, roles of Azure and Graph, and the account's admin: a second look finds all."""
    assert [step.what for step in today.steps() if step.command and not step.waits_for] == []
    assert today.cloud.world.account_admins == {PERSON_ID, today.identity("account")}


# D3 and D5: keys of disks, and the workspace's own storage ------------------------------------------------------------


@pytest.fixture(scope="module")
def earlier_azure(platform_of_dev: DeployedCloud) -> DeployedCloud:
    """The Azure part of the old platforms, as the person applies it."""
    cloud = platform_of_dev
    assert cloud.apply("staging-platform", PERSON_ID) == []
    for environment in ("dev", "staging"):
        _azure(cloud, environment, PERSON_ID, PERSON.object_id)
    return cloud


def test_no_cluster_starts_while_the_identity_of_its_disks_has_no_right_on_the_key(
    earlier_azure: DeployedCloud,
) -> None:
    """Staging's disks have a key of the company, on which the old stack gives a right to the storage accounts alone."""
    assert rule_of(_start(earlier_azure, "staging", earlier_azure.runner("staging"))) == "disk-key-needs-its-identity"


def test_no_cluster_starts_and_no_job_runs_behind_closed_storage_without_endpoints(
    earlier_azure: DeployedCloud,
) -> None:
    """Dev has no keys of its own; its workspace's storage is closed, and the endpoints lead to the lake alone."""
    cloud, runner = earlier_azure, earlier_azure.runner("dev")
    assert rule_of(_start(cloud, "dev", runner)) == "closed-root-storage-needs-endpoints"
    assert rule_of(_run_job(cloud, "dev", runner)) == "closed-root-storage-needs-endpoints"


def test_a_right_on_the_key_leaves_the_closed_storage(earlier_azure: DeployedCloud) -> None:
    """Staging lacks both: once its disks may use the key, its storage is what refuses."""
    cloud = earlier_azure
    (workspace,) = cloud.resources("staging-platform", "azurerm_databricks_workspace").values()
    found = next(one for one in cloud.world.store("azure", "resources").values() if one["name"] == workspace["name"])
    (vault,) = cloud.resources("staging-platform", "azurerm_key_vault").values()
    scope = found["id"].replace("Microsoft.Databricks/workspaces", "Microsoft.KeyVault/vaults")
    scope = f"{scope.rpartition('/')[0]}/{vault['name']}"
    identity = found["properties"]["managedDiskIdentity"]["principalId"]
    give_role(cloud.world, identity, "Key Vault Crypto Service Encryption User", scope)
    assert rule_of(_start(cloud, "staging", cloud.runner("staging"))) == "closed-root-storage-needs-endpoints"


def test_today_clusters_start_and_jobs_run(today: TodaysCompany) -> None:
    """The same requests, with today's platform, which has a key for its disks and closed storage, as the identity that applies it."""
    cloud, runner = today.cloud, today.identity("dev")
    _azure(cloud, "dev", runner, cloud.entra_id(runner))
    (workspace,) = cloud.resources("dev-platform", "azurerm_databricks_workspace").values()
    made = next(one for one in cloud.world.store("azure", "resources").values() if one["name"] == workspace["name"])
    assert made["properties"]["encryption"]["entities"]["managedDisk"]
    assert made["properties"]["defaultStorageFirewall"] == "Enabled"
    assert rule_of(_start(cloud, "dev", runner)) == ""
    assert rule_of(_run_job(cloud, "dev", runner)) == ""


def _azure(cloud: DeployedCloud, environment: str, who: str, object_id: str) -> None:
    """Send the requests of a platform's Azure resources as an identity."""
    content: Mapping[str, Any] = cloud.stacks[f"{environment}-platform"].content
    looked_up = content.get("data", {}).get("azuread_service_principal", {})
    known: dict[str, Any] = {
        f"data.azuread_service_principal.{name}": {"object_id": cloud.entra_id(one["client_id"])}
        for name, one in looked_up.items()
    }
    known["data.azurerm_client_config.current"] = {"object_id": object_id}
    send = lambda request, body, network: cloud.ask(who, request, body, network=network)  # noqa: E731 -- one use
    AzurePlatform(content=content, send=send, known=known).apply()


def _cluster(cloud: DeployedCloud) -> dict[str, Any]:
    """Return the cluster that the stack's jobs ask for, without what must exist first: its pool and its policy."""
    job = next(iter(cloud.resources("dev-workspace", "databricks_job").values()))
    asked = job["job_cluster"][0]["new_cluster"]
    return {name: asked[name] for name in ("spark_version", "data_security_mode", "autoscale")}


def _start(cloud: DeployedCloud, environment: str, who: str) -> CloudAnswer:
    """Start a cluster as an identity."""
    spec = {"cluster_name": "one", **_cluster(cloud)}
    return cloud.ask(who, f"POST {HOST[environment]}/api/2.1/clusters/create", spec)


def _run_job(cloud: DeployedCloud, environment: str, who: str) -> CloudAnswer:
    """Run a job on a cluster of its own as an identity."""
    asked = {"name": "any", "job_clusters": [{"job_cluster_key": "job", "new_cluster": _cluster(cloud)}]}
    job = cloud.ask(who, f"POST {HOST[environment]}{JOBS}/create", asked)
    return cloud.ask(who, f"POST {HOST[environment]}{JOBS}/run-now", {"job_id": job.body["job_id"]})
