"""A use case from the templates in a folder of a test, changed as its team would change it, and found by the registry."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark import cloudpickle

from pipelines import use_cases
from pipelines.declarations import registry
from pipelines.declarations.use_case import UseCase
from pipelines.scaffold.new_use_case import create

BANDS_OF_MINUTES = {
    '(F.col("minutes") > LATE_MINUTES).cast("double")': (
        'F.when(F.col("minutes") < 0, 0.0).when(F.col("minutes") <= LATE_MINUTES, 1.0).otherwise(2.0)'
    )
}
"""Of the templates' features: labels of three classes instead of two."""


@contextmanager
def template_use_case(name: str, root: Path, changes: Mapping[str, str]) -> Iterator[UseCase]:
    """Open a use case as the templates make it; each text of `changes` stands once in its features and is replaced."""
    (root / "pipelines" / "use_cases").mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    folder: Path = create(name, repository=root, taken=()).folder
    features = folder / "features.py"
    text = features.read_text()
    for before, after in changes.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    features.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder.parent)])
        patch.setattr(sys, "dont_write_bytecode", True)
        registry.use_cases.cache_clear()
        importlib.invalidate_caches()
        found = registry.use_case(name)
        carried = sys.modules[f"{use_cases.__name__}.{name}"]
        cloudpickle.register_pickle_by_value(carried)  # Spark's workers do not have the folder
        yield found
        cloudpickle.unregister_pickle_by_value(carried)
    registry.use_cases.cache_clear()
