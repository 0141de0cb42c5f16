"""The stacks' own resources of Azure Monitor are created, changed and destroyed in the emulated cloud by the real Terraform."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud, principal_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import Site
from infra.loader.kinds.azure_monitor import KINDS
from infra.loader.mirror import loader_mirror
from infra.rehearsal import sign_in
from infra.rehearsal.site import signed_out
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.telemetry.instruments import INSTRUMENTS

pytestmark = pytest.mark.terraform
KEPT = {"azurerm_resource_group", *KINDS}
STACK = "dev-platform"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder in which Terraform runs as dev's identity, and the cloud that it reaches."""

    cloud: Cloud
    stack: SynthesizedStack
    variables: Mapping[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform on the stack as it is now."""
        (self.stack.folder / "cdk.tf.json").write_text(json.dumps(self.stack.content), encoding="utf-8")
        command, environment = ["terraform", *words, "-no-color"], {**os.environ, **self.variables}
        return subprocess.run(
            command, cwd=self.stack.folder, env=environment, text=True, capture_output=True, check=False
        )

    def created(self, type_: str) -> dict[str, Any]:
        """Return the resources of a type in Azure by name."""
        found = self.cloud.world.store("azure", "resources").values()
        return {one["name"]: one for one in found if one["type"].lower() == type_.lower()}


def of_monitor(stack: SynthesizedStack) -> SynthesizedStack:
    """Return a stack with its resource group and its resources of Azure Monitor alone, and its state beside it."""
    content: dict[str, Any] = json.loads(json.dumps(dict(stack.content)))
    content["resource"] = {kind: named for kind, named in content["resource"].items() if kind in KEPT}
    for unused in ("data", "output"):
        content.pop(unused, None)
    content["terraform"]["backend"] = {"local": {}}
    content["provider"].pop("azuread")
    content["terraform"]["required_providers"].pop("azuread")
    return SynthesizedStack(name=stack.name, folder=stack.folder, content=content)


@pytest.fixture(scope="module")
def place(estate_with_telemetry: Mapping[str, Stack], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A prepared cloud, and the loader in place of the providers."""
    folder, site = tmp_path_factory.mktemp("monitor"), Site()
    synthesize(list(estate_with_telemetry.values()), folder / "cdktf.out")
    stack, cloud = of_monitor(read_stacks(folder / "cdktf.out")[STACK]), new_cloud(site)
    with served(cloud, folder / "cloud") as addresses, loader_mirror([stack], folder) as providers:
        variables = {
            **signed_out(addresses, site, folder), sign_in.IDENTITY: principal_of("dev", 1).principal,
            "TF_CLI_CONFIG_FILE": str(providers.configuration),
        }  # fmt: skip
        found = Place(cloud=cloud, stack=stack, variables=variables)
        initialised = found.run("init", "-input=false")
        assert initialised.returncode == 0, initialised.stderr
        yield found


def test_what_is_declared_is_created_once_and_destroyed(place: Place) -> None:
    """Every alert has its rule; a second plan is empty; a short name that is too long is refused."""
    applied = place.run("apply", "-auto-approve", "-input=false")
    assert applied.returncode == 0, applied.stderr
    (component,) = place.created("Microsoft.Insights/components").values()
    assert component["properties"]["DisableLocalAuth"] is True
    assert component["properties"]["publicNetworkAccessForIngestion"] == "Disabled"
    assert len(place.created("Microsoft.Insights/privateLinkScopes/scopedResources")) == 2
    rules = place.created("Microsoft.Insights/scheduledQueryRules")
    assert len(rules) == sum(len(one.alerts) for one in INSTRUMENTS)
    assert place.run("plan", "-input=false", "-detailed-exitcode").returncode == 0
    group = place.stack.content["resource"]["azurerm_monitor_action_group"]["on_call"]
    group["short_name"] = "longer-than-twelve"
    refused = place.run("apply", "-auto-approve", "-input=false")
    assert (refused.returncode, "1 to 12 characters" in " ".join(refused.stderr.split())) == (1, True), refused.stderr
    destroyed = place.run("destroy", "-auto-approve", "-input=false")
    assert destroyed.returncode == 0, destroyed.stderr
    assert place.created("Microsoft.Insights/components") == {}
