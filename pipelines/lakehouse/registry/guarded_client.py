"""An MLflow client whose writes pass a guard: what changes the registry is refused to a writer that lost its lock."""

import functools
from typing import Any, cast

from mlflow import MlflowClient

from pipelines.lakehouse.guard import Guard

READS = ("get_", "search_", "list_", "download_", "load_")
"""How the methods begin that change nothing."""
OWN = frozenset({"set_terminated"})
"""Ending one's own run is always allowed: a writer that lost its lock shall not leave a run that never ends."""


class _GuardedClient:
    def __init__(self, client: MlflowClient, guard: Guard) -> None:
        self._client, self._guard = client, guard

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name.startswith((*READS, "_")) or name in OWN or not callable(found):
            return found

        @functools.wraps(found)
        def call(*arguments: Any, **options: Any) -> Any:
            with self._guard():
                return found(*arguments, **options)

        return call


def guarded(client: MlflowClient, guard: Guard) -> MlflowClient:
    """Return a client like the given one; each call that is not known to be a read passes the guard."""
    return cast("MlflowClient", _GuardedClient(client, guard))
