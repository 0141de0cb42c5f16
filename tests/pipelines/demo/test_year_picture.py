"""The picture of the year is drawn from the lines that the demonstration prints; the README shows both of one run."""

import os
import re
from pathlib import Path

import pytest

from pipelines.demo.year_picture import months, year_picture

ROOT = Path(__file__).parents[3]
PICTURE = ROOT / "docs" / "year.svg"
LINES = (
    re.search(
        r"<!-- demo output -->\n\n```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )[1]  # type: ignore[index] # the block is there
).splitlines()


def test_the_picture_of_the_readme_is_that_of_its_text() -> None:
    """A picture made by another run differs in a number; REWRITE_GOLDEN=1 draws it again."""
    drawn = year_picture(LINES)
    if os.environ.get("REWRITE_GOLDEN"):
        PICTURE.write_text(drawn, encoding="utf-8")
    assert PICTURE.read_text(encoding="utf-8") == drawn


def test_the_picture_shows_every_month_with_its_version_and_what_was_promoted() -> None:
    """Each row of the printed table is a point; a promotion is a line after its month."""
    shown = months(LINES)
    assert [one.month for one in shown] == [f"2013-{month:02d}" for month in range(4, 13)]
    drawn = year_picture(LINES)
    assert drawn.count('class="dot"') == len(shown)
    promoted = {one.promoted for one in shown} - {None}
    assert promoted == {int(version) for version in re.findall(r"v(\d+) promoted", "\n".join(LINES))}
    assert {int(version) for version in re.findall(r">v(\d+) promoted<", drawn)} == promoted
    for one in shown:
        assert f">v{one.champion}<" in drawn


def test_another_run_is_another_picture() -> None:
    """One version differs, and so does the picture."""
    other = [line.replace("v4", "v6") for line in LINES]
    assert year_picture(other) != year_picture(LINES)


def test_lines_without_a_table_are_refused() -> None:
    """A demonstration that printed no month has no picture."""
    with pytest.raises(ValueError, match="no table of months"):
        year_picture(["done in 3 s"])
