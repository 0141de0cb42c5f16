"""Keeps the online store of an endpoint up to date, and says how far it was behind."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ml.monitoring.stale_features import stale_finding
from pipelines.execution.context import Context
from pipelines.execution.windows import window_of
from pipelines.tasks.kept_findings import keep_finding
from pipelines.tasks.predictions.publishing import Lag, lags, publish_features
from pipelines.telemetry.attributes import TABLE
from pipelines.telemetry.events import STORE_BEHIND
from pipelines.telemetry.instruments import STORE_LAG
from pipelines.telemetry.recording import event, measure

LOOKED_AHEAD = dt.timedelta(days=1)
"""Rows whose time is still to come within so long make the store look again without a refresh."""


class OnlineUpkeep:
    """Publishes what the store lacks. `publish` is called now and then by one thread, `facts` by any.

    Parameters
    ----------
    store
        The connection string of the store.
    until
        The present of the store, for data of the past; None for the clock's.
    lag_limit_hours
        From how many hours on that the store is behind a feature table, it is a finding.
    """

    def __init__(
        self, context: Context, store: str, *, until: dt.datetime | None, lag_limit_hours: float,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:  # fmt: skip
        self._context = context
        self._store = store
        self._until = until
        self._lag_limit_hours = lag_limit_hours
        self._clock = clock
        self._read: Sequence[int | None] | None = None
        self._more = True
        self._published: dt.datetime | None = None
        self._behind: tuple[Lag, ...] = ()

    def publish(self) -> None:
        """Publish what the store lacks, if anything can be lacking: a refresh has written, or rows wait for their time."""
        import psycopg

        tables, use_case = self._context.lakehouse.tables, self._context.use_case
        told = (use_case.table("refreshes"), *(shared.table for shared in use_case.shared_features))
        versions, now = [tables.version(table) for table in told], self._until or self._clock()
        if versions == self._read and not self._more:
            return
        context = replace(self._context, now=now)
        with psycopg.connect(self._store, autocommit=True) as connection:
            behind = lags(context, connection, at=now) if self._published is not None else []
            try:
                publish_features(context, connection)
                later = now + LOOKED_AHEAD
                self._more = self._until is None and any(lag.waiting for lag in lags(context, connection, at=later))
                self._read, self._published = versions, now
            finally:  # not before: what cannot be noted must not keep features from being published
                self._note(context, behind)

    def _note(self, context: Context, measured: Sequence[Lag]) -> None:
        """Keep what was measured before a publication; what was too far behind is said, and a finding of the day."""
        self._behind = tuple(measured)
        for lag in measured:
            if lag.hours is None:
                continue
            measure(STORE_LAG, lag.hours * 3600, {TABLE: lag.table})
            found = stale_finding(
                window_of(context.now, "day"), table=lag.table, waiting=lag.waiting, hours=lag.hours,
                allowed=self._lag_limit_hours, at=context.now, look="see what the endpoint says of publishing",
            )  # fmt: skip
            if found is not None:
                event(STORE_BEHIND, {TABLE: lag.table})
                context.say(f"finding: {found.message}")
                keep_finding(context, found, at=context.now)

    def facts(self) -> Mapping[str, Any]:
        """Return what ``/version`` says of the store."""
        return {
            "features_published_at": self._published.isoformat() if self._published else None,
            "features_were_behind": [lag.sentence for lag in self._behind if lag.waiting],
        }
