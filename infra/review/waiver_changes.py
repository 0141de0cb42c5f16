"""What a change does to the waivers: those it adds, takes away, extends, shortens or words anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.checks.waivers import Waiver


class WaiverAction(StrEnum):
    """What happens to a waiver."""

    ADDED = "added"
    EXTENDED = "extended"
    SHORTENED = "shortened"
    REWORDED = "reworded"
    REMOVED = "removed"


ACCEPTS_MORE = frozenset({WaiverAction.ADDED, WaiverAction.EXTENDED})
"""What accepts a deviation that was not accepted before, or for longer."""


@dataclass(frozen=True, kw_only=True)
class WaiverChange:
    """One waiver that differs.

    Attributes
    ----------
    before, after
        None where there is none.
    """

    action: WaiverAction
    before: Waiver | None
    after: Waiver | None

    @property
    def sentence(self) -> str:
        """The change for people."""
        stands = self.after or self.before
        if stands is None:
            return ""
        was = (
            f" (before {self.before.expires})"
            if self.before and self.after and self.before.expires != self.after.expires
            else ""
        )
        until = f"until {stands.expires}{was}, owned by {stands.owner}"
        return f"{self.action}: {stands.check} on {stands.resource} {until}: {stands.reason.strip()}"


def waiver_changes(before: Sequence[Waiver], after: Sequence[Waiver]) -> tuple[WaiverChange, ...]:
    """Return what differs; a waiver is known by its check and its resource."""
    old, new = ({(waiver.check, waiver.resource): waiver for waiver in those} for those in (before, after))
    return tuple(
        sorted(_changes(old, new), key=lambda change: (list(WaiverAction).index(change.action), change.sentence))
    )


def _changes(old: dict[tuple[str, str], Waiver], new: dict[tuple[str, str], Waiver]) -> Iterator[WaiverChange]:
    for key in sorted({*old, *new}):
        was, stands = old.get(key), new.get(key)
        if was != stands:
            yield WaiverChange(action=_action(was, stands), before=was, after=stands)


def _action(was: Waiver | None, stands: Waiver | None) -> WaiverAction:
    if was is None:
        return WaiverAction.ADDED
    if stands is None:
        return WaiverAction.REMOVED
    if was.expires == stands.expires:
        return WaiverAction.REWORDED
    return WaiverAction.EXTENDED if stands.expires > was.expires else WaiverAction.SHORTENED
