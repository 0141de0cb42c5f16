"""How far the stream of a use case is behind: requests that are due and have no prediction; too far is a finding."""

import datetime as dt
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.stream_lag import lag_finding
from pipelines.dataframes.training_rows import requests
from pipelines.execution.context import Context
from pipelines.execution.windows import window_of
from pipelines.lakehouse.tables.arrow import in_utc
from pipelines.tasks.kept_findings import keep_finding
from pipelines.tasks.predictions.scoring import scored_span, window_start
from pipelines.telemetry.attributes import TABLE
from pipelines.telemetry.events import STREAM_BEHIND
from pipelines.telemetry.instruments import STREAM_LAG, STREAM_WAITING
from pipelines.telemetry.recording import event, measure


@dataclass(frozen=True, kw_only=True)
class StreamLag:
    """What a stream has not scored yet.

    Attributes
    ----------
    requests
        How many requests are due and have no prediction.
    oldest
        When the first of them fell due; None if there is none.
    """

    requests: int
    oldest: dt.datetime | None

    def seconds(self, at: dt.datetime) -> float:
        """Return how long before an instant the first of them fell due; 0 without one."""
        return max(0.0, (at - self.oldest).total_seconds()) if self.oldest else 0.0


def stream_lag(context: Context, alias: str, at: dt.datetime) -> StreamLag:
    """Return what is due at an instant and has no prediction, as far as scoring looks back; nothing before the first one."""
    use_case = context.use_case
    scored = context.lakehouse.tables.read(use_case.table("predictions")).where(F.col("alias") == alias)
    begin = window_start(*scored_span(scored, at), None, look_back_days=use_case.scoring_look_back_days)
    if begin is None:
        return StreamLag(requests=0, oldest=None)
    key = use_case.spine.request_key
    waiting = requests(context, begin, at).join(scored.select(F.col("request_key").alias(key)), on=key, how="left_anti")
    (found,) = (
        waiting.agg(F.count(F.lit(1)).alias("requests"), F.min(use_case.spine.prediction_time).alias("oldest"))
        .toArrow()
        .to_pylist()
    )
    oldest = found["oldest"]
    return StreamLag(requests=found["requests"], oldest=in_utc(oldest) if oldest else None)


def note_lag(context: Context, alias: str, at: dt.datetime) -> StreamLag:
    """Measure how far the stream is behind; a lag that is too long is said, and a finding of the day."""
    use_case = context.use_case
    lag, source = stream_lag(context, alias, at), use_case.spine.table.address
    measure(STREAM_LAG, lag.seconds(at), {TABLE: source})
    measure(STREAM_WAITING, lag.requests, {TABLE: source})
    allowed = use_case.streaming.lag_minutes if use_case.streaming else 0
    found = lag_finding(
        window_of(at, "day"), job=use_case.job("stream").address, table=source, requests=lag.requests,
        minutes=lag.seconds(at) / 60, allowed=allowed, at=at,
    )  # fmt: skip
    if found is None:
        return lag
    event(STREAM_BEHIND, {TABLE: source})
    context.say(found.message)
    keep_finding(context, found, at=at)
    return lag
