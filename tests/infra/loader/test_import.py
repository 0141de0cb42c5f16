"""What exists without being in a state is taken over by the real Terraform through the loader: by command and by block."""

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

pytestmark = [pytest.mark.terraform, pytest.mark.proof]
VERSION = "1.99.0"
DEV = principal_of("dev", 1).principal
HOST = "https://adb-1000000000000001.7.azuredatabricks.net"
STAGING = 2000000000000002
RESOURCES: dict[str, Any] = {
    "databricks_catalog": {"shop": {"name": "shop", "isolation_mode": "ISOLATED", "comment": "of the shop"}},
    "databricks_schema": {"raw": {"catalog_name": "${databricks_catalog.shop.name}", "name": "raw"}},
    "databricks_grants": {"raw": {
        "schema": "${databricks_schema.raw.id}",
        "grant": [{"principal": "account users", "privileges": ["USE_SCHEMA", "SELECT"]}],
    }},
    "databricks_workspace_binding": {"staging": {
        "securable_type": "catalog", "securable_name": "${databricks_catalog.shop.name}", "workspace_id": STAGING,
        "binding_type": "BINDING_TYPE_READ_ONLY",
    }},
    "databricks_workspace_conf": {"one": {"custom_config": {"enableDbfsFileBrowser": "false"}}},
}  # fmt: skip
IDS = {
    "databricks_catalog.shop": "shop", "databricks_schema.raw": "shop.raw", "databricks_grants.raw": "schema/shop.raw",
    "databricks_workspace_binding.staging": f"{STAGING}|catalog|shop",
}  # fmt: skip


def stack(**more: Any) -> dict[str, Any]:
    """Return the stack."""
    return {
        "terraform": {"required_providers": {"databricks": {"source": "databricks/databricks", "version": VERSION}}, "backend": {"local": {}}},
        "provider": {"databricks": [{"host": HOST, "auth_type": "azure-cli"}]},
        "resource": RESOURCES, **more,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder in which Terraform runs as dev's identity."""

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

    def says(self, *words: str) -> str:
        """Return what a command that is refused says, in one line."""
        refused = self.run(*words)
        assert refused.returncode == 1, refused.stdout
        return " ".join(refused.stderr.split())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A prepared cloud in which the stack is applied and only the configuration of the workspace is in the state."""
    folder, site = tmp_path_factory.mktemp("import"), Site()
    cloud: Cloud = new_cloud(site)
    cloud.world.store(f"metastore {site.metastore}", "grants")[f"metastore {site.metastore}"] = {
        DEV: ["CREATE_CATALOG"]
    }
    (folder / "stack").mkdir()
    described = SynthesizedStack(name="dev-workspace", folder=folder / "stack", content=stack())
    with served(cloud, folder / "cloud") as addresses, loader_mirror([described], folder) as providers:
        variables = {
            **signed_out(addresses, site, folder), sign_in.IDENTITY: DEV, "TF_CLI_CONFIG_FILE": str(providers.configuration),
        }  # fmt: skip
        found = Place(folder=folder / "stack", variables=variables)
        found.write(stack())
        for words in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false"), ("state", "rm", *IDS)):
            done = found.run(*words)
            assert done.returncode == 0, done.stderr
        yield found


def test_what_exists_is_imported_by_the_documented_id_and_then_nothing_is_to_change(place: Place) -> None:
    """One by the command, the others by blocks; a plan of both is nothing but the import."""
    taken = place.run("import", "databricks_catalog.shop", IDS["databricks_catalog.shop"])
    assert taken.returncode == 0, taken.stderr
    blocks = [{"to": address, "id": identity} for address, identity in IDS.items() if "catalog.shop" not in address]
    place.write(stack(**{"import": blocks}))
    planned = place.run("plan", "-input=false")
    assert f"{len(blocks)} to import, 0 to add, 0 to change, 0 to destroy." in planned.stdout, planned.stdout
    place.write(stack())
    assert place.run("state", "rm", "databricks_catalog.shop").returncode == 0


@pytest.mark.parametrize(
    ("address", "identity", "said"),
    [
        ("databricks_catalog.shop", "no_such", "Cannot import non-existent remote object"),
        ("databricks_workspace_binding.staging", "shop", "its form is {workspace_id}|{securable_type}|{securable_name}"),
        ("databricks_grants.raw", "scheme/shop.raw", "'scheme' is no kind of securable: metastore, catalog, schema"),
    ],
)  # fmt: skip
def test_an_id_that_names_nothing_is_refused_in_one_sentence(
    place: Place, address: str, identity: str, said: str
) -> None:
    """The object is missing, or the id has another form."""
    assert said in place.says("import", address, identity)


def test_what_the_provider_does_not_import_is_refused_in_its_own_words(place: Place) -> None:
    """The sentence is the one of the provider's page, which it names."""
    assert place.run("state", "rm", "databricks_workspace_conf.one").returncode == 0
    said = place.says("import", "databricks_workspace_conf.one", "_")
    assert (
        "Importing this resource is not currently supported. (https://registry.terraform.io/providers/databricks"
        in said
    )


def test_terraform_writes_the_configuration_of_what_it_imports(place: Place) -> None:
    """What it writes states the object as it is: planned again with it, only the import is left."""
    content = stack(**{"import": [{"to": "databricks_catalog.found", "id": "shop"}]})
    del content["resource"]
    place.write(content)
    try:
        generated = place.run("plan", "-input=false", "-generate-config-out=found.tf")
        assert generated.returncode == 0, generated.stderr
        assert 'comment = "of the shop"' in " ".join((place.folder / "found.tf").read_text(encoding="utf-8").split())
        planned = place.run("plan", "-input=false")
        assert "1 to import, 0 to add, 0 to change" in planned.stdout, planned.stdout
    finally:
        (place.folder / "found.tf").unlink(missing_ok=True)
        place.write(stack())
