"""Applies synthesized stacks in an emulated cloud with the real Terraform, and keeps what the cloud refused.

The loader stands for the providers: it creates the objects of Databricks and Entra, and makes the values of most of Azure up.
What Azure itself decides about those is asked by `azure_requests`.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.emulated_cloud.areas.databricks.principals import add_principal
from infra.emulated_cloud.calls import CloudAnswer
from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import PERSON, new_cloud
from infra.emulated_cloud.server import Addresses, served
from infra.emulated_cloud.world import GROUP, SERVICE_PRINCIPAL, USER, Caller, Json, Site, World
from infra.loader.mirror import loader_mirror
from infra.rehearsal import sign_in
from infra.rehearsal.site import signed_out
from infra.terraform_cli.synthesized import SynthesizedStack


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One request that a rule of the cloud has refused: the rule, who sent it, and to which path."""

    rule: str
    who: str
    path: str


@dataclass(frozen=True, kw_only=True)
class RecordingCloud(Cloud):
    """A cloud that keeps its refusals."""

    refusals: list[Refusal] = field(default_factory=list)

    def answer(self, request: Request) -> CloudAnswer:
        """Answer a request and keep the rule that refused it, as the answer's header names it."""
        answer = super().answer(request)
        if rule := answer.headers.get("X-Emulator-Rule"):
            who = self.world.tokens[request.token].principal
            self.refusals.append(Refusal(rule=rule, who=who, path=request.target.partition("?")[0]))
        return answer


@dataclass(frozen=True, kw_only=True)
class DeployedCloud:
    """A cloud without a workspace, and stacks that are to be applied in it.

    Parameters
    ----------
    addresses
        Where it is served.
    folder
        Below which the stacks, their states and the wheel lie.
    variables
        The environment of Terraform, but for who is signed in.
    """

    cloud: RecordingCloud
    addresses: Addresses
    folder: Path
    stacks: Mapping[str, SynthesizedStack]
    variables: Mapping[str, str]

    @property
    def world(self) -> World:
        """What exists."""
        return self.cloud.world

    def terraform(self, stack: str, who: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform in a stack as an identity."""
        return subprocess.run(
            ["terraform", *words, "-no-color"], cwd=self.stacks[stack].folder, text=True, capture_output=True, check=False,
            env={**os.environ, **self.variables, sign_in.IDENTITY: who},
        )  # fmt: skip

    def apply(self, stack: str, who: str, *targets: str) -> list[Refusal]:
        """Apply a stack, or some of its resources and what they need, and return what was refused; none if it succeeds."""
        ready = self.terraform(stack, who, "init", "-input=false")
        assert ready.returncode == 0, ready.stderr
        before = len(self.cloud.refusals)
        chosen = [f"-target={target}" for target in targets]
        done = self.terraform(stack, who, "apply", "-auto-approve", "-input=false", *chosen)
        refused = self.cloud.refusals[before:]
        assert (done.returncode == 0) is (not refused), done.stderr[-3000:]
        return refused

    def resources(self, stack: str, kind: str) -> Mapping[str, Json]:
        """Return the resources of a type as a stack states them, by name."""
        found: Mapping[str, Json] = self.stacks[stack].content["resource"][kind]
        return found

    def runner(self, environment: str) -> str:
        """Return the application id of the identity that deploys an environment, an output of the account stack."""
        shown = self.terraform("account", PERSON.principal, "output", "-raw", f"runner_{environment}")
        assert shown.returncode == 0, shown.stderr
        return shown.stdout.strip()

    def entra_id(self, application: str) -> str:
        """Return the object id of an application's service principal."""
        known = self.world.store("graph", "servicePrincipals").values()
        return next(str(one["id"]) for one in known if one["appId"] == application)

    def ask(self, who: str, request: str, body: Any = None, *, network: str = "") -> CloudAnswer:
        """Send a request, ``METHOD host/path``, as an identity of Databricks' directory."""
        method, _, rest = request.partition(" ")
        host, slash, path = rest.partition("/")
        return self.cloud.answer(
            Request(
                host=host, method=method, target=slash + path, token=self._token(who), network=network,
                content=b"" if body is None else json.dumps(body).encode(),
            )
        )  # fmt: skip

    def _token(self, who: str) -> str:
        held = next((token for token, caller in self.world.tokens.items() if caller.principal == who), None)
        if held is not None:
            return held
        caller = Caller(name=who, principal=who, kind=SERVICE_PRINCIPAL, object_id=self.entra_id(who))
        return self.world.issue_token(caller)


def rule_of(answer: CloudAnswer) -> str:
    """Return the rule that refused a request; empty for a request that was accepted."""
    assert (answer.status < 300) is ("X-Emulator-Rule" not in answer.headers), answer.body
    return answer.headers.get("X-Emulator-Rule", "")


def let_person_join(world: World, group: str) -> None:
    """Let the person be a member of a group of Entra, as the settings of the company take for granted."""
    known = next((one for one in world.scim(GROUP).values() if one["displayName"] == group), None)
    found = known or add_principal(world, GROUP, {"displayName": group})
    person = next(one for one in world.scim(USER).values() if one["userName"] == PERSON.principal)
    found.setdefault("members", []).append({"value": person["id"]})


@contextmanager
def deployed_cloud(stacks: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[DeployedCloud]:
    """Serve an empty cloud with the subscriptions of some stacks, and lay those out for Terraform, while the context lasts."""
    laid = {name: _lay_out(name, content, folder) for name, content in stacks.items()}
    subscriptions = tuple(
        (name.removesuffix("-platform"), content["provider"]["azurerm"][0]["subscription_id"])
        for name, content in stacks.items() if name.endswith("-platform")
    )  # fmt: skip
    site = Site(prepared=False, subscriptions=subscriptions)
    cloud = RecordingCloud(world=new_cloud(site).world)
    with served(cloud, folder / "cloud") as addresses, loader_mirror(laid.values(), folder) as providers:
        variables = {**signed_out(addresses, site, folder), "TF_CLI_CONFIG_FILE": str(providers.configuration)}
        yield DeployedCloud(cloud=cloud, addresses=addresses, folder=folder, stacks=laid, variables=variables)


def _lay_out(name: str, content: Mapping[str, Any], folder: Path) -> SynthesizedStack:
    """Write a stack where cdktf writes it, and the files that it uploads; what is in those is of no interest here."""
    place = folder / "cdktf.out" / "stacks" / name
    place.mkdir(parents=True)
    (place / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
    for uploaded in content["resource"].get("databricks_file", {}).values():
        if "source" in uploaded:
            file = place / uploaded["source"].replace("${path.module}/", "")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
    return SynthesizedStack(name=name, folder=place, content=content)
