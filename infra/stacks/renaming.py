"""What a team that was renamed keeps: every resource of it moves to its new address, and none is made again.

The addresses before are not listed: the stacks are made once more with the former name, and what differs is what moves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from infra.config.loading import Settings
from infra.synthesis.stack import Stack, StackError


def move_renamed_teams(made: Sequence[Stack], settings: Settings, make: Callable[[Settings], Sequence[Stack]]) -> None:
    """Add to stacks a move of every resource of each renamed team, one for each of its former names.

    Parameters
    ----------
    made
        The stacks of the settings.
    make
        Makes stacks of settings.

    Raises
    ------
    StackError
        If the stacks of a former name do not have the same resources.
    """
    for former, present in _renames(settings):
        earlier, later = list(make(former)), list(make(present)) if present is not settings else list(made)
        for before, after, target in zip(earlier, later, made, strict=True):
            for old, new in _pairs(before, after):
                if old != new:
                    target.move(old, new)


def _renames(settings: Settings) -> Iterator[tuple[Settings, Settings]]:
    """Yield the settings before and after each change of a team's name."""
    for position, team in enumerate(settings.teams):
        names = (*team.renamed_from, team.name)
        called = [
            replace(settings, teams=(*settings.teams[:position], team.called(name), *settings.teams[position + 1 :]))
            for name in names[:-1]
        ]
        yield from pairwise([*called, settings])


def _pairs(before: Stack, after: Stack) -> Iterator[tuple[str, str]]:
    kinds = [[resource.type for resource in stack.resources.values()] for stack in (before, after)]
    if kinds[0] != kinds[1]:
        raise StackError(
            f"stack {after.name}: its resources depend on a team's name, so they cannot move to another one."
        )
    yield from zip(before.resources, after.resources, strict=True)
