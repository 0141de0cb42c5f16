"""One step of the set-up, the request that it sends to Azure DevOps, and the comparison of actual and desired values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.devops.actual_state import RESOURCE


@dataclass(frozen=True, kw_only=True)
class SetupStep:
    """One step of the set-up.

    Attributes
    ----------
    what, reason
        For people: what is done, and what is missing or wrong.
    command
        Arguments of ``az``; empty if a person must do it.
    waits_for
        What must exist first; empty if the step can be done now.
    """

    what: str
    reason: str
    command: tuple[str, ...] = ()
    waits_for: str = ""


def rest(method: str, url: str, body: Mapping[str, Any] | Sequence[Any]) -> tuple[str, ...]:
    """Return the arguments of ``az`` for a request to the API of Azure DevOps."""
    return (
        "rest", "--method", method, "--url", url, "--resource", RESOURCE, "--headers", "Content-Type=application/json",
        "--body", json.dumps(body, sort_keys=True), "--output", "none",
    )  # fmt: skip


def satisfies(actual: Any, desired: Any) -> bool:
    """Return whether an actual value has all desired values; additional keys and the case of texts do not matter."""
    if isinstance(desired, Mapping):
        return isinstance(actual, Mapping) and all(satisfies(actual.get(key), value) for key, value in desired.items())
    if isinstance(desired, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(desired)
            and all(satisfies(one, other) for one, other in zip(actual, desired, strict=True))
        )
    return str(actual).lower() == str(desired).lower()
