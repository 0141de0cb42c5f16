"""A damaged database of runs and models is one sentence at once, and stays as it is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.declarations.asset import Model
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.registry.local_stores import StoreDamageError

MODEL = Model(use_case="tests", name="damage", comment="none")


def _truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _empty(file: Path) -> None:
    os.truncate(file, 0)


def _overwritten(file: Path) -> None:
    file.write_bytes(b"text" * 5_000)


@pytest.mark.parametrize("name", ["registry.db", "dev/mlflow.db"])
@pytest.mark.parametrize(
    ("damage", "said"), [(_truncated, "is damaged"), (_empty, "holds nothing"), (_overwritten, "is damaged")]
)
def test_a_damaged_database_is_refused_before_mlflow_opens_it(
    name: str, damage: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    """The sentence names the file, also under a name that is opened through a link, and the remedy."""
    root = tmp_path / "a b"
    with open_lakehouse("dev", root=root) as lakehouse:
        assert lakehouse.models.latest(MODEL) is None
    damage(root / name)
    before = (root / name).read_bytes()
    with (
        open_lakehouse("dev", root=root) as lakehouse,
        pytest.raises(StoreDamageError, match=rf"the database {root / name} .* {said}.* UTC: restore it from a backup"),
    ):
        lakehouse.models.latest(MODEL)
    assert (root / name).read_bytes() == before
