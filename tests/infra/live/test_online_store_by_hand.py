"""Who was let use the online store of a workspace by hand is found: the provider declares no permissions of projects."""

from pathlib import Path

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import iam
from databricks.sdk.service.ml import OnlineStore

from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name
from infra.constructs.release import Release
from infra.emulated_cloud.areas.databricks.online_store_rules import PROJECTS
from infra.emulated_cloud.prepared import new_cloud, token_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import SERVICE_PRINCIPAL
from infra.graph.declared import as_synthesized
from infra.live.looking import Declaration, rights_of_workspace
from infra.stacks.estate import stacks
from pipelines.declarations.online_store import STORE
from tests.infra.conftest import PUBLISHING

ENGINEERS = "grp-mrd-prod-ml-engineer"


def test_a_permission_on_the_store_is_told_and_what_its_maker_has_is_not(
    settings_with_stores: Settings, release: Release, tmp_path: Path
) -> None:
    """Above every ceiling: who may use the store reads the newest values of all features."""
    declared = Declaration(
        as_synthesized(stacks(settings_with_stores, PUBLISHING, release)), {}, settings_with_stores, PUBLISHING, "prod"
    )
    cloud = new_cloud()
    for document in cloud.world.scim(SERVICE_PRINCIPAL).values():
        document["displayName"] = name(ResourceKind.APPLICATION, "mrd", document["displayName"])
    with served(cloud, tmp_path / "cloud") as addresses:
        client = WorkspaceClient(host=addresses.hosts["prod"], token=token_of(cloud.world, "prod"), auth_type="pat")
        client.feature_store.create_online_store(OnlineStore(name=STORE, capacity="CU_2", read_replica_count=1))
        before = [one for one in rights_of_workspace(client, declared).added if one.kind == "online_store"]
        cloud.world.scim("Groups")["1"] = {"id": "1", "displayName": ENGINEERS, "members": []}
        client.permissions.update(PROJECTS, STORE, access_control_list=[
            iam.AccessControlRequest(group_name=ENGINEERS, permission_level=iam.PermissionLevel.CAN_USE)])  # fmt: skip
        (found,) = [one for one in rights_of_workspace(client, declared).added if one.kind == "online_store"]
    assert before == []
    assert (found.principal, found.on, found.words, found.declared) == (ENGINEERS, STORE, ("CAN_USE",), ())
    assert found.above == ("CAN_USE",)
    assert found.remedy == (
        f"No stack states who may use an online store: take CAN_USE from {ENGINEERS} with "
        f"`databricks permissions set {PROJECTS} {STORE}`."
    )
