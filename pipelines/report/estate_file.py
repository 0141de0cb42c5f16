"""Reads what `python -m infra describe --json FILE` wrote, for the report: stacks, their picture, the permissions.

A file stands between the two rooms because pipelines knows nothing of infrastructure.
"""

import json
from pathlib import Path

from pipelines.declarations.mistakes import DeclarationError
from pipelines.report.records import EstateSummary, Stack


def read_estate(path: Path) -> EstateSummary:
    """Return what the environments consist of.

    Raises
    ------
    DeclarationError
        If the file is not there or not what `infra describe` writes.
    """
    try:
        found = json.loads(path.read_text())
        return EstateSummary(
            stacks=tuple(Stack(name=stack["name"], resources=stack["types"]) for stack in found["stacks"]),
            permissions=tuple(found["permissions"]),
            picture=found["picture"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeclarationError(
            f"{path} does not say what the environments consist of ({type(error).__name__}: {error}): "
            f"write it with python -m infra describe --json {path}."
        ) from error
