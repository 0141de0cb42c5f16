"""The list of all our checks, and one run of them."""

from collections.abc import Sequence

from infra.checks import (
    compute,
    contract,
    grant_owners,
    identities,
    keys,
    networks,
    platform,
    read_back,
    secrets,
)  # fmt: skip
from infra.checks.finding import PolicyCheck, PolicyFinding, Stacks
from infra.config.loading import Settings
from infra.graph.proof import PARTS, prove
from pipelines.declarations.use_case import UseCase

CHECKS: tuple[PolicyCheck, ...] = (
    *grant_owners.CHECKS,
    *identities.CHECKS,
    *compute.CHECKS,
    *platform.CHECKS,
    *keys.CHECKS,
    *networks.CHECKS,
    *read_back.CHECKS,
    *secrets.CHECKS,
    *contract.CHECKS,
)
NAMES = frozenset({*PARTS, *(check.id for check in CHECKS)})
"""The names of all our checks, as waivers state them."""


def findings(stacks: Stacks, settings: Settings, use_cases: Sequence[UseCase]) -> tuple[PolicyFinding, ...]:
    """Return what the proof over all stacks and all checks find in the stacks of all environments.

    Parameters
    ----------
    settings
        The settings that the stacks were made from: who exists, and what is open to whom.
    use_cases
        The declared use cases: what runs, and whose models are copied.
    """
    proven = [
        PolicyFinding(check=found.check, resource=found.resource, message=found.message)
        for found in prove(stacks, settings, use_cases)
    ]
    return (*proven, *(finding for check in CHECKS for finding in check.findings(stacks)))
