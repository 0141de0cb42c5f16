"""The records of branches, apart from those of dev's releases: a rollback of dev must not find them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from infra.config.loading import Settings
from infra.config.stack_names import branch_in, is_branch
from infra.releases.ledger import ledger_of
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, deployments
from infra.releases.target import Target, target_of
from pipelines.declarations.environment import DEV

RECORDS = f"{DEV.name}-branches"


def target_of_branches(settings: Settings, folder: Path) -> Target:
    """Return where branches are deployed, with their own records beside those of the environment.

    Parameters
    ----------
    folder
        The folder of local states.
    """
    target = target_of(DEV.name, settings, offline_folder=None, folder=folder)
    return replace(target, ledger=ledger_of(RECORDS, settings.environments[DEV.name].state, folder))


def deployed_branches(records: Sequence[ReleaseRecord]) -> dict[str, ReleaseRecord]:
    """Return the branches of which something is deployed, by name, each with its last record.

    A deployment or removal that has failed or never ended may have left something, so only a removal that succeeded takes a branch
    from the list.

    Parameters
    ----------
    records
        Of branches, oldest first.
    """
    found: dict[str, ReleaseRecord] = {}
    for record in deployments(records):
        for stack in filter(is_branch, record.stacks):
            found.pop(branch_in(stack), None)
            if (record.kind, record.outcome) != (RecordKind.REMOVAL, ReleaseOutcome.SUCCEEDED):
                found[branch_in(stack)] = record
    return found
