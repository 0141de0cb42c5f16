"""The file that infra writes is the one that the report reads."""

import json
from pathlib import Path

import pytest

from infra.commands import describe
from pipelines.declarations.mistakes import DeclarationError
from pipelines.report.estate_file import read_estate


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


@pytest.mark.parametrize("text", [None, "not json", "{}", '{"stacks": [1], "permissions": [], "picture": ""}'])
def test_any_other_file_is_refused_with_the_remedy(tmp_path: Path, text: str | None) -> None:
    """It is missing, broken, or of another kind."""
    path = tmp_path / "estate.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DeclarationError, match="write it with python -m infra describe --json"):
        read_estate(path)
