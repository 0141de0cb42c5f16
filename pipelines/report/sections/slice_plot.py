"""A plot of a difference and its interval on each slice, as inline SVG in the colours of the page; the limit is a line."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

from ml.gate.slice_basis import ShownSlice
from pipelines.report.charts import tick_values
from pipelines.report.wording import signed

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 760, 210, 24, 26, 22, 44
MOST = 24
"""Slices that are drawn; the table has all of them."""
LONGEST = 28
"""Characters of a slice's name that fit beside its row."""


def drawn(slices: Sequence[ShownSlice]) -> tuple[ShownSlice, ...]:
    """Return the slices that a plot shows: those that have a difference, the first of them if there are many."""
    return tuple(one for one in slices if one.difference is not None)[:MOST]


def slice_plot(slices: Sequence[ShownSlice], *, name: str, metric: str) -> str:
    """Return the plot as an SVG element; an empty text where no slice has a difference.

    Parameters
    ----------
    name
        Unique on the page.
    metric
        The difference's metric with its unit, in words.
    """
    shown = drawn(slices)
    if not shown:
        return ""
    ends = [0.0, *(end for one in shown for end in _ends(one))]
    ticks = tick_values(min(ends), max(ends))
    low, high = min(ticks[0], *ends), max(ticks[-1], *ends)
    height = TOP + ROW * len(shown) + BOTTOM

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    bottom = height - BOTTOM
    parts = [
        f'<svg class="chart slices" viewBox="0 0 {WIDTH} {height}" style="--width:{WIDTH}px" role="img" aria-labelledby="{name}-title">',
        f'<title id="{name}-title">Difference in {escape(metric)} from the champion on each slice, with its interval</title>',
    ]
    decimals = _decimals(ticks)
    for tick in ticks:
        at = f"{x(tick):.1f}"
        parts.append(
            f'<line class="{"zero" if tick == 0 else "grid"}" x1="{at}" x2="{at}" y1="{TOP - 6}" y2="{bottom}"/>'
        )
        parts.append(
            f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{signed(tick, decimals) if tick else "0"}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{height - 8}" text-anchor="middle">'
        f"difference in {escape(metric)}; right of 0 the candidate is better</text>"
    )
    limits = [one.limit for one in shown if one.limit is not None]
    if limits:
        parts.append(f'<text class="limit" x="{x(min(limits)):.1f}" y="{TOP - 12}" text-anchor="middle">limit</text>')
    for place, one in enumerate(shown):
        parts += _row(one, TOP + ROW * (place + 0.5), x)
    return "".join((*parts, "</svg>"))


def _row(one: ShownSlice, y: float, x: Callable[[float], float]) -> Iterator[str]:
    difference = one.difference or 0.0
    style = "bad" if one.worse else "champion" if one.judged == "alone" else "constant"
    label = one.name if len(one.name) <= LONGEST else f"{one.name[: LONGEST - 1]}…"
    title = f"{one.name}, {one.rows:,} rows: {signed(difference, 4)}"
    bar = ""
    if one.interval is not None and one.interval.low is not None and one.interval.high is not None:
        low, high = x(one.interval.low), x(one.interval.high)
        title += f", interval {signed(one.interval.low, 4)} to {signed(one.interval.high, 4)}"
        bar = f'<path class="interval" d="M{low:.1f},{y:.1f}H{high:.1f}M{low:.1f},{y - 4:.1f}v8M{high:.1f},{y - 4:.1f}v8"/>'
    yield f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    if one.limit is not None:
        at = f"{x(one.limit):.1f}"
        yield f'<line class="limit" x1="{at}" x2="{at}" y1="{y - ROW / 2:.1f}" y2="{y + ROW / 2:.1f}"/>'
    yield f'<g class="series {style}"><title>{escape(title)}</title>{bar}<circle cx="{x(difference):.1f}" cy="{y:.1f}" r="4"/></g>'


def _ends(one: ShownSlice) -> Iterator[float]:
    yield one.difference or 0.0
    if one.limit is not None:
        yield one.limit
    if one.interval is not None and one.interval.low is not None and one.interval.high is not None:
        yield from (one.interval.low, one.interval.high)


def _decimals(ticks: Sequence[float]) -> int:
    """Return the decimals that tell neighbouring ticks apart."""
    return next((digits for digits in range(8) if len({f"{tick:.{digits}f}" for tick in ticks}) == len(ticks)), 8)
