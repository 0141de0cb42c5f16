"""The windows of monitoring: calendar days, weeks from Monday, or months, UTC, half-open."""

import datetime as dt

from ml.monitoring.findings import OF_A_DAY, Window


def granularity(length: str) -> str:
    """Return the length of windows as the tables of profiles and drift state it, for example ``1 month``."""
    return f"1 {length}"


def window_of(instant: dt.datetime, length: str) -> Window:
    """Return the window of a length (`ml.spec.monitoring_policy.WINDOWS`) in which an instant lies."""
    day = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "month":
        start = day.replace(day=1)
        return Window(start=start, end=start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1))
    days = 7 if length == "week" else 1
    start = day - dt.timedelta(days=day.weekday() if length == "week" else 0)
    return Window(start=start, end=start + dt.timedelta(days=days))


def month_of(instant: dt.datetime) -> Window:
    """Return the month in which an instant lies."""
    return window_of(instant, "month")


def windows(since: dt.datetime, until: dt.datetime, length: str) -> tuple[Window, ...]:
    """Return the windows that have begun before `until` and not ended before or at `since`, the oldest first."""
    found = []
    window = window_of(since, length)
    while window.start < until:
        found.append(window)
        window = window_of(window.end, length)
    return tuple(found)


def windows_to_monitor(since: dt.datetime | None, until: dt.datetime, length: str, due_days: int) -> tuple[Window, ...]:
    """Return the newest window and those before it whose labels are still arriving, and all others from `since` on.

    Parameters
    ----------
    due_days
        So many days after a prediction its label is due; the window before the newest one counts in any case.
    """
    newest = window_of(until - dt.timedelta(microseconds=1), length)
    usual = window_of(newest.start - dt.timedelta(days=max(due_days, 1)), length).start
    return windows(min(since or usual, usual), until, length)


def window_before(window: Window, length: str) -> Window:
    """Return the window before a window."""
    return window_of(window.start - dt.timedelta(days=1), length)


def window_label(start: dt.datetime, length: str) -> str:
    """Return a window as a line of text names it: a month by year and month, others by their first day."""
    return f"{start:%Y-%m}" if length == "month" else f"{start:%Y-%m-%d}"


def finding_label(start: dt.datetime, kind: str, length: str) -> str:
    """Return the window of a finding as a line of text names it: a day where the daily alarm found it."""
    return window_label(start, "day" if kind in OF_A_DAY else length)
