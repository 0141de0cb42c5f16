"""What a stored model needs is found in what it is made of, and a process that has none of the repository loads it."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pipelines.lakehouse.registry import fresh_process
from pipelines.lakehouse.registry.fresh_process import MODEL_FILE, Probe, require_loadable
from pipelines.lakehouse.registry.model_files import ModelFilesError
from pipelines.lakehouse.registry.requirements import ALWAYS, modules_in, needs_of

ROWS = pd.DataFrame({"number": np.arange(6.0)})
FITTED = LinearRegression().fit(ROWS, ROWS["number"])
PROBE = Probe(rows=ROWS, method="predict")


def names(requirements: tuple[str, ...]) -> list[str]:
    """The distributions without their versions."""
    return [line.partition("==")[0] for line in requirements]


def stored(folder: Path, fitted: Any) -> Path:
    """A folder with the pickled object, as MLflow would keep it."""
    (folder / MODEL_FILE).write_bytes(cloudpickle.dumps(fitted))
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a team, outside the repository."""
    folder = tmp_path / "team_models"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "scaling.py").write_text(
        "from typing import TYPE_CHECKING\n\nimport yaml\n\nfrom . import numbers_of_ours\n\n"
        "if TYPE_CHECKING:\n    from team_models import types_alone\n\n\n"
        "def scaled(rows):\n    from team_models.late import two\n\n"
        "    return rows * two() * numbers_of_ours.ONE * yaml.safe_load('1')\n"
    )
    (folder / "numbers_of_ours.py").write_text("ONE = 1\n")
    (folder / "late.py").write_text("def two():\n    return 2\n")
    (folder / "types_alone.py").write_text("")
    (folder / "unused.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("team_models")]:
        del sys.modules[name]


def test_a_model_of_scikit_learn_needs_what_every_model_needs() -> None:
    """And no module of ours."""
    needs = needs_of(FITTED, cloudpickle.dumps)
    assert names(needs.requirements) == list(ALWAYS)
    assert needs.own == {}


def test_own_modules_are_found_with_what_they_import_and_what_that_is_installed_from(package: Path) -> None:
    """Wherever the import stands, but not where it is for types alone."""
    from team_models.scaling import scaled  # type: ignore[import-not-found]  # the fixture makes it

    model = make_pipeline(FunctionTransformer(scaled), LinearRegression()).fit(ROWS, ROWS["number"])
    needs = needs_of(model, cloudpickle.dumps)
    own = ["team_models", *(f"team_models.{name}" for name in ("late", "numbers_of_ours", "scaling"))]
    assert sorted(needs.own) == own
    assert needs.own["team_models"] == package / "__init__.py"
    assert names(needs.requirements) == [*ALWAYS, "PyYAML"]


def test_a_function_that_is_stored_itself_brings_the_modules_that_it_uses() -> None:
    """One without a module of its own, as in a notebook."""
    assert {"xml.dom"} <= modules_in(cloudpickle.dumps(_made_here()))


def _made_here() -> Any:
    import xml.dom

    namespace: dict[str, Any] = {"dom": xml.dom, "__name__": "__main__"}
    exec("def used(rows):\n    return dom.XML_NAMESPACE", namespace)  # noqa: S102 -- a function without a module
    return namespace["used"]


def test_a_stored_model_is_loaded_and_predicts_the_same(tmp_path: Path) -> None:
    """Several in turn."""
    for _ in range(2):
        require_loadable(stored(tmp_path, FITTED), FITTED, PROBE)


def test_what_is_not_installed_and_not_carried_is_named(tmp_path: Path, package: Path) -> None:
    """The process finds neither the package of this process nor the product."""
    from team_models.scaling import scaled

    assert package.exists()
    model = make_pipeline(FunctionTransformer(scaled), LinearRegression()).fit(ROWS, ROWS["number"])
    with pytest.raises(ModelFilesError, match="outside the repository \\(No module named 'team_models'\\)"):
        require_loadable(stored(tmp_path, model), model, PROBE)
    ours = make_pipeline(FunctionTransformer(modules_in), LinearRegression())
    with pytest.raises(ModelFilesError, match="pipelines"):
        require_loadable(stored(tmp_path, ours), FITTED, PROBE)


def test_other_predictions_are_refused(tmp_path: Path) -> None:
    """The object here is not the one that was stored."""
    other = LinearRegression().fit(ROWS, -ROWS["number"])
    with pytest.raises(ModelFilesError, match="predicts other values once it is stored and loaded again"):
        require_loadable(stored(tmp_path, FITTED), other, PROBE)


def test_a_model_that_takes_too_long_to_load_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one is loaded all the same."""
    monkeypatch.setattr(fresh_process, "SECONDS", 1)
    with pytest.raises(ModelFilesError, match="it took more than 1 seconds"):
        require_loadable(stored(tmp_path, _Sleeping()), FITTED, PROBE)
    monkeypatch.undo()
    require_loadable(stored(tmp_path, FITTED), FITTED, PROBE)


class _Sleeping:
    """Sleeps when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return time.sleep, (60,)
