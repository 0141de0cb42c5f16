"""A company that deploys today's stacks of dev with today's set-up, in an emulated cloud and with the real Terraform."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from infra.config.loading import Settings
from infra.constructs.release import Release
from infra.description.describe import read_synthesized
from infra.devops.actual_identities import read_identities
from infra.devops.actual_state import ActualState
from infra.devops.desired_state import DesiredState, desired_state
from infra.devops.identity_steps import identity_steps
from infra.devops.step import SetupStep
from infra.emulated_cloud.prepared import PERSON
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.cdktf_seam import synthesize
from pipelines.api import UseCase
from pipelines.declarations.registry import use_cases
from tests.infra.emulated_cloud.az_requests import AzRequests
from tests.infra.emulated_cloud.deployment import DeployedCloud, deployed_cloud

OTHERS = ("staging-", "prod-")


@dataclass(frozen=True, kw_only=True)
class TodaysCompany:
    """A company that deploys today's stacks with today's set-up, `infra devops --apply`, in place of a person's hands."""

    cloud: DeployedCloud
    desired: DesiredState

    def identity(self, stage: str) -> str:
        """Return the application id of the identity of a stage."""
        name = next(one.application for one in self.desired.stages if one.name == stage)
        known = self.cloud.world.store("graph", "applications").values()
        return next(str(one["appId"]) for one in known if one["displayName"] == name)

    def steps(self) -> list[SetupStep]:
        """Return what the set-up would do now for the identities; Azure DevOps is not emulated."""
        az = AzRequests(cloud=self.cloud, who=PERSON.principal)
        actual = ActualState(identities=read_identities(self.desired, az))
        return list(identity_steps(actual, self.desired))

    def set_up_identities(self) -> None:
        """Do what can be done, and look again, until nothing is left; no request is refused."""
        az = AzRequests(cloud=self.cloud, who=PERSON.principal)
        while possible := [step for step in self.steps() if step.command and not step.waits_for]:
            for step in possible:
                az(step.command)


@contextmanager
def todays_company(
    settings: Settings, release: Release, folder: Path, declared: Sequence[UseCase] | None = None
) -> Iterator[TodaysCompany]:
    """Deploy the account, dev's platform and its part of the account, each by its identity; dev's workspace is left to the test.

    Parameters
    ----------
    declared
        The use cases; the shipped ones for None.
    """
    uploaded, nothing = "${path.module}/../../../" + release.wheel_source, hashlib.sha256(b"").hexdigest()
    release = replace(
        release, wheel_source=uploaded, sha256=nothing, requirements_source=uploaded, requirements_sha256=nothing
    )
    every = estate_stacks(settings, use_cases() if declared is None else declared, release)
    planned = [one for one in every if not one.name.startswith(OTHERS)]
    desired = desired_state(settings, rights_by_identity(planned))
    synthesized = read_synthesized(synthesize(planned, folder / "synthesized"))
    with deployed_cloud(synthesized, folder / "deployed") as cloud:
        company = TodaysCompany(cloud=cloud, desired=desired)
        company.set_up_identities()
        assert cloud.apply("account", company.identity("account")) == []
        company.set_up_identities()
        assert cloud.apply("dev-platform", company.identity("dev")) == []
        assert cloud.apply("dev-account", company.identity("account")) == []
        yield company
