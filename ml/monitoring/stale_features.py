"""The finding about features that an endpoint looks up and that are older than those of batch: which table, how far behind."""

from datetime import datetime

from ml.monitoring.findings import Finding, FindingKind, Window


def stale_finding(
    window: Window, *, table: str, waiting: int, hours: float, allowed: float, at: datetime, look: str
) -> Finding | None:
    """Return the finding about a feature table of the online store; None if it is not further behind than allowed.

    Parameters
    ----------
    window
        The day of the look.
    table
        The feature table.
    waiting
        How many of its rows a request could use and are not in the store.
    hours
        From the end of what is in the store to the newest of them.
    allowed
        How many hours are tolerated.
    at
        When it was looked.
    look
        Where it is said why, as the rest of a sentence.
    """
    if not waiting or hours <= allowed:
        return None
    return Finding.of_a_day(
        window,
        FindingKind.FEATURES_STALE,
        statistic=table,
        value=hours,
        threshold=allowed,
        since=at,
        message=f"the online store was {hours:,.1f} hours behind {table}: {waiting:,} rows were waiting to be published; "
        f"{allowed:g} hours are tolerated: {look}.",
    )
