"""Creates the storage of Terraform's own state, which Terraform cannot create itself: one place per environment.

The storage is closed from its first moment, as every other account is: only the ranges that the settings name reach it, and
the network of its private endpoint. Every step goes through Azure Resource Manager, so none needs to reach it.

Each step first checks whether its resource exists, so running it again changes nothing. Sign in with ``az login`` before.
No key is created or read: Entra identities access the state.
"""

import ipaddress
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from infra.config.model import StateStorage

STATE_ROLE = "Storage Blob Data Contributor"
VERSIONS_KEPT_DAYS = "30"

Run = Callable[[Sequence[str]], int]
"""Runs a command and returns its exit code."""


@dataclass(frozen=True, kw_only=True)
class BootstrapStep:
    """One resource that must exist.

    Attributes
    ----------
    look
        A command that succeeds if the resource exists; empty for a step that is safe to repeat.
    create
        The command that creates it.
    """

    what: str
    look: tuple[str, ...]
    create: tuple[str, ...]


def bootstrap_steps(state: StateStorage, *, region: str, principal: str) -> tuple[BootstrapStep, ...]:
    """Return the steps before the first deployment with a remote state.

    Parameters
    ----------
    state
        The place of the state in the settings.
    region
        Where to create it.
    principal
        Entra object id of the identity that deploys: at first a person, then the pipeline's service principal.
    """
    here = ("--subscription", state.subscription_id)
    account = ("--account-name", state.storage_account)
    of_account = ("--name", state.storage_account, "--resource-group", state.resource_group, *here)
    scope = (
        f"/subscriptions/{state.subscription_id}/resourceGroups/{state.resource_group}"
        f"/providers/Microsoft.Storage/storageAccounts/{state.storage_account}"
    )
    return (
        BootstrapStep(
            what=f"resource group {state.resource_group}",
            look=("az", "group", "show", "--name", state.resource_group, *here),
            create=("az", "group", "create", "--name", state.resource_group, "--location", region, *here),
        ),
        BootstrapStep(
            what=f"storage account {state.storage_account}, without shared keys",
            look=("az", "storage", "account", "show", *of_account),
            create=(
                "az", "storage", "account", "create", *of_account, "--location", region, "--kind", "StorageV2",
                "--sku", "Standard_ZRS", "--require-infrastructure-encryption", "true", *_closed(state),
            ),
        ),
        BootstrapStep(
            what=f"storage account {state.storage_account}, closed to every network that the settings do not name",
            look=(),
            create=("az", "storage", "account", "update", *of_account, *_closed(state)),
        ),
        *_ways_in(state, region=region, scope=scope),
        BootstrapStep(
            what="older versions of the state, kept",
            look=(),
            create=(
                "az", "storage", "account", "blob-service-properties", "update", *account,
                "--resource-group", state.resource_group, *here, "--enable-versioning", "true",
                "--enable-delete-retention", "true", "--delete-retention-days", VERSIONS_KEPT_DAYS,
            ),
        ),
        BootstrapStep(
            what=f"the right of {principal} to read and write states",
            look=(),
            create=(
                "az", "role", "assignment", "create", "--assignee-object-id", principal, "--role", STATE_ROLE,
                "--scope", scope,
            ),
        ),
        BootstrapStep(
            what=f"container {state.container}",
            look=(),
            create=(
                "az", "storage", "container-rm", "create", "--name", state.container, "--storage-account",
                state.storage_account, "--resource-group", state.resource_group, *here,
            ),
        ),
    )  # fmt: skip


def _closed(state: StateStorage) -> tuple[str, ...]:
    """Return the options of an account without keys and public data, which only stated networks reach."""
    public = "Enabled" if state.allowed_ip_ranges else "Disabled"
    return (
        "--min-tls-version", "TLS1_2", "--https-only", "true", "--allow-shared-key-access", "false",
        "--allow-blob-public-access", "false", "--allow-cross-tenant-replication", "false",
        "--public-network-access", public, "--default-action", "Deny", "--bypass", "None",
    )  # fmt: skip


def _ways_in(state: StateStorage, *, region: str, scope: str) -> Iterator[BootstrapStep]:
    """Yield the steps that let the stated networks in.

    A rule takes a single address or a range up to /30 (learn.microsoft.com/azure/storage/common/storage-network-security).
    """
    here = ("--resource-group", state.resource_group, "--subscription", state.subscription_id)
    for address in _rules(state.allowed_ip_ranges):
        yield BootstrapStep(
            what=f"access to {state.storage_account} from {address}",
            look=(),
            create=(
                "az", "storage", "account", "network-rule", "add", "--account-name", state.storage_account,
                "--ip-address", address, *here,
            ),
        )  # fmt: skip
    if state.endpoint_subnet is None:
        return
    name = f"pep-{state.storage_account}"
    yield BootstrapStep(
        what=f"private endpoint {name}",
        look=("az", "network", "private-endpoint", "show", "--name", name, *here),
        create=(
            "az", "network", "private-endpoint", "create", "--name", name, "--connection-name", name, "--location", region,
            "--subnet", state.endpoint_subnet, "--private-connection-resource-id", scope, "--group-id", "blob", *here,
        ),
    )  # fmt: skip
    if state.blob_zone is not None:
        yield BootstrapStep(
            what=f"the record of {name} in the private DNS zone",
            look=(),
            create=(
                "az", "network", "private-endpoint", "dns-zone-group", "create", "--endpoint-name", name, "--name",
                "default", "--zone-name", "blob", "--private-dns-zone", state.blob_zone, *here,
            ),
        )  # fmt: skip


def _rules(ranges: Sequence[str]) -> Iterator[str]:
    """Yield ranges as the firewall of storage takes them: those of one or two addresses as single addresses."""
    for text in ranges:
        network = ipaddress.ip_network(text)
        yield from [text] if network.prefixlen <= 30 else map(str, network)


def apply_steps(steps: Sequence[BootstrapStep], run: Run, say: Callable[[str], None]) -> bool:
    """Create what is missing, in order; stop at the first step that fails.

    Returns
    -------
    bool
        Whether everything exists now.
    """
    for step in steps:
        if step.look and run(step.look) == 0:
            say(f"exists: {step.what}")
            continue
        if run(step.create) != 0:
            say(f"failed: {step.what}; the steps after it were not tried")
            return False
        say(f"done: {step.what}")
    return True


def run_command(command: Sequence[str]) -> int:
    """Run one command of the Azure command line, showing only its errors."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode  # noqa: S603 # our own steps
    except FileNotFoundError:
        return 127
