"""Known errors of Terraform and the Azure command line: nobody signed in, no network, a locked state, a missing right.

Each known error becomes one sentence with its remedy; any other error is shown unchanged.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.terraform_cli.import_ids import import_rules, stated_id


@dataclass(frozen=True, kw_only=True)
class KnownError:
    """One error whose cause is outside of the stacks.

    Attributes
    ----------
    pattern
        Text in the output of the program or of a provider.
    sentence
        The meaning and the remedy.
    """

    pattern: re.Pattern[str]
    sentence: str


def remedy(output: str) -> str | None:
    """Return the sentence for a known error in a program's output, else None.

    Parameters
    ----------
    output
        The program's standard error.
    """
    plain = _plain(output)
    for known in KNOWN_ERRORS:
        if known.pattern.search(plain):
            return known.sentence.format(lock=_lock(plain))
    return None


def protected(output: str) -> set[str]:
    """Return the addresses that a plan would destroy although their stack protects them."""
    return set(re.findall(r"Resource (\S+) has lifecycle\.prevent_destroy set", _plain(output)))


def untaint(addresses: Sequence[str], folder: Path) -> str:
    """Return the way out for protected resources whose creation was cut off after its first request.

    Terraform marks such a resource as tainted and would replace it, which its protection forbids.

    Parameters
    ----------
    folder
        The stack's folder.
    """
    commands = " && ".join(f"{_terraform(folder)} untaint {shlex.quote(address)}" for address in addresses)
    return (
        f"the creation of {', '.join(addresses)} was cut off, so Terraform would replace what is protected against that: "
        f"keep what was created with `{commands}`, then plan again."
    )


def _terraform(folder: Path) -> str:
    """Return the beginning of a command in a stack's folder, for a shell: its place may have blanks."""
    return f"terraform -chdir={shlex.quote(str(folder))}"


def not_recorded(output: str, resources: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the resources that could not be created because an object of their name exists, each with its id for the import.

    The id is the object's own where the error says it (``azurerm``), the one that follows from the stack, its name where that is
    the id, else ``ID``.

    Parameters
    ----------
    output
        Terraform's standard error.
    resources
        Every resource of the stack's Terraform JSON: type to name to arguments.
    """
    # A provider says what happened in the headline before the address, or in the text after it.
    errors = [one for one in _plain(output).split("Error: ") if "already exists" in one]
    places = ((one, re.search(r"\bwith ([^\s,]+),", one)) for one in errors)
    return {found[1]: _id_of(found[1], one, resources or {}) for one, found in places if found}


def _id_of(address: str, error: str, resources: Mapping[str, Any]) -> str:
    said = re.search(r"""["'](?P<id>[^"']+)["'] already exists""", error)
    if said and said["id"].startswith("/"):
        return said["id"]
    if stated := stated_id(address, resources):
        return stated
    rule = import_rules().get(address.partition(".")[0])
    return said["id"] if said and rule is not None and rule.id == "{name}" else "ID"


def take_over(found: Mapping[str, str], folder: Path) -> str:
    """Return the way out for objects that exist although the state does not know them.

    A run that is cut off between a service's answer and Terraform's record leaves such an object behind.

    Parameters
    ----------
    found
        Address to id.
    folder
        The stack's folder.
    """
    commands = " && ".join(
        f"{_terraform(folder)} import {shlex.quote(address)} {shlex.quote(one)}" for address, one in found.items()
    )
    unknown = " (the provider's page of the type says what its ID is)" if "ID" in found.values() else ""
    return (
        f"the names of {', '.join(found)} belong to objects that the state does not know. If a run that was cut off has created "
        f"them, take them over with `{commands}`{unknown}, then plan again; otherwise choose other names."
    )


def is_state_missing(output: str) -> bool:
    """Return whether Terraform failed because it reads the state of a stack that nobody has deployed."""
    return bool(STATE_MISSING.search(_plain(output)))


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _plain(output: str) -> str:
    """Return an output in one line: Terraform draws a frame around its errors and breaks their lines."""
    return " ".join(re.sub(r"[│╷╵]", " ", output).split())


STATE_MISSING = _words(r"unable to find remote state")


def _lock(plain: str) -> str:
    """Return who holds the lock of a state and since when, from Terraform's error."""
    found = {key: re.search(rf"\b{key}:\s+(\S+)", plain) for key in ("ID", "Who", "Created")}
    words = [f"{word} {match[1]}" for word, match in zip(("lock", "by", "since"), found.values(), strict=True) if match]
    return " ".join(words) or "by another run"


KNOWN_ERRORS: Sequence[KnownError] = (
    KnownError(
        pattern=_words(r"error acquiring the state lock", r"state blob is already locked", r"LeaseAlreadyPresent"),
        sentence=(
            "the state is locked ({lock}): another deployment is running. If there is none, its run was cut off: release the lock "
            "with `terraform force-unlock LOCK_ID` in the stack's folder, then plan again."
        ),
    ),
    KnownError(
        pattern=_words(
            r"AADSTS(700082|70043|50173|50078|50076|65001|700024)", r"refresh token has expired", r"az login",
            r"InvalidAuthenticationToken", r"token (is|has) expired", r"ExpiredAuthenticationToken",
            r"default auth: cannot configure default credentials", r"could not acquire (access )?token",
            r"unable to build authorizer",
        ),
        sentence=(
            "nobody is signed in, or the login has expired: run `az login` and try again (in a pipeline: run the step "
            "with the environment's service connection)."
        ),
    ),
    KnownError(
        pattern=_words(
            r"no such host", r"could not resolve", r"name or service not known", r"temporary failure in name resolution",
            r"network is unreachable", r"connection refused", r"i/o timeout", r"TLS handshake timeout",
            r"failed to (query available|retrieve the list of available) .*provider", r"Max retries exceeded with url",
            r"context deadline exceeded",
        ),
        sentence=(
            "the network does not reach what it needs (registry of providers, Azure or the workspace): check the "
            "connection, the proxy and whether this machine reaches the environment's private network."
        ),
    ),
    KnownError(
        pattern=_words(r"Invalid permissions on the specified KeyVault", r"KeyVaultAccessForbidden"),
        sentence=(
            "a right on the key has not reached the vault yet, which takes some minutes after it is given: apply again; what "
            "exists stays. If it lasts, `python -m infra check` names a right that is missing."
        ),
    ),
    KnownError(
        pattern=_words(r"\bAuthorizationFailure\b", r"PublicAccessNotPermitted"),
        sentence=(
            "the storage of the state does not let this machine in: work from the network of the agents, or name this "
            "machine's range in `allowed_ip_ranges` of the `state` and run `python -m infra bootstrap`."
        ),
    ),
    KnownError(
        pattern=_words(
            r"AuthorizationFailed", r"AuthorizationPermissionMismatch", r"does not have authorization to perform action",
            r"PERMISSION_DENIED", r"StatusCode=403",
        ),
        sentence=(
            "the identity that is signed in may not do this: `python -m infra rights` shows the rights that each identity "
            "needs and who grants them, `python -m infra devops` those that are missing."
        ),
    ),
    KnownError(
        pattern=STATE_MISSING,
        sentence=(
            "it reads the state of a stack that is not deployed yet: deploy the stacks in their order, each with the "
            "identity that applies it (`python -m infra rights` names them)."
        ),
    ),
    KnownError(
        pattern=_words(r"saved plan is stale"),
        sentence="the state has changed since the plan was made: plan, review and apply again.",
    ),
)  # fmt: skip
"""In the order of matching: the error of a locked state also matches the network pattern."""
