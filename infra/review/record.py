"""The record of a review: everything that a change means, from which comment, page and JSON are made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from infra.review.comparing import Meaning, ResourceChange
from infra.review.cost_changes import CostChange
from infra.review.directions import Direction
from infra.review.effective_rights import RightsChange, WayChange
from infra.review.strictness import Looser
from infra.review.values import ValueChange
from infra.review.waiver_changes import ACCEPTS_MORE, WaiverChange

STRICTEST = "prod"


class ReviewSeverity(StrEnum):
    """How much a change needs somebody who looks at it, the least first."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


EXIT_CODES: Mapping[ReviewSeverity, int] = {
    ReviewSeverity.NONE: 0,
    ReviewSeverity.LOW: 0,
    ReviewSeverity.MEDIUM: 3,
    ReviewSeverity.HIGH: 4,
}
"""What `review --exit-code` ends with; 2 stays what it is everywhere: not possible."""


@dataclass(frozen=True, kw_only=True)
class ReviewRecord:
    """What a change means.

    Attributes
    ----------
    base
        The commit that the tree is compared with.
    meanings
        Resources, blocks and grants by environment, in the order of deployment.
    rights
        What principals gain and lose in effect.
    ways
        Paths between environments that open and close.
    cost
        Each environment before and after.
    looser
        What prod has looser than staging after the change.
    newly_looser
        Of these, what it had not before.
    notes
        Sentences: what was compared and how.
    """

    base: str
    meanings: Mapping[str, Meaning]
    rights: tuple[RightsChange, ...] = ()
    ways: tuple[WayChange, ...] = ()
    waivers: tuple[WaiverChange, ...] = ()
    cost: tuple[CostChange, ...] = ()
    looser: tuple[Looser, ...] = ()
    newly_looser: tuple[Looser, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def data_at_risk(self) -> tuple[ResourceChange, ...]:
        """Every change that loses data, in the order of environments."""
        return tuple(change for meaning in self.meanings.values() for change in meaning.resources if change.loses_data)

    @property
    def loosened(self) -> tuple[tuple[str, str, ValueChange], ...]:
        """Every value that became looser, with its stack and its resource or block."""
        return tuple(
            (stack, place, value)
            for meaning in self.meanings.values()
            for stack, place, values in (
                *((change.stack, change.address, change.values) for change in meaning.resources),
                *((change.stack, change.block, (change.value,)) for change in meaning.blocks),
            )
            for value in values
            if value.direction is Direction.LOOSENED
        )

    @property
    def changed_costs(self) -> tuple[CostChange, ...]:
        """The environments whose cost, or whose hours, differ."""
        return tuple(one for one in self.cost if one.quantities or one.before != one.after)

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to review but the code of the jobs."""
        return any((*self.meanings.values(), self.rights, self.ways, self.waivers, self.changed_costs))

    @property
    def reasons(self) -> tuple[tuple[ReviewSeverity, str], ...]:
        """Why the change is as severe as it is, the most severe first."""
        return tuple(sorted(_reasons(self), key=lambda one: list(ReviewSeverity).index(one[0]), reverse=True))

    @property
    def severity(self) -> ReviewSeverity:
        """The severity of the change: the highest of its reasons."""
        if self.reasons:
            return self.reasons[0][0]
        return ReviewSeverity.LOW if self.changes_anything else ReviewSeverity.NONE


def _reasons(record: ReviewRecord) -> Iterator[tuple[ReviewSeverity, str]]:
    if lost := len(record.data_at_risk):
        yield (
            ReviewSeverity.HIGH,
            f"{_many(lost, 'resource that holds data is', 'resources that hold data are')} destroyed or replaced",
        )
    if opened := [way for way in record.ways if way.opened]:
        yield ReviewSeverity.HIGH, f"{_many(len(opened), 'path', 'paths')} between environments opened"
    gained = [one for one in record.rights if one.gained]
    held = [one for one in gained if one.controls and one.environment == STRICTEST]
    if held:
        who = ", ".join(dict.fromkeys(one.principal for one in held))
        yield ReviewSeverity.HIGH, f"more of what is in {STRICTEST} can be changed or acted as by {who}"
    if gained:
        yield (
            ReviewSeverity.MEDIUM,
            f"{_many(len({one.principal for one in gained}), 'principal gains', 'principals gain')} rights",
        )
    if loosened := len(record.loosened):
        yield ReviewSeverity.MEDIUM, f"{_many(loosened, 'value', 'values')} loosened"
    if record.newly_looser:
        yield (
            ReviewSeverity.MEDIUM,
            f"{_many(len(record.newly_looser), 'value', 'values')} looser in prod than in staging, and not before",
        )
    if more := sum(change.action in ACCEPTS_MORE for change in record.waivers):
        yield ReviewSeverity.MEDIUM, f"{_many(more, 'waiver', 'waivers')} added or extended"
    if dearer := [one.environment for one in record.cost if one.rises]:
        yield ReviewSeverity.MEDIUM, f"{', '.join(dearer)} may cost more"


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
