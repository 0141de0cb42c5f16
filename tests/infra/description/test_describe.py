"""What an environment consists of, as counted in the synthesized JSON and as drawn."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.__main__ import main
from infra.description.describe import AREAS, area_of, read_synthesized, summaries
from infra.description.picture import COLUMN, picture
from infra.synthesis.stack import Stack
from ml.spec.errors import NotPossibleError

Synthesized = Mapping[str, Mapping[str, Any]]


def test_every_resource_is_counted_once(synthesized: Synthesized, estate: Mapping[str, Stack]) -> None:
    """By stack, by area and by type."""
    for found in summaries(synthesized):
        resources = [r for r in estate[found.name].resources.values() if not r.is_data]
        assert found.resources == len(resources) == sum(found.areas.values())
        assert set(found.reads) == set(estate[found.name].read)


def test_every_type_in_use_has_an_area(synthesized: Synthesized) -> None:
    """A new type is put where people look for it."""
    used = {type_ for content in synthesized.values() for type_ in content["resource"]}
    assert {area_of(type_) for type_ in used} == set(AREAS)
    with pytest.raises(NotPossibleError, match="belongs to no area"):
        area_of("time_sleep")


def test_the_picture_shows_every_stack_and_every_area_with_its_count(synthesized: Synthesized) -> None:
    """As SVG that stands by itself."""
    found = summaries(synthesized)
    drawing = ET.fromstring(picture(found))  # noqa: S314 - our own text
    texts = [element.text for element in drawing.iter() if element.tag.endswith("text")]
    for stack in found:
        assert stack.name in texts
        assert f"{stack.resources} resources" in texts
        for area, count in stack.areas.items():
            assert area in texts
            assert str(count) in texts


def test_what_a_stack_reads_stays_in_its_box(synthesized: Synthesized) -> None:
    """Prod's workspace reads four stacks; a letter of the notes is about six units wide."""
    drawing = ET.fromstring(picture(summaries(synthesized)))  # noqa: S314 - our own text
    notes = [str(element.text) for element in drawing.iter() if str(element.text).startswith("reads ")]
    assert "reads account; platforms dev, prod, staging" in notes
    assert max(len(note) for note in notes) * 6 <= COLUMN - 48


def test_stacks_come_in_the_order_of_deployment(synthesized: Synthesized) -> None:
    """Account first, then the environments in the order of promotion."""
    assert [s.name for s in summaries(synthesized)] == [
        "account", *(
            f"{name}-{part}" for name in ("dev", "staging", "prod") for part in ("platform", "account", "workspace")
        ),
    ]  # fmt: skip


def test_describing_writes_what_the_report_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stacks with counts, the picture, the permission matrix; and the chosen environment on the screen."""
    assert main(["describe", "prod", "--json", str(tmp_path / "deep" / "estate.json")]) == 0
    shown = capsys.readouterr().out
    assert "prod-workspace: " in shown
    assert "dev-workspace: " not in shown
    written = json.loads((tmp_path / "deep" / "estate.json").read_text(encoding="utf-8"))
    assert written["stacks"][0]["name"] == "account"
    assert written["picture"].startswith("<svg")
    assert {row["environment"] for row in written["permissions"]} == {"dev", "staging", "prod"}


def test_nothing_synthesized_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """Not an empty picture."""
    with pytest.raises(NotPossibleError, match="run `python -m infra synth` first"):
        read_synthesized(tmp_path)
