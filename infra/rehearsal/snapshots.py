"""What is in the emulated cloud at one time, and how two times differ: which objects came, went and changed."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.emulated_cloud.world import World

PASSING = ("run", "statement")
"""Kinds that record what was done, beside the blobs of states and records: they grow whatever is there."""
OF_STORAGE = "storage "
RECORDS, STATE = ".jsonl", ".tfstate"

Snapshot = Mapping[str, Any]
"""What is there: ``place: kind: id`` to the document, or for a file to its bytes."""


@dataclass(frozen=True, kw_only=True)
class CloudDifference:
    """What came, went and changed between two snapshots, by ``place: kind: id``."""

    came: Mapping[str, Any]
    went: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]]

    def of_others(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Return what came without any of some words in its name or description, and all that went or changed.

        What came for another object, such as permissions on a job, has none of the words and is named by that object's id.
        """
        own = {key for key, document in self.came.items() if any(word in f"{key}{_text(document)}" for word in words)}
        ids = {key.rpartition(": ")[2] for key in own}
        belongs = {key for key in self.came if set(key.rpartition(": ")[2].replace("/", " ").split()) & ids}
        return tuple(sorted({*self.came} - own - belongs | {*self.went, *self.changed}))


def snapshot(world: World) -> Snapshot:
    """Return a copy of everything that is there, but for records of what was done and states that hold nothing."""
    with world.lock:
        documents = {
            f"{place}: {kind}: {key}": copy.deepcopy(document)
            for (place, kind), store in world.stores.items()
            if kind not in PASSING and not place.startswith(OF_STORAGE)
            for key, document in store.items()
        }
        files = {
            f"{place}: file: {path}": content for (place, path), content in world.contents.items()
            if not path.endswith(RECORDS) and not (path.endswith(STATE) and not json.loads(content)["resources"])
        }  # fmt: skip
    return {**documents, **files}


def difference(before: Snapshot, now: Snapshot) -> CloudDifference:
    """Return how what is there now differs from what was there before."""
    return CloudDifference(
        came={key: now[key] for key in now.keys() - before.keys()},
        went={key: before[key] for key in before.keys() - now.keys()},
        changed={key: (before[key], now[key]) for key in now.keys() & before.keys() if now[key] != before[key]},
    )


def _text(document: Any) -> str:
    return "" if isinstance(document, bytes) else json.dumps(document, default=str)
