"""Where a rehearsal takes place: the emulated cloud with its compute, the providers, and who can sign in."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud
from infra.emulated_cloud.server import Addresses, served
from infra.emulated_cloud.world import Site
from infra.emulated_compute.compute import computing
from infra.loader.mirror import Providers, loader_mirror
from infra.loader.mirrored import mirrored
from infra.rehearsal import sign_in
from infra.rehearsal.company import AGENT_ADDRESS
from infra.rehearsal.real_az import RealAz, az_told, find_az
from infra.terraform_cli.synthesized import SynthesizedStack

LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True, kw_only=True)
class RehearsalSite:
    """A running site.

    Parameters
    ----------
    providers
        What stands for the providers and for the Azure command line, in one line.
    environment
        The variables of every step, but for who is signed in.
    az
        The real Azure command line; None where ours stands for it.
    """

    cloud: Cloud
    addresses: Addresses
    folder: Path
    providers: str
    environment: Mapping[str, str]
    az: RealAz | None = None

    def signed_in(self, principal: str) -> dict[str, str]:
        """Return the variables of a step in which an identity is signed in.

        A step in which nobody is signed in has the machine's own network: it may install packages.
        """
        session = {} if self.az is None else self.az.signed_in(principal)
        if not principal:
            return {"PATH": self.environment["PATH"], **session}
        return {**self.environment, **session, sign_in.IDENTITY: principal}

    def application(self, name: str) -> str:
        """Return the application id of a service principal of the tenant by its name; empty if there is none."""
        known = self.cloud.world.store("graph", "servicePrincipals").values()
        return next((str(one["appId"]) for one in known if one.get("displayName") == name), "")

    @property
    def tokens(self) -> dict[str, str]:
        """What the tokens file says."""
        return dict(json.loads(self.addresses.tokens.read_text(encoding="utf-8")))


@contextmanager
def rehearsal_site(stacks: Mapping[str, SynthesizedStack], folder: Path, site: Site) -> Iterator[RehearsalSite]:
    """Run a site below a folder while the context lasts.

    Parameters
    ----------
    stacks
        Those that will be applied: the loader serves the types that they use.
    """
    folder = folder.resolve()
    cloud = new_cloud(site)
    with ExitStack() as running:
        addresses = running.enter_context(served(cloud, folder / "cloud"))
        running.enter_context(computing(cloud, folder / "compute", addresses.hosts))
        configuration, said = running.enter_context(_providers(stacks, folder / "terraform"))
        program = find_az()
        environment = {**signed_out(addresses, site, folder, program), "TF_CLI_CONFIG_FILE": str(configuration)}
        az = (
            RealAz(program=program, world=cloud.world, folder=folder / "az", environment=environment)
            if program
            else None
        )
        yield RehearsalSite(
            cloud=cloud, addresses=addresses, folder=folder, providers=f"{said} {az_told(program)}", environment=environment, az=az,
        )  # fmt: skip


def signed_out(addresses: Addresses, site: Site, folder: Path, az: Path | None = None) -> dict[str, str]:
    """Return the variables of a step in which nobody is signed in: every host name leads to the emulated cloud.

    Parameters
    ----------
    az
        The real Azure command line; ours for None.
    """
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    _write_az(programs / "az", az)
    _describe_site(addresses, site)
    proxy = addresses.proxy.replace("://", f"://{AGENT_ADDRESS}:rehearsal@")
    trust = str(addresses.authority)  # nothing else is trusted: a step reaches nothing else by TLS
    return {
        "HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK,
        "UV_OFFLINE": "1",  # the proxy knows no package index; the stage that builds has filled the cache of uv
        "SSL_CERT_FILE": trust, "REQUESTS_CA_BUNDLE": trust, "PATH": f"{programs}:{os.environ['PATH']}",
        sign_in.TOKENS: str(addresses.tokens), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1",
        "DATABRICKS_AUTH_TYPE": "azure-cli",
    }  # fmt: skip


@contextmanager
def _providers(stacks: Mapping[str, SynthesizedStack], folder: Path) -> Iterator[tuple[Path, str]]:
    """Let the loader stand for the providers that are not at hand; say which in one line."""
    folder.mkdir(parents=True, exist_ok=True)
    with loader_mirror(stacks.values(), folder, mirrored(os.environ.get("TF_CLI_CONFIG_FILE", ""))) as providers:
        yield providers.configuration, providers_told(providers)


def providers_told(providers: Providers) -> str:
    """Return which providers are real and what the loader does for the others, in one line."""
    real, loaded = (", ".join(names) for names in (providers.real, providers.loaded))
    if not loaded:
        return f"Terraform's providers are the real ones of the mirror in {providers.configuration}: {real}."
    made_up = "creates the Databricks objects, and the values of all other Azure resources are made up"
    if not real:
        return f"Terraform's providers are not at hand (TF_CLI_CONFIG_FILE names no mirror): our loader {made_up}."
    return f"Terraform's providers {real} are real; our loader stands for {loaded}: it {made_up}."


def _write_az(program: Path, real: Path | None) -> None:
    words = f"'{real}'" if real else f"'{sys.executable}' -I -S '{Path(sign_in.__file__)}'"
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    program.chmod(0o700)


def _describe_site(addresses: Addresses, site: Site) -> None:
    """Tell the rehearsal's `az` the tenant and the first subscription."""
    content = json.loads(addresses.tokens.read_text(encoding="utf-8"))
    content |= {"tenant": site.tenant, "subscription": site.subscriptions[0][1]}
    addresses.tokens.write_text(json.dumps(content, indent=1), encoding="utf-8")
