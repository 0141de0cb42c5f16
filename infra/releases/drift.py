"""Drift: how an environment differs from what was last released into it.

Each stack is compared with the commit that it was released from, not with the tree: a change that is merged and not yet
released is not drift.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.releases.rebuild import checked_out, rebuild_wheel, synthesize_checkout
from infra.releases.record import ReleaseOutcome, ReleaseRecord, deployments, unfinished
from infra.releases.target import Say, Target
from infra.terraform_cli.changes import Change, action_of, changes, differing
from infra.terraform_cli.driver import StateMissingError, TerraformError
from infra.terraform_cli.synthesized import SynthesizedStack, of_environment


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How one stack differs from its release.

    Attributes
    ----------
    outside
        Changes that were made without Terraform since the last deployment.
    differing
        What a deployment of the same release would change.
    error
        Why the stack could not be compared; empty if it could.
    compared
        The stack as it was released, with which it is compared; None if it was not part of that release.
    """

    stack: str
    outside: tuple[Change, ...] = ()
    differing: tuple[Change, ...] = ()
    error: str = ""
    compared: SynthesizedStack | None = field(default=None, compare=False, repr=False)

    def __bool__(self) -> bool:
        """Return whether there is any drift."""
        return bool(self.outside or self.differing)


def drift(stacks: Mapping[str, SynthesizedStack], target: Target, root: Path, *, say: Say = print) -> tuple[Drift, ...]:
    """Return the drift of every stack of an environment; nothing is changed.

    Parameters
    ----------
    stacks
        Every stack of the tree, in order: the stacks to compare, and the comparison for those that were never released.
    root
        The repository.
    """
    chosen = list(of_environment(stacks, target.environment))
    recorded = target.ledger.read()
    if (cut_off := unfinished(recorded)) is not None:
        say(
            f"the last {cut_off.kind} did not finish: commit {cut_off.commit[:12]}, started at {cut_off.at} by "
            f"{cut_off.by}. Part of it may be there; it runs still, or was cut off: run it again, or roll back."
        )
    records = released(recorded, chosen)
    found: list[Drift] = []
    for commit in dict.fromkeys(records[name].commit for name in chosen if name in records):
        mine = [name for name in chosen if name in records and records[name].commit == commit]
        say(f"{', '.join(mine)}: compared with the release of {records[mine[0]].at}, commit {commit[:12]}")
        with _release_checked_out(records[mine[0]], target, root) as release:
            found += _compare(release, mine, target)
    rest = [name for name in chosen if name not in records]
    if rest:
        say(f"{', '.join(rest)}: compared with the tree, because no release is recorded")
        found += _compare(stacks, rest, target)
    return tuple(sorted(found, key=lambda drift: chosen.index(drift.stack)))


def released(records: Sequence[ReleaseRecord], stacks: Collection[str]) -> Mapping[str, ReleaseRecord]:
    """Return, for each stack that was ever applied, the record of the deployment that applied it last.

    A deployment that never ended may have applied any of its stacks, so it counts for all of them.
    """
    return {
        stack: record
        for record in deployments(records)
        for stack in (record.stacks if record.outcome is ReleaseOutcome.STARTED else record.applied)
        if stack in stacks
    }


def drift_of(stack: str, plan: Mapping[str, Any]) -> Drift:
    """Return the drift in a plan that ``terraform show -json`` gives."""
    outside = []
    for resource in plan.get("resource_drift", ()):
        action = action_of(resource["change"]["actions"])
        if action is not None:
            outside.append(Change(address=resource["address"], action=action, attributes=differing(resource["change"])))
    return Drift(stack=stack, outside=tuple(outside), differing=changes(plan))


@contextmanager
def _release_checked_out(record: ReleaseRecord, target: Target, root: Path) -> Iterator[Mapping[str, SynthesizedStack]]:
    """Synthesize a release again, with its own wheel."""
    with checked_out(record.commit, root) as tree:
        if record.wheel is not None:
            rebuild_wheel(tree, record)
        yield synthesize_checkout(tree, target.folder)


def _compare(stacks: Mapping[str, SynthesizedStack], names: Sequence[str], target: Target) -> Iterator[Drift]:
    runs = target.terraform(stacks, names)
    for name in names:
        if name not in runs:
            yield Drift(stack=name, error=f"{name} was not part of the release that applied it.")
            continue
        try:
            runs[name].init()
            yield replace(drift_of(name, runs[name].plan()), compared=stacks[name])
        except StateMissingError:
            # Nobody can have deployed it: it would have needed that state.
            yield Drift(stack=name)
        except TerraformError as error:
            yield Drift(stack=name, error=str(error))
