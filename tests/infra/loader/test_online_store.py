"""The online store of a stack is created, changed in place, read and destroyed in the emulated cloud by the real Terraform."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.emulated_cloud.areas.databricks.online_store_rules import STORES
from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud, principal_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import Site
from infra.loader.mirror import loader_mirror
from infra.rehearsal import sign_in
from infra.rehearsal.site import signed_out
from infra.terraform_cli.synthesized import SynthesizedStack

pytestmark = pytest.mark.terraform
WORKSPACE = "1000000000000001"
NAME = "online-features"


def content(**changes: Any) -> dict[str, Any]:
    """A stack with the store alone, as the workspace stack declares it."""
    stated = {"name": NAME, "capacity": "CU_1", **changes}
    return {
        "terraform": {
            "required_providers": {"databricks": {"source": "databricks/databricks", "version": "1.99.0"}},
            "backend": {"local": {}},
        },
        "provider": {"databricks": [{"host": f"https://adb-{WORKSPACE}.7.azuredatabricks.net", "auth_type": "azure-cli"}]},
        "resource": {"databricks_online_store": {"features": stated}},
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder in which Terraform runs as dev's identity, and the cloud that it reaches."""

    cloud: Cloud
    folder: Path
    variables: Mapping[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform."""
        environment = {**os.environ, **self.variables}
        command = ["terraform", *words, "-no-color", "-input=false"]
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False)

    def apply(self, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Apply the stack with changes."""
        (self.folder / "cdk.tf.json").write_text(json.dumps(content(**changes)), encoding="utf-8")
        return self.run("apply", "-auto-approve")

    @property
    def stores(self) -> dict[str, Any]:
        """The stores of the workspace."""
        return self.cloud.world.store(f"workspace {WORKSPACE}", STORES)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A prepared cloud, and the loader in place of the provider."""
    site = Site()
    cloud, stack = new_cloud(site), SynthesizedStack(name="stores", folder=tmp_path, content=content())
    with served(cloud, tmp_path / "cloud") as addresses, loader_mirror([stack], tmp_path) as providers:
        variables = {
            **signed_out(addresses, site, tmp_path), sign_in.IDENTITY: principal_of("dev", 1).principal,
            "TF_CLI_CONFIG_FILE": str(providers.configuration),
        }  # fmt: skip
        found = Place(cloud=cloud, folder=tmp_path, variables=variables)
        (tmp_path / "cdk.tf.json").write_text(json.dumps(content()), encoding="utf-8")
        initialised = found.run("init")
        assert initialised.returncode == 0, initialised.stderr
        yield found


def test_a_store_is_created_once_changed_in_place_and_destroyed(place: Place) -> None:
    """A second plan is empty; what somebody changed by hand is told and set back; a size that is none is refused."""
    applied = place.apply()
    assert applied.returncode == 0, applied.stderr
    assert place.stores[NAME]["creation_time"]
    assert (place.stores[NAME]["capacity"], place.stores[NAME]["~creator"]) == (
        "CU_1",
        principal_of("dev", 1).principal,
    )
    assert place.run("plan", "-detailed-exitcode").returncode == 0
    grown = place.apply(capacity="CU_2", read_replica_count=1)
    assert (grown.returncode, "1 changed, 0 destroyed" in grown.stdout) == (0, True), grown.stderr
    assert (place.stores[NAME]["capacity"], place.stores[NAME]["read_replica_count"]) == ("CU_2", 1)
    place.stores[NAME]["capacity"] = "CU_8"
    drifted = place.run("plan", "-detailed-exitcode")
    assert (drifted.returncode, '"CU_8" -> "CU_2"' in drifted.stdout) == (2, True), drifted.stdout
    refused = place.apply(capacity="CU_3")
    assert (refused.returncode, "Valid values are CU_1, CU_2, CU_4, CU_8" in " ".join(refused.stderr.split())) == (
        1,
        True,
    )
    destroyed = place.run("destroy", "-auto-approve")
    assert (destroyed.returncode, dict(place.stores)) == (0, {}), destroyed.stderr
