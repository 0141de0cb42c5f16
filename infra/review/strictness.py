"""Whether an environment is at least as strict as the one before it, on every argument whose values have an order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.graph.uncollected import uncollected
from infra.review.directions import Direction
from infra.review.values import ValueChange, value_changes
from infra.terraform_cli.synthesized import SynthesizedStack

BEFORE, AFTER = "staging", "prod"
EXPLAINED = re.compile(
    r"(^|\.)(max_workers(\.maxValue)?|num_workers(\.maxValue)?|max_capacity|max_num_clusters|amount|auto_stop_mins)$"
)
"""Paths of sizes and budgets: the settings of each environment state them, and prod's are larger on purpose."""


@dataclass(frozen=True, kw_only=True)
class Looser:
    """One value that prod has looser than staging.

    Attributes
    ----------
    value
        Before is staging's, after is prod's.
    """

    address: str
    value: ValueChange

    @property
    def sentence(self) -> str:
        """The comparison for people."""
        return f"{self.address}: {self.value.text}"


@uncollected
def looser_in_prod(stacks: Mapping[str, SynthesizedStack]) -> tuple[Looser, ...]:
    """Return every ordered value of a resource of both environments that is looser in prod, but for sizes.

    Parameters
    ----------
    stacks
        Every synthesized stack, by name.
    """
    staging, prod = _arguments(stacks, BEFORE), _arguments(stacks, AFTER)
    return tuple(
        Looser(address=address, value=value)
        for address in sorted({*staging} & {*prod})
        for value in value_changes(address.partition(".")[0], staging[address], prod[address])
        if value.direction is Direction.LOOSENED and not EXPLAINED.search(value.path)
    )


def _arguments(stacks: Mapping[str, SynthesizedStack], environment: str) -> dict[str, Mapping[str, Any]]:
    return {
        f"{kind}.{name}": arguments
        for stack in stacks.values()
        if stack.name.startswith(f"{environment}-")
        for kind, name, arguments in stack.resources()
    }
