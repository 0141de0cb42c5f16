"""One step of the set-up, how it calls the API of Azure DevOps, and whether what is there says what is asked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.devops.actual_state import RESOURCE


@dataclass(frozen=True, kw_only=True)
class SetupStep:
    """One thing to do.

    Attributes
    ----------
    what, reason
        For people: what is done, and why it is not there or not right.
    command
        Arguments of ``az``; empty where a person has to do it.
    waits_for
        What must exist before; empty if the step can be done now.
    """

    what: str
    reason: str
    command: tuple[str, ...] = ()
    waits_for: str = ""


def rest(method: str, url: str, body: Mapping[str, Any] | Sequence[Any]) -> tuple[str, ...]:
    """Return the arguments with which ``az`` calls the API of Azure DevOps."""
    return (
        "rest", "--method", method, "--url", url, "--resource", RESOURCE, "--headers", "Content-Type=application/json",
        "--body", json.dumps(body, sort_keys=True), "--output", "none",
    )  # fmt: skip


def satisfies(found: Any, desired_value: Any) -> bool:
    """Return whether a value says all that is asked; what else it says does not matter, nor the case of words."""
    if isinstance(desired_value, Mapping):
        return isinstance(found, Mapping) and all(
            satisfies(found.get(key), value) for key, value in desired_value.items()
        )
    if isinstance(desired_value, list):
        return (
            isinstance(found, list)
            and len(found) == len(desired_value)
            and all(satisfies(one, other) for one, other in zip(found, desired_value, strict=True))
        )
    return str(found).lower() == str(desired_value).lower()
