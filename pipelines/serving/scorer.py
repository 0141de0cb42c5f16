"""Scores waiting requests one lot after another, in a thread of its own: what waits at once is looked up and scored at once."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import pyarrow as pa

from ml.spec.errors import LakehouseError
from pipelines.serving.limits import Limits


class OverloadedError(LakehouseError):
    """A request that cannot wait here: so many wait already."""


class TooLateError(LakehouseError):
    """A request that has waited longer than it may."""


@dataclass(frozen=True)
class Waiting:
    """A request that waits for its answer."""

    request_id: str
    rows: pa.Table
    since: float
    answer: "Future[pa.Table]" = field(default_factory=Future)


Answer = Callable[[list[tuple[str, pa.Table]]], list[pa.Table]]
"""Answers several requests of the same columns, each with its id; what it has returned is in the journal."""


class Scorer:
    """The queue of waiting requests and the thread that answers them."""

    def __init__(self, answer: Answer, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._answer = answer
        self._limits = limits
        self._clock = clock
        self._queue: queue.Queue[Waiting | None] = queue.Queue(limits.waiting)
        self._seconds = 0.005
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="scorer", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def submit(self, request_id: str, rows: pa.Table) -> "Future[pa.Table]":
        """Let a request wait for its answer.

        Raises
        ------
        OverloadedError
            If as many wait as may, or the endpoint is being stopped.
        """
        waiting = Waiting(request_id, rows, self._clock())
        if self._closed:
            raise OverloadedError("the endpoint is being stopped: ask another one, or again.")
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise OverloadedError(
                f"{self._queue.qsize()} requests wait already, and no more may: ask again in {self.retry_after} seconds."
            ) from None
        return waiting.answer

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._queue.qsize()

    @property
    def retry_after(self) -> int:
        """In how many seconds, at least one, those that wait are answered at the pace so far."""
        return max(1, round(self._queue.qsize() * self._seconds))

    def stop(self, seconds: float) -> None:
        """Answer what waits, accept nothing more, and end."""
        self._closed = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(seconds)

    def _work(self) -> None:
        left: Waiting | None = None
        while True:
            first = left or self._queue.get()
            if first is None:
                return
            lot, left, ended = self._lot(first)
            begun = self._clock()
            self._answer_lot(lot)
            if lot:
                self._seconds += 0.1 * ((self._clock() - begun) / len(lot) - self._seconds)
            if ended:
                return

    def _lot(self, first: Waiting) -> tuple[list[Waiting], Waiting | None, bool]:
        """Return the requests that are answered now, the one after them that does not fit, and whether that is all."""
        lot, rows, following = [], 0, first
        while True:
            late = self._clock() - following.since
            if following.answer.set_running_or_notify_cancel():
                if late > self._limits.deadline_seconds:
                    following.answer.set_exception(
                        TooLateError(f"the request has waited {late:.1f} seconds: ask again.")
                    )
                else:
                    lot.append(following)
                    rows += following.rows.num_rows
            try:
                found = self._queue.get_nowait()
            except queue.Empty:
                return lot, None, False
            if found is None:
                return lot, None, True
            fits = rows + found.rows.num_rows <= self._limits.rows_together
            if lot and not (fits and found.rows.schema.equals(lot[0].rows.schema)):
                return lot, found, False
            following = found

    def _answer_lot(self, lot: list[Waiting]) -> None:
        if not lot:
            return
        try:
            answers = self._answer([(waiting.request_id, waiting.rows) for waiting in lot])
        except Exception as error:  # noqa: BLE001 - who asked is told
            if len(lot) > 1:  # what one request brings must not fail the others
                for waiting in lot:
                    self._answer_lot([waiting])
                return
            lot[0].answer.set_exception(error)
            return
        for waiting, answer in zip(lot, answers, strict=True):
            waiting.answer.set_result(answer)
