"""The file that infra writes is the one that the report reads, and the README's picture is that of the stacks."""

import json
import os
from pathlib import Path

import pytest

from infra.commands import describe
from pipelines.declarations.mistakes import DeclarationError
from pipelines.report.estate_file import read_estate

PICTURE = Path(__file__).parents[3] / "docs" / "stacks.svg"


def test_what_infra_writes_is_what_the_report_reads(tmp_path: Path) -> None:
    """It has stacks with their counts, the picture, and the rows of who may do what."""
    found, matrix = describe.estate()
    (tmp_path / "estate.json").write_text(json.dumps(describe.as_json(found, matrix)))
    estate = read_estate(tmp_path / "estate.json")
    assert [stack.name for stack in estate.stacks] == [stack.name for stack in found]
    assert [sum(stack.resources.values()) for stack in estate.stacks] == [stack.resources for stack in found]
    assert len(estate.permissions) == len(matrix)
    assert estate.picture is not None
    assert estate.picture.startswith("<svg")
    _require_shown_in_the_readme(estate.picture + "\n")


def _require_shown_in_the_readme(picture: str) -> None:
    """The picture of the stacks is what ``infra describe --picture`` writes; REWRITE_GOLDEN=1 writes it again."""
    if os.environ.get("REWRITE_GOLDEN"):
        PICTURE.write_text(picture, encoding="utf-8")
    assert PICTURE.read_text(encoding="utf-8") == picture


@pytest.mark.parametrize("text", [None, "not json", "{}", '{"stacks": [1], "permissions": [], "picture": ""}'])
def test_any_other_file_is_refused_with_the_remedy(tmp_path: Path, text: str | None) -> None:
    """It is missing, broken, or of another kind."""
    path = tmp_path / "estate.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DeclarationError, match="write it with python -m infra describe --json"):
        read_estate(path)
