"""The finding about a feature table of another use case that has no new rows: how old its newest row is, what was promised."""

from datetime import datetime, timedelta

from ml.monitoring.findings import Finding, FindingKind, Window


def shared_features_finding(
    day: Window, *, table: str, owner: str, newest: datetime | None, at: datetime, allowed_hours: float
) -> Finding | None:
    """Return the finding about a shared feature table; None if its newest row is young enough.

    Parameters
    ----------
    day
        The day that has just ended.
    table
        Its address.
    owner
        The use case whose table it is.
    newest
        The instant of its newest row before `at`; None without any row.
    at
        When it was looked.
    allowed_hours
        How old the newest row may be, as the reader declares it.
    """
    silent = None if newest is None else (at - newest) / timedelta(hours=1)
    if silent is not None and silent <= allowed_hours:
        return None
    last = (
        "it has no row"
        if newest is None or silent is None
        else f"its newest row is of {newest:%Y-%m-%d %H:%M}, {silent:,.0f} hours before {at:%Y-%m-%d %H:%M}"
    )
    return Finding.of_a_day(
        day,
        FindingKind.SHARED_FEATURES_STALE,
        statistic=table,
        value=silent,
        threshold=allowed_hours,
        since=newest or day.start,
        message=f"shared features of {owner} are not fresh: {table}: {last}; {allowed_hours:g} hours are declared. Its owner's "
        "features job writes it.",
    )
