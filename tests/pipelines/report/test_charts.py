"""Charts are well-formed SVG that states every value as text, for a pointer and for a screen reader."""

import itertools
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.report.charts import Series, line_chart, tick_values

SVG = "{http://www.w3.org/2000/svg}"


def drawn(
    values: Sequence[float | None],
    *,
    reaches: Sequence[float | None] = (),
    columns: Sequence[str] | None = None,
    marks: Mapping[int, str] | None = None,
    label: str = "live",
) -> ElementTree.Element:
    """Return one series as parsed SVG."""
    svg = line_chart(
        name="trial", description="a & b", columns=columns or [f"m{n}" for n in range(len(values))],
        series=(Series(label=label, style="champion", values=values, reaches=reaches),), marks=marks,
    )  # fmt: skip
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text


def titles(root: ElementTree.Element) -> list[str | None]:
    """Return the texts that a pointer shows."""
    return [title.text for title in root.iter("title")]


def test_every_value_has_a_point_with_its_interval_in_words() -> None:
    """The title of the point has month, name, value and half the width of the interval."""
    root = drawn([0.7, 0.65], reaches=[0.01, None], columns=["Apr", "May"])
    assert titles(root) == ["a & b", "Apr: live 0.700 ± 0.010", "May: live 0.650"]
    assert len(list(root.iter("circle"))) == 2
    assert len([path for path in root.iter("path") if path.get("class") == "interval"]) == 1


def test_a_month_without_a_value_interrupts_the_line() -> None:
    """No line is drawn over a gap."""
    lines = [line.get("points").split() for line in drawn([0.1, 0.2, None, 0.3]).iter("polyline")]
    assert [len(points) for points in lines] == [2, 1]


def test_a_larger_value_is_drawn_higher_and_within_its_interval() -> None:
    """The ends of the bar lie on either side of the point."""
    root = drawn([0.1, 0.9], reaches=[0.05, 0.05])
    low, high = (float(circle.get("cy")) for circle in root.iter("circle"))
    assert high < low
    bar = next(root.iter("path")).get("d")
    top, bottom = float(bar.split(",")[1].split("V")[0]), float(bar.split("V")[1].split("M")[0])
    assert top < low < bottom


def test_a_mark_is_drawn_before_its_column() -> None:
    """The change of the champion is drawn between the two months."""
    root = drawn([1.0, 2.0, 3.0], marks={2: "v1 → v3"})
    mark = next(line for line in root.iter("line") if line.get("class") == "mark")
    before, after = [float(circle.get("cx")) for circle in root.iter("circle")][1:]
    assert before < float(mark.get("x1")) < after
    assert "v1 → v3" in [text.text for text in root.iter("text")]


def test_names_are_text_and_never_markup() -> None:
    """A name with angle brackets is shown, not executed."""
    root = drawn([1.0], columns=["<b>"], label="<script>")
    assert not list(root.iter("script"))
    assert titles(root)[1] == "<b>: <script> 1.000"


def test_no_value_at_all_gives_no_chart() -> None:
    """An empty frame would look like a fault."""
    none = Series(label="live", style="champion", values=[None, None])
    assert line_chart(name="n", description="d", columns=["a", "b"], series=(none,)) == ""


@given(low=st.floats(-1e6, 1e6), span=st.floats(0, 1e6))
@settings(max_examples=40)
def test_ticks_enclose_the_values_at_equal_round_steps(low: float, span: float) -> None:
    """There are 2 to 12 of them for every range, also for one repeated value."""
    ticks = tick_values(low, low + span)
    scale = max(abs(low), abs(low + span), 1e-9)
    assert ticks[0] <= low + 1e-6 * scale
    assert ticks[-1] >= low + span - 1e-6 * scale
    assert 2 <= len(ticks) <= 12
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert min(steps) > 0
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
