"""The real Databricks SDK and the real MLflow client work against the emulated cloud, and nobody else gets in."""

import base64
import http.client
import io
import json
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import mlflow
import pytest
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.catalog import CatalogIsolationMode, PermissionsChange, Privilege, VolumeType
from databricks.sdk.service.compute import ListClustersFilterBy
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobRunAs, JobSettings, PythonWheelTask, Task, TaskDependency
from databricks.sdk.service.provisioning import Workspace
from databricks.sdk.service.sql import (
    AlertV2,
    AlertV2Evaluation,
    AlertV2OperandColumn,
    AlertV2RunAs,
    ComparisonOperator,
    CronSchedule,
    StatementState,
)
from databricks.sdk.service.workspace import AclPermission, ImportFormat, Language

from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import ANALYST, new_cloud
from infra.emulated_cloud.server import Addresses, served
from infra.emulated_cloud.world import Site

DEV = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tokens and certificate go."""
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    """A prepared cloud."""
    return new_cloud()


@pytest.fixture(scope="module")
def addresses(cloud: Cloud, folder: Path) -> Iterator[Addresses]:
    """The cloud, served."""
    with served(cloud, folder) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(addresses: Addresses) -> dict[str, Any]:
    """What the tokens file says."""
    return dict(json.loads(addresses.tokens.read_text(encoding="utf-8")))


def client(addresses: Addresses, tokens: dict[str, Any], who: str, environment: str = "dev") -> WorkspaceClient:
    """Return a real client of one identity in one workspace."""
    token = tokens["identities"][who]["token"]
    return WorkspaceClient(host=addresses.hosts[environment], token=token, auth_type="pat")


@pytest.fixture(scope="module")
def dev(addresses: Addresses, tokens: dict[str, Any]) -> WorkspaceClient:
    """The client of dev's principal, with the privilege to create catalogs that the metastore's admin gave it."""
    person = client(addresses, tokens, "person")
    metastore = person.metastores.summary().metastore_id
    assert metastore is not None
    person.grants.update(
        "metastore", metastore, changes=[PermissionsChange(add=[Privilege.CREATE_CATALOG], principal=DEV)]
    )
    found = client(addresses, tokens, "dev")
    found.catalogs.create("shop")
    found.schemas.create("bronze", "shop")
    return found


def test_the_tokens_file_is_for_its_owner_and_gone_afterwards(tmp_path: Path) -> None:
    """Mode 0600 while the cloud is served; no token outlives the process."""
    with served(new_cloud(), tmp_path) as found:
        assert stat.S_IMODE(found.tokens.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "server.pem").stat().st_mode) == 0o600
    assert not found.tokens.exists()
    assert not (tmp_path / "server.pem").exists()


def test_everything_listens_on_the_loopback_address_only(addresses: Addresses) -> None:
    """No other machine reaches it."""
    assert {address.split("//")[1].split(":")[0] for address in [*addresses.hosts.values(), addresses.proxy]} == {
        "127.0.0.1"
    }


def test_nobody_is_served_without_a_token(addresses: Addresses) -> None:
    """There is no anonymous caller, at no service."""
    for host in addresses.hosts.values():
        for token in ("", "Bearer wrong"):
            request = urllib.request.Request(f"{host}/api/2.0/preview/scim/v2/Me", headers={"Authorization": token})  # noqa: S310 -- loopback
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)  # noqa: S310 -- loopback
            assert refused.value.code == 401


def test_a_principal_that_is_created_later_gets_a_token_from_who_may_read_the_file(
    addresses: Addresses, tokens: dict[str, Any]
) -> None:
    """The account stack makes service principals; a rehearsal signs in as them."""
    person = tokens["identities"]["person"]["token"]
    account = AccountClient(
        host=addresses.hosts["account"], account_id=tokens["account_id"], token=person, auth_type="pat"
    )
    made = account.service_principals.create(display_name="later")
    body = json.dumps({"principal": made.application_id}).encode()
    for control, status in ((person, 401), (tokens["control_token"], 200)):
        request = urllib.request.Request(  # noqa: S310 -- loopback
            f"{addresses.hosts['account']}/.emulator/tokens", data=body, headers={"Authorization": f"Bearer {control}"}
        )
        assert _status(request) == status


def _status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 -- loopback
            return 200 if "token" in json.load(answer) else 0
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_sdk_reads_who_it_is_and_which_groups_exist(dev: WorkspaceClient) -> None:
    """The service principal is itself, and the workspace has its own groups."""
    assert dev.current_user.me().user_name == DEV
    assert {"admins", "users"} <= {group.display_name for group in dev.groups.list()}


def test_the_sdk_creates_lists_changes_and_runs_a_job(dev: WorkspaceClient) -> None:
    """Tasks come back sorted, the run holds the parameters, and without an executor it waits until it is cancelled."""
    wheel = PythonWheelTask(package_name="p", entry_point="main")
    tasks = [
        Task(task_key="b", depends_on=[TaskDependency(task_key="a")], python_wheel_task=wheel),
        Task(task_key="a", python_wheel_task=wheel),
    ]
    number = dev.jobs.create(name="nightly", tasks=tasks, run_as=JobRunAs(service_principal_name=DEV)).job_id
    assert number is not None
    assert number > 2**53
    assert [job.job_id for job in dev.jobs.list(name="nightly")] == [number]
    found = dev.jobs.get(number)
    assert found.run_as_user_name == DEV
    assert found.settings is not None
    assert [task.task_key for task in found.settings.tasks or []] == ["a", "b"]
    dev.jobs.update(number, new_settings=JobSettings(max_concurrent_runs=2))
    run = dev.jobs.run_now(number)
    assert [one.run_id for one in dev.jobs.list_runs(job_id=number)] == [run.run_id]
    dev.jobs.cancel_run(run.run_id)
    state = dev.jobs.get_run(run.run_id).state
    assert state is not None
    assert state.result_state is not None
    assert state.result_state.value == "CANCELED"


def test_a_person_without_the_role_cannot_let_a_job_run_as_a_service_principal(
    addresses: Addresses, tokens: dict[str, Any]
) -> None:
    """Not even an account admin."""
    with pytest.raises(PermissionDenied, match="service principal"):
        client(addresses, tokens, "person").jobs.create(name="x", run_as=JobRunAs(service_principal_name=DEV))


def test_the_sdk_sets_permissions_and_shows_those_that_are_inherited(dev: WorkspaceClient) -> None:
    """What was set comes back with its level, and admins manage everything."""
    number = dev.jobs.create(name="guarded").job_id
    wanted = [
        AccessControlRequest(service_principal_name=DEV, permission_level=PermissionLevel.IS_OWNER),
        AccessControlRequest(user_name=ANALYST.principal, permission_level=PermissionLevel.CAN_VIEW),
    ]
    dev.permissions.set("jobs", str(number), access_control_list=wanted)
    entries = dev.permissions.get("jobs", str(number)).access_control_list or []
    shown = {one.user_name or one.group_name or one.service_principal_name for one in entries}
    assert shown == {DEV, ANALYST.principal, "admins"}


def test_files_of_a_volume_are_bytes_that_come_back(dev: WorkspaceClient) -> None:
    """Uploaded, listed, read and deleted through the Files API."""
    dev.volumes.create("shop", "bronze", "landing", VolumeType.MANAGED)
    path = "/Volumes/shop/bronze/landing/day/one.csv"
    dev.files.upload(path, io.BytesIO(b"a,b\n1,2\n"))
    contents = dev.files.download(path).contents
    assert contents is not None
    assert contents.read() == b"a,b\n1,2\n"
    assert [entry.name for entry in dev.files.list_directory_contents("/Volumes/shop/bronze/landing")] == ["day"]
    dev.files.delete(path)
    with pytest.raises(NotFound):
        dev.files.download(path)


def test_a_file_that_comes_in_chunks_is_whole_and_keeps_its_time(
    dev: WorkspaceClient, addresses: Addresses, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the provider sends what it reads from a file; another time would be a change by somebody else."""
    dev.volumes.create("shop", "bronze", "wheels", VolumeType.MANAGED)
    path, parts = "/Volumes/shop/bronze/wheels/one.whl", [b"first" * 10_000, b"", b"second\r\n0\r\n\r\n"]
    connection = http.client.HTTPConnection(addresses.hosts["dev"].removeprefix("http://"))
    signed = {"Authorization": f"Bearer {tokens['identities']['dev']['token']}"}
    connection.request(
        "PUT", f"/api/2.0/fs/files{path}", iter([one for one in parts if one]), signed, encode_chunked=True
    )
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    contents = dev.files.download(path).contents
    assert contents is not None
    assert contents.read() == b"".join(parts)
    written = dev.files.get_metadata(path).last_modified
    monkeypatch.setattr("email.utils.formatdate", lambda *_, **_options: "Sat, 01 Jan 2050 00:00:00 GMT")
    assert dev.files.get_metadata(path).last_modified == written


def test_an_alert_says_who_it_runs_as_where_it_was_told(dev: WorkspaceClient) -> None:
    """``run_as_user_name`` stays empty: the provider does not expect an answer to what was not asked."""
    asked = AlertV2(
        display_name="silent", query_text="SELECT 1 AS one", warehouse_id="w",
        evaluation=AlertV2Evaluation(source=AlertV2OperandColumn(name="one"), comparison_operator=ComparisonOperator.EQUAL),
        schedule=CronSchedule(quartz_cron_schedule="0 0 8 * * ?", timezone_id="UTC"),
    )  # fmt: skip
    made = dev.alerts_v2.create_alert(asked)
    assert (made.run_as_user_name, made.run_as) == (None, None)
    assert made.effective_run_as == AlertV2RunAs(service_principal_name=DEV)


def test_only_pinned_clusters_are_listed_as_pinned(dev: WorkspaceClient) -> None:
    """The provider reads from the list whether a cluster is pinned, and unpins one that is not declared so."""
    made = dev.clusters.create(spark_version="18.x-scala2.13", cluster_name="pins", num_workers=1).cluster_id
    assert made is not None

    def pinned() -> list[str | None]:
        return [one.cluster_id for one in dev.clusters.list(filter_by=ListClustersFilterBy(is_pinned=True))]

    assert (pinned(), made in [one.cluster_id for one in dev.clusters.list()]) == ([], True)
    dev.clusters.pin(made)
    assert pinned() == [made]
    dev.clusters.unpin(made)
    dev.clusters.unpin(made)
    assert pinned() == []


def test_a_workspace_that_is_changed_is_answered_with_its_number(addresses: Addresses, tokens: dict[str, Any]) -> None:
    """Clients wait for the workspace of the answer to run."""
    person, number = tokens["identities"]["person"]["token"], 1_000_000_000_000_001
    account = AccountClient(
        host=addresses.hosts["account"], account_id=tokens["account_id"], token=person, auth_type="pat"
    )
    wanted = Workspace(network_connectivity_config_id="connected")
    changed = account.workspaces.update(number, wanted, update_mask="network_connectivity_config_id").result()
    assert (changed.workspace_id, changed.network_connectivity_config_id) == (number, "connected")


def test_a_vault_says_where_tokens_for_it_come_from(cloud: Cloud) -> None:
    """Its clients ask without a token first; other services do not say it."""
    answers = {
        host: cloud.answer(Request(host=host, method="GET", target="/keys/disk", content=b"", token="", network=""))
        for host in ("kv.vault.azure.net", "management.azure.com")
    }
    assert {answer.status for answer in answers.values()} == {401}
    asked = answers["kv.vault.azure.net"].headers["WWW-Authenticate"]
    assert (
        asked
        == f'Bearer authorization="https://login.microsoftonline.com/{Site().tenant}", resource="https://vault.azure.net"'
    )
    assert "WWW-Authenticate" not in answers["management.azure.com"].headers


def test_a_token_says_who_holds_it_and_is_known_to_its_cloud_alone(tokens: dict[str, Any]) -> None:
    """Clients read the claims; the same claims with another signature are nobody."""
    token = tokens["identities"]["dev"]["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["appid"], claims["idtyp"], claims["tid"]) == (DEV, "app", Site().tenant)
    person = jwt.decode(tokens["identities"]["person"]["token"], options={"verify_signature": False})
    assert (person["upn"], person["idtyp"]) == ("person@meridian-air.example", "user")
    forged = token.rpartition(".")[0] + ".c2lnbmVk"
    assert new_cloud().world.tokens.get(forged) is None


def test_the_number_of_a_notebook_is_one_that_a_float_holds(dev: WorkspaceClient) -> None:
    """The provider plans it as a float, and stops when what it applies is another number; it stays when the content changes."""
    numbers = set()
    for content in (b"print(1)", b"print(2)"):
        encoded = base64.b64encode(content).decode()
        dev.workspace.import_(
            "/numbered", content=encoded, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True
        )
        numbers.add(dev.workspace.get_status("/numbered").object_id)
    (number,) = numbers
    assert number is not None
    assert int(float(number)) == number < 2**53


def test_secrets_are_read_by_who_may(dev: WorkspaceClient, addresses: Addresses, tokens: dict[str, Any]) -> None:
    """An analyst reads a scope once an ACL lets it."""
    dev.secrets.create_scope("team")
    dev.secrets.put_secret("team", "key", string_value="value")
    analyst = client(addresses, tokens, "analyst")
    with pytest.raises(PermissionDenied):
        list(analyst.secrets.list_secrets("team"))
    dev.secrets.put_acl("team", ANALYST.principal, AclPermission.READ)
    assert [secret.key for secret in analyst.secrets.list_secrets("team")] == ["key"]


def test_a_table_is_read_after_every_grant_on_the_way_to_it(
    dev: WorkspaceClient, addresses: Addresses, tokens: dict[str, Any]
) -> None:
    """The statement names the privilege that is missing: the catalog's, the schema's, the table's."""
    analyst = client(addresses, tokens, "analyst")
    dev.api_client.do(
        "POST",
        "/api/2.1/unity-catalog/tables",
        body={"catalog_name": "shop", "schema_name": "bronze", "name": "orders"},
    )
    missing = []
    for kind, name, privilege in (
        ("catalog", "shop", Privilege.USE_CATALOG), ("schema", "shop.bronze", Privilege.USE_SCHEMA),
        ("table", "shop.bronze.orders", Privilege.SELECT),
    ):  # fmt: skip
        status = analyst.statement_execution.execute_statement("SELECT * FROM shop.bronze.orders", "w").status
        assert status is not None
        assert status.error is not None
        missing.append(status.error.message)
        dev.grants.update(kind, name, changes=[PermissionsChange(add=[privilege], principal=ANALYST.principal)])
    assert [str(message).split(" have ")[1].split(" on ")[0] for message in missing] == [
        "USE CATALOG",
        "USE SCHEMA",
        "SELECT",
    ]
    status = analyst.statement_execution.execute_statement("SELECT * FROM shop.bronze.orders", "w").status
    assert status is not None
    assert status.state is StatementState.SUCCEEDED


def test_an_isolated_catalog_is_closed_to_other_workspaces(addresses: Addresses, tokens: dict[str, Any]) -> None:
    """Even to the metastore's admin, who sees it in the workspace that it is bound to."""
    owner = client(addresses, tokens, "person")
    owner.catalogs.create("closed")
    owner.catalogs.update("closed", isolation_mode=CatalogIsolationMode.ISOLATED)
    assert owner.catalogs.get("closed").name == "closed"
    with pytest.raises(PermissionDenied, match="not accessible in current workspace"):
        client(addresses, tokens, "person", "prod").catalogs.get("closed")


def test_the_sdk_reaches_real_host_names_through_the_proxy(
    addresses: Addresses, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy answers for them with a certificate of its own authority; the account and a workspace."""
    monkeypatch.setenv("HTTPS_PROXY", addresses.proxy)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(addresses.authority))
    person, account = tokens["identities"]["person"]["token"], tokens["account_id"]
    hosts = tokens["real_hosts"]
    clients = AccountClient(host=f"https://{hosts['account']}", account_id=account, token=person, auth_type="pat")
    assert [workspace.workspace_name for workspace in clients.workspaces.list()] == ["dev", "staging", "prod"]
    workspace = WorkspaceClient(host=f"https://{hosts['dev']}", token=person, auth_type="pat")
    assert workspace.current_user.me().user_name == "person@meridian-air.example"


def test_the_proxy_leads_nowhere_else(addresses: Addresses) -> None:
    """A host that no service has is refused in a sentence, before any certificate."""
    proxy = http.client.HTTPSConnection(addresses.proxy.removeprefix("http://"))
    proxy.set_tunnel("registry.terraform.io", 443)
    with pytest.raises(OSError, match="502 The emulator stands for no host registry"):
        proxy.request("GET", "/.well-known/terraform.json")


def test_the_mlflow_client_finds_experiments(
    dev: WorkspaceClient, addresses: Addresses, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same host and token; the tags that the service adds are there."""
    created = dev.experiments.create_experiment("/shop/late")
    monkeypatch.setenv("DATABRICKS_HOST", addresses.hosts["dev"])
    monkeypatch.setenv("DATABRICKS_TOKEN", tokens["identities"]["dev"]["token"])
    found = mlflow.MlflowClient("databricks").get_experiment_by_name("/shop/late")
    assert found is not None
    assert found.experiment_id == created.experiment_id
    assert found.tags["mlflow.experiment.sourceName"] == "/shop/late"
