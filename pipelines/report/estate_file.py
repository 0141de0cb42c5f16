"""Reads the file that `python -m infra describe --json FILE` wrote: stacks, their picture, the permissions.

The two packages meet in a file because pipelines does not import infra.
"""

import json
from pathlib import Path

from ml.spec.errors import sentence_of
from pipelines.declarations.mistakes import DeclarationError
from pipelines.report.records import EstateSummary, StackResources


def read_estate(path: Path) -> EstateSummary:
    """Return the resources and permissions of the environments.

    Raises
    ------
    DeclarationError
        If the file is missing or not one that `infra describe` writes.
    """
    try:
        found = json.loads(path.read_text())
        return EstateSummary(
            stacks=tuple(StackResources(name=stack["name"], resources=stack["types"]) for stack in found["stacks"]),
            permissions=tuple(found["permissions"]),
            picture=found["picture"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeclarationError(
            f"{path} does not describe the environments ({sentence_of(error)}): "
            f"write it with python -m infra describe --json {path}."
        ) from error
