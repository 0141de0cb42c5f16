"""What a verdict compared, as the report shows it: a picture of the deciding metric by slice, and every difference."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ml.gate.intervals import JudgedDifference
from pipelines.report.charts import tick_values
from pipelines.report.wording import counted, metric_label, signed

WIDE, ROW, TOP, BOTTOM = 720, 24, 22, 26
LEFT, RIGHT = 220, 24
"""Pixels: the width, the height of a row, and the margins; names stand in the left one."""
MOST_ROWS = 25
"""Slices that are drawn, those with the largest falls; the table has all."""
LONGEST_NAME = 30
"""Characters of a slice's name that fit beside the picture."""


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One difference in words.

    Attributes
    ----------
    what
        All rows, or the slice.
    judged, style
        What the rule says of it, and the colour in which the page says so.
    """

    what: str
    difference: JudgedDifference
    judged: str
    style: str


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a candidate's verdict compared.

    Attributes
    ----------
    picture
        The deciding metric on all rows and by slice, as an SVG element; empty without slices.
    left_out
        How many slices the picture leaves out.
    """

    rows: tuple[ComparedRow, ...]
    picture: str
    left_out: int


def compared(found: Sequence[JudgedDifference], *, name: str) -> Compared | None:
    """Return what the page shows of a candidate's differences; None if there are none.

    Parameters
    ----------
    name
        Unique on the page; the picture's title gets its id from it.
    """
    if not found:
        return None
    slices = [one for one in found if one.slice_key is not None]
    drawn = [*(one for one in found if one.rule == "better"), *slices[:MOST_ROWS]]
    picture = _picture(drawn, name) if slices else ""
    return Compared(
        rows=tuple(map(_row, found)), picture=picture, left_out=max(len(slices) - MOST_ROWS, 0) if slices else 0
    )


def _row(one: JudgedDifference) -> ComparedRow:
    if one.shown is None:
        judged, style = "too few rows for a test", "even"
    elif one.fall:
        judged, style = ("shown to be worse", "bad") if one.shown else ("not shown to be worse", "good")
    else:
        judged, style = ("shown to be better", "good") if one.shown else ("not shown to be better", "bad")
    return ComparedRow(what=_what(one), difference=one, judged=judged, style=style)


def _what(one: JudgedDifference) -> str:
    if one.slice_key is None:
        return "All rows" if one.against is not None else "All rows, against a constant"
    return f"{one.slice_key} = {one.slice_value}"


def _picture(drawn: Sequence[JudgedDifference], name: str) -> str:
    """Return the differences as points with their intervals, one below the other."""
    ends = [end for one in drawn for end in (one.low, one.high, one.difference, one.limit, 0.0) if end is not None]
    ticks = tick_values(min(ends), max(ends))
    low, high = min(ticks[0], *ends), max(ticks[-1], *ends)
    height = TOP + ROW * len(drawn) + BOTTOM

    def x(value: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * (value - low) / (high - low)

    metric = metric_label(drawn[0].metric)
    description = f"difference in {metric} on all rows and by slice, with intervals as corrected; right of 0 is better"
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDE} {height}" style="--width:{WIDE}px" role="img" aria-labelledby="{name}-title">',
        f'<title id="{name}-title">{escape(description)}</title>',
        *_axis(ticks, x, height),
    ]
    for place, one in enumerate(drawn):
        parts += _drawn(one, x, TOP + ROW * (place + 0.5))
    return "".join((*parts, "</svg>"))


def _axis(ticks: Sequence[float], x: Callable[[float], float], height: int) -> Iterator[str]:
    digits = max(0, len(f"{ticks[1] - ticks[0]:.6f}".rstrip("0").partition(".")[2]))
    for tick in ticks:
        style = "mark" if tick == 0 else "grid"
        yield f'<line class="{style}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 6}" y2="{height - BOTTOM}"/>'
        yield f'<text class="axis" x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{signed(tick, digits) if tick else 0}</text>'


def _drawn(one: JudgedDifference, x: Callable[[float], float], y: float) -> Iterator[str]:
    row = _row(one)
    style = {"bad": "bad", "even": "constant"}.get(row.style, "champion") if one.fall else "champion"
    label = row.what if len(row.what) <= LONGEST_NAME else f"{row.what[: LONGEST_NAME - 1]}…"
    interval = "" if one.low is None or one.high is None else f", {signed(one.low, 4)} to {signed(one.high, 4)}"
    title = f"{row.what}: {signed(one.difference, 4)}{interval}, {counted(one.rows, 'row')}, {row.judged}"
    yield f'<text class="axis" x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    yield f'<g class="series {style}"><g><title>{escape(title)}</title>'
    if one.low is not None and one.high is not None:
        left, right = x(one.low), x(one.high)
        yield f'<path class="interval" d="M{left:.1f},{y:.1f}H{right:.1f}M{left:.1f},{y - 3:.1f}v6M{right:.1f},{y - 3:.1f}v6"/>'
    yield f'<circle cx="{x(one.difference):.1f}" cy="{y:.1f}" r="4"/></g></g>'
    if one.fall:
        yield f'<path class="limit" d="M{x(one.limit):.1f},{y - 8:.1f}v16"/>'
