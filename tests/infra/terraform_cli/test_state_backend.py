"""The remote state of the shipped stacks, opened by the real Terraform with the session of the Azure command line alone."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from infra.build.release import current_release
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.config.model import StateStorage
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import RemoteState, Stack
from infra.terraform_cli.driver import TerraformError
from infra.terraform_cli.plans import plan_with_real_providers
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.declarations.registry import use_cases

STATE = StateStorage(
    subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group="rg-mrd-dev-state",
    storage_account="stmrddevstate", container="terraform",
)  # fmt: skip
SESSION = """
  version*) echo '{"azure-cli": "2.80.0"}';;
  *get-access-token*) echo '{"accessToken": "e30.e30.x", "expiresOn": "2040-01-01 00:00:00.000000", "tokenType": "Bearer"}';;
  *) echo '{"id": "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", "tenantId": "2d9c8e70-61b4-4c1d-8f0a-5b7a3e9d4c22",
            "user": {"name": "runner", "type": "servicePrincipal"}}';;
"""
EXPIRED = "*get-access-token*) echo 'ERROR: AADSTS700082: The refresh token has expired' >&2; exit 1;;"
BAD_PROXY = "http://127.0.0.1:9"
"""Nothing listens there, so that no request of Terraform leaves the machine."""


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> SynthesizedStack:
    """Return a stack without resources whose backend is what the shipped stacks get where settings name a state."""
    settings = with_state(load_settings())
    shipped = {stack.name: stack for stack in stacks(settings, use_cases(), current_release())}
    state: RemoteState = shipped["dev-workspace"].state
    out = tmp_path_factory.mktemp("remote") / "cdktf.out"
    return read_stacks(synthesize([Stack(name="dev-workspace", description="", state=state)], out))["dev-workspace"]


def with_state(settings: Settings) -> Settings:
    """Return the settings with a remote state for dev."""
    dev = settings.environments["dev"].model_copy(update={"state": STATE})
    return replace(settings, environments={**settings.environments, "dev": dev})


@dataclass
class AzureCommandLine:
    """An `az` on the path that answers as with a signed-in identity, and notes what it was asked."""

    folder: Path

    def answers(self, cases: str) -> None:
        """Let it answer by these cases of a shell."""
        program = self.folder / "az"
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.folder}/asked\ncase "$*" in\n{cases}\nesac\n', "utf-8")
        program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        """What it was asked."""
        return (self.folder / "asked").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureCommandLine:
    """Put the command line on the path, and every credential out of the environment."""
    for name in list(os.environ):
        if name.startswith(("ARM_", "AZURE_", "TF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HTTPS_PROXY", BAD_PROXY)
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")
    return AzureCommandLine(tmp_path)


@pytest.mark.terraform
def test_the_state_is_reached_with_the_identity_that_is_signed_in_and_no_key(
    remote: SynthesizedStack, az: AzureCommandLine
) -> None:
    """A service principal's session, as in a pipeline: Terraform asks it for a token for storage, and for no key.

    Without a network that is one sentence.
    """
    az.answers(SESSION)
    with pytest.raises(
        TerraformError, match="terraform init failed in stack dev-workspace: the network does not reach"
    ):
        plan_with_real_providers({remote.name: remote})
    tokens = [line for line in az.asked if "get-access-token" in line]
    assert tokens
    assert all("--scope https://storage.azure.com/.default" in line for line in tokens)
    assert not [line for line in az.asked if "keys" in line]


@pytest.mark.terraform
def test_an_expired_login_is_one_sentence(remote: SynthesizedStack, az: AzureCommandLine) -> None:
    """With its remedy, and without Terraform's frame."""
    az.answers(EXPIRED + SESSION)
    with pytest.raises(TerraformError) as failed:
        plan_with_real_providers({remote.name: remote})
    assert str(failed.value).startswith(
        "terraform init failed in stack dev-workspace: nobody is signed in, or the login has expired: run `az login`"
    )
    assert "\n" not in str(failed.value)
