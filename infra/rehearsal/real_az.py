"""The real Azure command line in a rehearsal: where it is found, and how an identity signs in with it.

It comes from `requirements/az.txt`, in an environment of its own. Every host name leads to the emulated cloud, so it is used as
it is: an application signs in with the federated token of its service connection, a person with a password.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from infra.emulated_cloud.areas.entra.tokens import assertion
from infra.emulated_cloud.world import Json, World
from ml.spec.errors import LakehouseError, RequestError

VARIABLE = "REHEARSAL_AZ"
OWN = Path(__file__).resolve().parents[2] / ".venv-az" / "bin" / "az"
"""Where `make .venv-az/.az` installs it."""
NOBODY = "nobody"
QUIET = {"AZURE_CORE_COLLECT_TELEMETRY": "0", "AZURE_CORE_LOGIN_EXPERIENCE_V2": "off", "AZURE_CORE_SURVEY_MESSAGE": "0"}


class SignInError(LakehouseError):
    """The Azure command line does not sign an identity in; the message is its own."""


def find_az(own: Path = OWN) -> Path | None:
    """Return the real Azure command line: the one that ``REHEARSAL_AZ`` names, or that of the environment of its own.

    Raises
    ------
    RequestError
        If the variable names no program.
    """
    named = os.environ.get(VARIABLE, "")
    if named and not os.access(named, os.X_OK):
        raise RequestError(f"{VARIABLE} names {named}, which is no program; name azure-cli's own `az`, or unset it.")
    if named:
        return Path(named).resolve()
    return own if os.access(own, os.X_OK) else None


def az_told(program: Path | None) -> str:
    """Return which Azure command line signs identities in, in one sentence."""
    if program is None:
        return "Sign-in is our own `az`: azure-cli is not at hand (make .venv-az/.az installs it)."
    return f"Sign-in is the real azure-cli, {program}, against the emulated Entra."


@dataclass(frozen=True, kw_only=True)
class RealAz:
    """The real Azure command line with a folder of its own for each identity.

    Parameters
    ----------
    folder
        Where it keeps its sessions; never the machine's own.
    environment
        What leads host names to the emulated cloud.
    """

    program: Path
    world: World
    folder: Path
    environment: dict[str, str]
    known: dict[str, int] = field(default_factory=dict)

    def signed_in(self, principal: str) -> dict[str, str]:
        """Sign an identity in, again if it was given roles meanwhile, and return the variables of its session.

        Raises
        ------
        SignInError
            If it cannot sign in.
        """
        session = {**QUIET, "AZURE_CONFIG_DIR": str(self.folder / (principal or NOBODY))}
        held = len(self.world.store("azure", "role assignments"))
        if principal and self.known.get(principal) != held:
            self._log_in(principal, session)
            self.known[principal] = held
        return session

    def _log_in(self, principal: str, session: dict[str, str]) -> None:
        words = [
            str(self.program),
            "login",
            "--allow-no-subscriptions",
            "--tenant",
            self.world.site.tenant,
            "--output",
            "none",
        ]
        words += credentials_of(self.world, principal)
        done = subprocess.run(  # noqa: S603 -- the program that was asked for
            words, env={**os.environ, **self.environment, **session}, text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise SignInError(f"az login as {principal} ended with {done.returncode}: {done.stderr.strip()}")


def credentials_of(world: World, principal: str) -> list[str]:
    """Return the options of ``az login`` for an identity: a federated token of its first connection, or a password.

    Raises
    ------
    SignInError
        If it has no federated credential.
    """
    if "@" in principal:
        return ["--username", principal, "--password", world.token_of(principal)]
    known = world.store("graph", "applications").values()
    application: Json = next((one for one in known if one["appId"] == principal), {})
    credential = next(iter(application.get("~federated", {}).values()), None)
    if credential is None:
        raise SignInError(f"The application {principal} has no federated credential to sign in with.")
    token = assertion(world, credential["issuer"], credential["subject"], credential["audiences"][0])
    return ["--service-principal", "--username", principal, "--federated-token", token]
