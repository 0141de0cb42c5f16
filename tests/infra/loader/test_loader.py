"""The loader creates, changes, reads and deletes real objects of the emulated cloud for the real Terraform."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud, principal_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import Site
from infra.loader.mirror import loader_mirror
from infra.rehearsal import sign_in
from infra.rehearsal.site import signed_out
from infra.terraform_cli.synthesized import SynthesizedStack

pytestmark = pytest.mark.terraform
VERSION = "1.99.0"
DEV = principal_of("dev", 1).principal
HOST = "https://adb-1000000000000001.7.azuredatabricks.net"

IDS = {
    "databricks_catalog.shop": "shop", "databricks_schema.raw": "shop.raw", "databricks_grants.raw": "schema/shop.raw",
}  # fmt: skip
"""Address to the id that the provider's page of the type states."""


def stack(comment: str) -> dict[str, Any]:
    """Return a stack with a catalog, a schema in it, and grants."""
    return {
        "terraform": {"required_providers": {"databricks": {"source": "databricks/databricks", "version": VERSION}}, "backend": {"local": {}}},
        "provider": {"databricks": [{"host": HOST, "auth_type": "azure-cli"}]},
        "resource": {
            "databricks_catalog": {"shop": {"name": "shop", "isolation_mode": "ISOLATED"}},
            "databricks_schema": {"raw": {"catalog_name": "${databricks_catalog.shop.name}", "name": "raw", "comment": comment}},
            "databricks_grants": {"raw": {
                "schema": "${databricks_schema.raw.id}",
                "grant": [{"principal": "account users", "privileges": ["USE_SCHEMA", "SELECT"]}],
            }},
        },
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder in which Terraform runs as dev's identity, and the cloud that it reaches."""

    cloud: Cloud
    folder: Path
    variables: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform."""
        environment = {**os.environ, **self.variables}
        return subprocess.run(
            ["terraform", *words, "-no-color"],
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )

    def write(self, content: dict[str, Any]) -> None:
        """Write the stack."""
        (self.folder / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")

    def kept(self, kind: str) -> dict[str, Any]:
        """Return the objects of a kind in the metastore."""
        return self.cloud.world.store(f"metastore {self.cloud.world.site.metastore}", kind)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A prepared cloud in which dev's principal may create catalogs, and the loader in place of the provider."""
    folder, site = tmp_path_factory.mktemp("loader"), Site()
    cloud = new_cloud(site)
    cloud.world.store(f"metastore {site.metastore}", "grants")[f"metastore {site.metastore}"] = {
        DEV: ["CREATE_CATALOG"]
    }
    (folder / "stack").mkdir()
    described = SynthesizedStack(name="dev-workspace", folder=folder / "stack", content=stack("first"))
    with served(cloud, folder / "cloud") as addresses, loader_mirror([described], folder) as providers:
        variables = {
            **signed_out(addresses, site, folder), sign_in.IDENTITY: DEV, "TF_CLI_CONFIG_FILE": str(providers.configuration),
        }  # fmt: skip
        found = Place(cloud=cloud, folder=folder / "stack", variables=variables)
        found.write(stack("first"))
        initialised = found.run("init", "-input=false")
        assert initialised.returncode == 0, initialised.stderr
        yield found


def test_a_stack_is_applied_changed_found_changed_by_hand_forgotten_taken_over_and_destroyed(place: Place) -> None:
    """Apply then plan is empty; a grant that somebody gives by hand is found; what no state knows is imported; what is destroyed is gone."""
    applied = place.run("apply", "-auto-approve", "-input=false")
    assert applied.returncode == 0, applied.stderr
    assert "Loader in place of the provider" in applied.stdout
    assert place.kept("catalog")["shop"]["owner"] == DEV
    assert place.run("plan", "-input=false", "-detailed-exitcode").returncode == 0
    grants = place.kept("grants")["schema shop.raw"]
    grants["account users"] = [*grants["account users"], "MODIFY"]
    drifted = place.run("plan", "-input=false", "-detailed-exitcode")
    assert (drifted.returncode, "MODIFY" in drifted.stdout) == (2, True), drifted.stdout
    place.write(stack("second"))
    assert place.run("apply", "-auto-approve", "-input=false").returncode == 0
    assert place.kept("schema")["shop.raw"]["comment"] == "second"
    assert "MODIFY" not in place.kept("grants")["schema shop.raw"]["account users"]
    assert place.run("state", "rm", *IDS).returncode == 0
    blocks = [{"to": address, "id": identity} for address, identity in IDS.items()]
    place.write({**stack("second"), "import": blocks})
    taken = place.run("apply", "-auto-approve", "-input=false")
    assert "Resources: 3 imported, 0 added, 0 changed, 0 destroyed." in taken.stdout, taken.stdout + taken.stderr
    destroyed = place.run("destroy", "-auto-approve", "-input=false")
    assert destroyed.returncode == 0, destroyed.stderr
    assert place.kept("catalog") == {}


def test_what_the_service_refuses_is_the_error_of_the_resource(place: Place) -> None:
    """The message is the service's, and nothing is in the state."""
    content = stack("first")
    content["resource"]["databricks_grants"]["raw"]["grant"][0]["principal"] = "no such group"
    place.write(content)
    refused = place.run("apply", "-auto-approve", "-input=false")
    assert refused.returncode == 1
    assert "Could not find principal with name no such group" in " ".join(refused.stderr.split())
    assert "databricks_grants.raw" not in place.run("state", "list").stdout
