"""Every value that differs between two states of a resource, before and after, with the direction where there is an order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.review.directions import Direction, direction_of

KEYS = ("task_key", "job_cluster_key", "environment_key", "key", "name", "principal", "group_name", "user_name",
        "service_principal_name", "alias")  # fmt: skip
"""The arguments by which the blocks of a list are told apart, so that an added one does not shift the others."""
NOTHING = None
"""The value of a path that one side does not have."""
LENGTH = 120
"""The most characters of a value that are shown."""


@dataclass(frozen=True, kw_only=True)
class ValueChange:
    """One value that differs.

    Attributes
    ----------
    path
        The arguments down to the value, with dots; a block of a list by its key in brackets.
    before, after
        As JSON gives them; None where there is none.
    direction
        Whether the change loosens or tightens what the value limits.
    """

    path: str
    before: Any
    after: Any
    direction: Direction

    @property
    def text(self) -> str:
        """The change for people, such as ``retention_in_days: 30 → 31 (tightened)``."""
        note = "" if self.direction is Direction.NEITHER else f" ({self.direction})"
        return f"{self.path}: {shown(self.before)} → {shown(self.after)}{note}"


def value_changes(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    """Return every value that differs, by path.

    Parameters
    ----------
    kind
        The type of the resource, or of the block of the stack.
    before, after
        The arguments. A text that holds a JSON object, as a cluster policy does, is compared value by value.
    """
    differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    old, new = (_leaves({name: value for name, value in side.items() if name in differing}) for side in (before, after))
    return tuple(
        ValueChange(
            path=path,
            before=old.get(path, NOTHING),
            after=new.get(path, NOTHING),
            direction=direction_of(kind, path, old.get(path, NOTHING), new.get(path, NOTHING)),
        )
        for path in sorted({*old, *new})
        if old.get(path, NOTHING) != new.get(path, NOTHING)
    )


def shown(value: Any) -> str:
    """Return a value in few characters; nothing is said to be ``unset``."""
    if value is NOTHING:
        return "unset"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def _leaves(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    _add_leaves(found, "", value)
    return found


def _add_leaves(found: dict[str, Any], path: str, value: Any) -> None:
    value = _decoded(value)
    if isinstance(value, str):  # most values are
        found[path] = value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _add_leaves(found, f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list) and value and all(isinstance(inner, Mapping) for inner in value):
        for label, inner in _labelled(value):
            _add_leaves(found, f"{path}[{label}]" if label else path, inner)
    else:
        found[path] = sorted(value, key=str) if isinstance(value, list) else value


def _labelled(blocks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield blocks with what tells them apart: nothing for a single one, a key if it is unique, else the position."""
    if len(blocks) == 1 and not any(key in blocks[0] for key in KEYS):
        yield "", blocks[0]
        return
    key = next(
        (key for key in KEYS if len({str(b.get(key)) for b in blocks}) == len(blocks) and key in blocks[0]), None
    )
    for position, block in enumerate(blocks):
        yield (str(block[key]) if key and key in block else str(position)), block


def _decoded(value: Any) -> Any:
    """Return the object in a text that is JSON, any other value as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
