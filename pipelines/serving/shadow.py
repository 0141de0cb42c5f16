"""Scores requests by the version that does not answer them: in a thread of its own, after the answer, never in its way.

What waits is bounded: what does not fit is left out and counted. A failure is noted and fails no request.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.scoring.online import OnlineFeatures
from pipelines.scoring.stored import StoredRows
from pipelines.serving.versions import Loaded

MOST_WAITING = 256
"""Lots of requests that may wait for a shadow."""


@dataclass(frozen=True, kw_only=True)
class ShadowLot:
    """Requests that one version has answered and the other is to score.

    Attributes
    ----------
    features
        What was looked up for them; None where the other version looks up something else.
    """

    ids: Sequence[str]
    requests: pa.Table
    features: StoredRows | None
    scorer: Loaded
    rollout: RolloutState


class Shadow:
    """The queue of what a shadow has to score, and its thread."""

    def __init__(
        self, *, store: str, keep: Callable[[ShadowLot, StoredRows], None],
        failed: Callable[[ShadowLot, Exception], None], most_waiting: int = MOST_WAITING,
    ) -> None:  # fmt: skip
        self._store = store
        self._keep = keep
        self._failed = failed
        self._queue: queue.Queue[ShadowLot | None] = queue.Queue(most_waiting)
        self._looked_up: OnlineFeatures | None = None
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self.left_out = 0

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def offer(self, lot: ShadowLot) -> None:
        """Let requests wait for the shadow, or leave them out where too many wait."""
        try:
            self._queue.put_nowait(lot)
        except queue.Full:
            self.left_out += len(lot.ids)

    def stop(self, seconds: float) -> None:
        """Score what waits, and end."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(seconds)

    def _work(self) -> None:
        while (lot := self._queue.get()) is not None:
            try:
                self._keep(lot, self._features(lot))
            except Exception as error:  # noqa: BLE001 - a shadow's failure is noted and fails nobody
                self._failed(lot, error)

    def _features(self, lot: ShadowLot) -> StoredRows:
        if lot.features is not None:
            return lot.features
        if self._looked_up is None or not self._looked_up.serves(lot.scorer.function):
            if self._looked_up is not None:
                self._looked_up.close()
            self._looked_up = OnlineFeatures(lot.scorer.function, self._store)
        return self._looked_up.newest(lot.requests)
