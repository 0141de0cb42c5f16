"""The findings of the daily alarm, in words: which column, what moved, from where to where, in which rows of which day.

The test is in `ml.drift.daily_test`; sources and labels that stopped are in `ml.monitoring.freshness`.
"""

from collections.abc import Mapping, Sequence

from ml.drift.daily_test import Look, Move, Place
from ml.monitoring.findings import ALL_ROWS, Finding, FindingKind, Window
from ml.profiles.column_profile import ColumnProfile

MULTIPLE = 2.0
"""From this ratio on a change is stated as a multiple as well."""
SHOWN = 3
"""How many new categories a sentence names."""


def daily_findings(
    moves: Sequence[Move],
    day: Window,
    *,
    history: Mapping[str, ColumnProfile],
    now: Mapping[str, ColumnProfile],
    unseen: Mapping[str, Sequence[tuple[str, int]]],
) -> tuple[Finding, ...]:
    """Return a finding for each move.

    Parameters
    ----------
    history, now
        Column to its profile over the days of the history, and over the day.
    unseen
        Column to the categories of the day that its profile does not know by name, with their rows.
    """
    return tuple(
        Finding(
            window_start=day.start,
            window_end=day.end,
            kind=FindingKind.SUDDEN_CHANGE.value,
            column_name=move.column,
            slice_key=ALL_ROWS,
            slice_value=ALL_ROWS,
            statistic=f"share_of_{move.look.replace(' ', '_')}",
            value=move.now,
            threshold=move.highest if move.now > move.before else move.lowest,
            since=day.start,
            message=_sentence(move, day, history[move.column], now[move.column], unseen.get(move.column, ())),
        )
        for move in moves
    )


def _sentence(
    move: Move, day: Window, before: ColumnProfile, now: ColumnProfile, unseen: Sequence[tuple[str, int]]
) -> str:
    rows = f"{move.rows:,} rows of {day.start:%Y-%m-%d}"
    if move.look is Look.MONTH_TO_DATE:
        rows = f"{move.rows:,} rows of {move.days} days of the month up to {day.start:%Y-%m-%d}"
    usual = f"{_percent(move.before)} before, {_percent(move.lowest)} to {_percent(move.highest)} on single days"
    return f"{move.column}: {_moved(move, before, now, unseen)}, in {_percent(move.now)} of {rows} ({usual})."


def _moved(move: Move, before: ColumnProfile, now: ColumnProfile, unseen: Sequence[tuple[str, int]]) -> str:
    match move.place:
        case Place.MISSING:
            return "values are missing"
        case Place.CATEGORY:
            return f"category {move.category!r}"
        case Place.UNSEEN if unseen:
            named = ", ".join(f"{name!r} in {rows:,} rows" for name, rows in unseen[:SHOWN])
            more = f" and {len(unseen) - SHOWN:,} more" if len(unseen) > SHOWN else ""
            return f"new categories ({named}{more})" if len(unseen) > 1 else f"new category ({named})"
        case Place.UNSEEN:
            return "values not seen before"
    return _quantile_moved(move, before, now)


def _quantile_moved(move: Move, before: ColumnProfile, now: ColumnProfile) -> str:
    assert move.boundary is not None and move.quantile is not None  # noqa: PT018, S101 - a quantile has both
    a, b = before.quantile(move.quantile), now.quantile(move.quantile)
    name = "median" if move.quantile == 0.5 else f"{move.quantile:.0%} quantile"
    return (
        f"{name} {a:.4g} -> {b:.4g}{_multiple(a, b)}, values {'above' if move.upward else 'up to'} {move.boundary:.4g}"
    )


def _multiple(before: float, now: float) -> str:
    """Return by how many times a number has changed, if it is many times."""
    if before == 0 or now / before <= 0:
        return ""
    ratio = now / before
    if ratio >= MULTIPLE:
        return f" ({ratio:.3g}-fold)"
    return f" (1/{1 / ratio:.3g})" if ratio <= 1 / MULTIPLE else ""


def _percent(share: float) -> str:
    """Return a share in percent; with a decimal only where it is small."""
    return f"{share:.0%}" if share in (0, 1) or 0.1 <= share <= 0.995 else f"{share:.1%}"
