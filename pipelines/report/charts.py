"""Line charts as inline SVG: values over months with their intervals, in the colours of the page.

Colours are classes that the page's style sheet defines, so a chart follows light and dark mode and prints; every point
has its value as a title for a pointer, and the chart a description for a screen reader.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDE, NARROW = 1072, 520
"""Widths of a chart that fills the page and of one of two beside each other, in pixels; its text stays 12 pixels."""
HEIGHT = 300
LEFT, RIGHT, TOP, BOTTOM = 56, 18, 34, 30
SHIFT = 5
"""Pixels between series, so that their intervals do not cover each other."""
TICKS = 5
SAME = 1e-9
"""Values that differ by less than this share are drawn as one."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line.

    Attributes
    ----------
    style
        Class of the line in the page's style sheet.
    values, reaches
        One for each column: the value, and half the width of its interval; None for none.
    """

    label: str
    style: str
    values: Sequence[float | None]
    reaches: Sequence[float | None] = ()

    def reach(self, place: int) -> float:
        """Return half the width of the interval at a column; 0 for none."""
        found = self.reaches[place] if place < len(self.reaches) else None
        return found or 0.0


def line_chart(
    *,
    name: str,
    description: str,
    columns: Sequence[str],
    series: Sequence[Series],
    marks: Mapping[int, str] | None = None,
    digits: int = 3,
    width: int = WIDE,
) -> str:
    """Return a chart as an SVG element; an empty text if no series has a value.

    Parameters
    ----------
    name
        Unique on the page; the chart's title and description get their ids from it.
    description
        What the chart shows, in a sentence, for people who do not see it.
    columns
        The names of the months.
    marks
        Column to a text that is shown above a line before it.
    digits
        Decimals of the values.
    width
        `WIDE` or `NARROW`.
    """
    ends = [
        value + sign * one.reach(place)
        for one in series
        for place, value in enumerate(one.values)
        if value is not None
        for sign in (-1, 1)
    ]
    if not ends:
        return ""
    ticks = tick_values(min(ends), max(ends))
    frame = _Frame(width=width, columns=len(columns), low=min(ticks[0], *ends), high=max(ticks[-1], *ends))
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {HEIGHT}" style="--width:{width}px" role="img" aria-labelledby="{name}-title">',
        f'<title id="{name}-title">{escape(description)}</title>',
        *_grid(frame, ticks, columns),
        *_marks(frame, marks or {}),
    ]
    for index, one in enumerate(series):
        parts += _line(frame, one, (index - (len(series) - 1) / 2) * SHIFT, columns, digits)
    return "".join((*parts, "</svg>"))


def tick_values(low: float, high: float) -> tuple[float, ...]:
    """Return about five round numbers that enclose a range; their step is 1, 2 or 5 times a power of ten."""
    span = high - low
    if span < SAME * max(abs(low), abs(high), 1.0):
        span = max(abs(high), SAME)
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * TICKS >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(index * step, 12) for index in range(first, max(last, first + 1) + 1))


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """The positions of values and columns in the picture."""

    width: int
    columns: int
    low: float
    high: float

    def x(self, place: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * (place + 0.5) / max(self.columns, 1)

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _grid(frame: _Frame, ticks: Sequence[float], columns: Sequence[str]) -> Iterator[str]:
    step = ticks[1] - ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    for tick in ticks:
        y = frame.y(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{frame.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="axis" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.{decimals}f}</text>'
    for place, column in enumerate(columns):
        x = frame.x(place)
        yield f'<text class="axis" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(column)}</text>'


def _marks(frame: _Frame, marks: Mapping[int, str]) -> Iterator[str]:
    for place, text in marks.items():
        x = frame.x(place - 0.5)
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 12}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="mark" x="{x:.1f}" y="{TOP - 18}" text-anchor="middle">{escape(text)}</text>'


def _line(frame: _Frame, one: Series, shift: float, columns: Sequence[str], digits: int) -> Iterator[str]:
    yield f'<g class="series {one.style}">'
    for run in _runs(one.values):
        points = " ".join(f"{frame.x(place) + shift:.1f},{frame.y(value):.1f}" for place, value in run)
        yield f'<polyline points="{points}"/>'
    for place, value in ((p, v) for p, v in enumerate(one.values) if v is not None):
        yield _point(frame, one, place, value, shift, columns[place], digits)
    yield "</g>"


def _point(
    frame: _Frame, one: Series, place: int, value: float, shift: float, column: str, digits: int
) -> str:  # fmt: skip
    x, y, reach = frame.x(place) + shift, frame.y(value), one.reach(place)
    interval = f" ± {reach:.{digits}f}" if reach else ""
    title = f"<title>{escape(f'{column}: {one.label} {value:.{digits}f}{interval}')}</title>"
    bar = ""
    if reach:
        top, bottom = frame.y(value + reach), frame.y(value - reach)
        bar = f'<path class="interval" d="M{x:.1f},{top:.1f}V{bottom:.1f}M{x - 3:.1f},{top:.1f}h6M{x - 3:.1f},{bottom:.1f}h6"/>'
    return f'<g>{title}{bar}<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/></g>'


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Yield the stretches without a gap: a line is not drawn over a month that has no value."""
    run: list[tuple[int, float]] = []
    for place, value in enumerate(values):
        if value is not None:
            run.append((place, value))
        elif run:
            yield run
            run = []
    if run:
        yield run
