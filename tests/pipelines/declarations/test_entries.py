"""Code that is named as text is found in its source, without importing it."""

import subprocess
import sys

import pytest

from ml.spec.entries import load
from ml.spec.errors import DeclarationError
from pipelines.declarations.entries import mistake_in

RIGHT = [
    "pipelines.tasks.data.ingest:ingest",
    "sklearn.linear_model.Ridge",
    "sklearn.ensemble.HistGradientBoostingClassifier",
    "pipelines.declarations.environment:ENVIRONMENTS",
    "dataclasses:field",
    "numpy:array",
    "math:sqrt",
]
WRONG = [
    (
        "pipelines.tasks.data.ingest:ingst",
        "module 'pipelines.tasks.data.ingest' has no 'ingst': did you mean 'ingest'?",
    ),
    ("pipelines.tasks.nothing:score", "there is no module 'pipelines.tasks.nothing'."),
    ("pipeline.tasks.ingest:ingest", "there is no module 'pipeline'."),
    ("sklearn.linear_model.zzz", "module 'sklearn.linear_model' has no 'zzz'."),
    ("ingest", "is neither 'package.module:function' nor 'package.module.Class'."),
    ("pipelines.tasks:ingest:ingest", "is neither"),
    ("pipelines.tasks..ingest:ingest", "is neither"),
    ("pipelines.tasks.data.ingest:", "is neither"),
]


@pytest.mark.parametrize("entry", RIGHT)
def test_code_that_exists_is_found_and_loaded(entry: str) -> None:
    """Functions, classes that a package imports, constants, and modules without Python source."""
    assert mistake_in(entry) is None
    assert load(entry) is not None


@pytest.mark.parametrize(("entry", "said"), WRONG)
def test_code_that_does_not_exist_has_one_sentence_whether_it_is_looked_for_or_loaded(entry: str, said: str) -> None:
    """With the nearest name."""
    found = mistake_in(entry)
    assert found is not None
    assert found.startswith(f"entry {entry!r}")
    assert said in found
    with pytest.raises(DeclarationError) as caught:
        load(entry)
    assert said in str(caught.value)


def test_looking_imports_nothing() -> None:
    """Neither the module nor the packages above it."""
    code = (
        "import sys; from pipelines.declarations.entries import mistake_in; "
        "mistake_in('sklearn.linear_model.Ridge'), mistake_in('pipelines.tasks.data.ingest:ingest'); "
        "print([name for name in ('sklearn', 'pipelines.tasks', 'pyspark') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
