"""The windows of monitoring: calendar months, UTC, half-open."""

import datetime as dt

from ml.monitoring.findings import Window

GRANULARITY = "1 month"


def month_of(instant: dt.datetime) -> Window:
    """Return the month in which an instant lies."""
    start = instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Window(start=start, end=_next(start))


def months(since: dt.datetime, until: dt.datetime) -> tuple[Window, ...]:
    """Return the months that have begun before `until` and not ended before or at `since`, the oldest first."""
    found = []
    window = month_of(since)
    while window.start < until:
        found.append(window)
        window = month_of(window.end)
    return tuple(found)


def months_to_monitor(since: dt.datetime | None, until: dt.datetime, *, due_days: int = 0) -> tuple[Window, ...]:
    """Return the newest month and the one before, all others from `since` on, and those whose outcomes become due.

    Parameters
    ----------
    due_days
        Days from a prediction until its outcome is due.
    """
    newest = months(until - dt.timedelta(microseconds=1), until)[-1]
    usual = min(month_before(newest).start, month_of(until - dt.timedelta(days=due_days)).start)
    return months(min(since or usual, usual), until)


def month_before(window: Window) -> Window:
    """Return the month before a month."""
    return month_of(window.start - dt.timedelta(days=1))


def _next(start: dt.datetime) -> dt.datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
