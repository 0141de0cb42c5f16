"""The finding about a stream that lags: which table, how many requests, how long."""

from datetime import datetime

from ml.monitoring.findings import Finding, FindingKind, Window


def lag_finding(
    window: Window, *, job: str, table: str, requests: int, minutes: float, allowed: int, at: datetime
) -> Finding | None:
    """Return the finding about a stream; None if it is not further behind than allowed.

    Parameters
    ----------
    window
        The day of the look.
    job
        The address of the job that scores the stream.
    table
        The table of the requests.
    requests
        How many requests are due and have no prediction.
    minutes
        How long ago the first of them fell due.
    allowed
        How many minutes are tolerated.
    at
        When it was looked.
    """
    if not requests or minutes <= allowed:
        return None
    return Finding.of_a_day(
        window,
        FindingKind.STREAM_LAGS,
        statistic="minutes_behind",
        value=minutes,
        threshold=float(allowed),
        since=at,
        message=f"the stream of {table} lags: {requests:,} requests are due and have no prediction, the first for "
        f"{minutes:,.0f} minutes; {allowed} are tolerated: see with status how the last run of {job} ended, and run it.",
    )
