"""The list of all our checks, and one run of them."""

from collections.abc import Iterable

from infra.checks import (
    compute,
    contract,
    forbidden_grants,
    identities,
    isolation,
    keys,
    networks,
    platform,
    protection,
    read_back,
    secrets,
)  # fmt: skip
from infra.checks.finding import PolicyCheck, PolicyFinding, Stacks
from infra.checks.isolation_proof import Opening, isolation_findings

CHECKS: tuple[PolicyCheck, ...] = (
    *isolation.CHECKS,
    *forbidden_grants.CHECKS,
    *identities.CHECKS,
    *compute.CHECKS,
    *platform.CHECKS,
    *keys.CHECKS,
    *networks.CHECKS,
    *protection.CHECKS,
    *read_back.CHECKS,
    *secrets.CHECKS,
    *contract.CHECKS,
)


def findings(stacks: Stacks, openings: Iterable[Opening]) -> tuple[PolicyFinding, ...]:
    """Return what all checks and the isolation proof find in the stacks of all environments.

    Parameters
    ----------
    openings
        The access to other environments that the settings declare.
    """
    found = [finding for check in CHECKS for finding in check.findings(stacks)]
    return (*isolation_findings(stacks, openings), *found)
