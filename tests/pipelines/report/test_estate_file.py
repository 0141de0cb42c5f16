"""What infrastructure describes reaches the report through a file."""

import json

import pytest

from infra.commands import describe
from pipelines.declarations.mistakes import DeclarationError
from pipelines.report.estate_file import read_estate


def test_what_infra_writes_is_what_the_report_reads(tmp_path):
    """Stacks with their counts, the picture, and a row for who may do what."""
    found, matrix = describe.estate()
    (tmp_path / "estate.json").write_text(json.dumps(describe.as_json(found, matrix)))
    estate = read_estate(tmp_path / "estate.json")
    assert [stack.name for stack in estate.stacks] == [stack.name for stack in found]
    assert [sum(stack.resources.values()) for stack in estate.stacks] == [stack.resources for stack in found]
    assert len(estate.permissions) == len(matrix)
    assert estate.picture.startswith("<svg")


@pytest.mark.parametrize("text", [None, "not json", "{}", '{"stacks": [1], "permissions": [], "picture": ""}'])
def test_another_file_is_one_sentence_with_the_remedy(tmp_path, text):
    """Missing, broken, or of another kind."""
    path = tmp_path / "estate.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DeclarationError, match="write it with python -m infra describe --json"):
        read_estate(path)
