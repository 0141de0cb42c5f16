"""Requests of past months, sent to an endpoint again in the order of their time, and what its clients saw."""

import datetime as dt
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse

FIRST_HOUR, HOURS, HOURS_ON = 8, 14, 5
"""Flights are predicted from 8 to 22 h UTC; the hour of a day is five on from the day before, so 14 days have each hour once."""
CLIENTS = 2
"""Who ask at the same time, each one request after the other."""
ANSWER_SECONDS = 60.0
"""How long a client waits for an answer."""
PATIENCE_SECONDS = 600.0
"""How long the demonstration waits for its endpoint: on a busy machine a version is compiled for minutes."""


@dataclass(frozen=True, kw_only=True)
class Lot:
    """The requests of one hour.

    Attributes
    ----------
    since
        The beginning of the hour.
    requests
        Each has the rows of the spine that fall due at the same instant, as JSON has them; in the order of time.
    """

    since: dt.datetime
    requests: Sequence[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class SentRequest:
    """What a client saw of one request.

    Attributes
    ----------
    rows
        That it asked about.
    status
        Of HTTP; 0 where there was no answer.
    versions
        Which version answered each row; empty if none did.
    message
        Why it failed; empty for an answer.
    """

    rows: int
    status: int
    seconds: float
    versions: tuple[int, ...] = ()
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether a row of it has no answer."""
        return len(self.versions) != self.rows


def lots(lakehouse: Lakehouse, use_case: UseCase, since: dt.datetime, *, days: int) -> list[Lot]:
    """Return the requests of one hour of each day, in the order of time; of a day without any there is no lot."""
    spine = use_case.spine
    due = F.col(spine.prediction_time)
    hours = [hour_of(since + dt.timedelta(days=day)) for day in range(days)]
    rows = lakehouse.tables.read(spine.table).where(
        (due >= F.lit(since)) & (due < F.lit(since + dt.timedelta(days=days)))
    )
    known = rows.select(*(column.name for column in spine.table.columns)).toArrow().to_pylist()
    found: dict[dt.datetime, dict[dt.datetime, list[Mapping[str, Any]]]] = {hour: {} for hour in hours}
    for row in sorted(known, key=lambda row: (row[spine.prediction_time], row[spine.request_key])):
        instant = _utc(row[spine.prediction_time])
        together = found.get(instant.replace(minute=0, second=0, microsecond=0))
        if together is not None:
            together.setdefault(instant, []).append({name: _plain(value) for name, value in row.items()})
    return [Lot(since=hour, requests=list(together.values())) for hour, together in found.items() if together]


def hour_of(day: dt.datetime) -> dt.datetime:
    """Return the hour of a day whose requests are sent."""
    passed = (day - dt.datetime(2013, 1, 1, tzinfo=dt.UTC)).days
    return day.replace(hour=FIRST_HOUR + HOURS_ON * passed % HOURS, minute=0, second=0, microsecond=0)


class Clients:
    """Clients of an endpoint on this machine, which keep their connections."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._own = threading.local()

    def ask(self, requests: Sequence[Sequence[Mapping[str, Any]]]) -> list[SentRequest]:
        """Send requests, each with its rows, in their order, as soon as a client is free."""
        pool = ThreadPoolExecutor(CLIENTS)
        try:
            return list(pool.map(self._ask, requests))
        finally:
            pool.shutdown(cancel_futures=True)

    def version(self) -> Mapping[str, Any]:
        """Return what the endpoint says of itself."""
        status, body = self._sent("GET", "/version", None)
        found: Mapping[str, Any] = json.loads(body) if status == http.HTTPStatus.OK else {}
        return found

    def _ask(self, rows: Sequence[Mapping[str, Any]]) -> SentRequest:
        begun, body = time.perf_counter(), json.dumps({"dataframe_records": rows})
        try:
            status, said = self._sent("POST", "/invocations", body)
            answer = json.loads(said)
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            return SentRequest(rows=len(rows), status=0, seconds=time.perf_counter() - begun, message=why)
        seconds = time.perf_counter() - begun
        if status != http.HTTPStatus.OK:
            return SentRequest(rows=len(rows), status=status, seconds=seconds, message=str(answer.get("message", "")))
        versions = tuple(one["model_version"] for one in answer["predictions"])
        return SentRequest(rows=len(rows), status=status, seconds=seconds, versions=versions)

    def _sent(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        kept, name = getattr(self._own, "connection", None), uuid4().hex
        if kept is not None:
            with suppress(ConnectionError):  # the endpoint has closed it meanwhile, as nothing was asked for long
                return self._answered(kept, method, path, body, name)
        self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        return self._answered(self._own.connection, method, path, body, name)

    def _answered(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None, name: str
    ) -> tuple[int, bytes]:  # fmt: skip
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "X-Request-Id": name,  # asked twice under one name, it is kept once
        }
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._own.connection = None
            connection.close()
            raise


def wait_until(what: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> bool:
    """Return whether something has come true in time."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def milliseconds(asked: Sequence[SentRequest], share: float) -> float:
    """Return the quantile of how long clients waited for an answer; NaN without any."""
    seconds = [one.seconds for one in asked if not one.failed]
    return 1000 * float(np.quantile(seconds, share)) if seconds else float("nan")


def _plain(value: Any) -> Any:
    return _utc(value).isoformat() if isinstance(value, dt.datetime) else value


def _utc(instant: dt.datetime) -> dt.datetime:
    return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
