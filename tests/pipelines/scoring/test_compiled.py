"""Compiled trees predict exactly what the pipeline does, or are not used, and it is said which."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tl2cgen
from sklearn.preprocessing import FunctionTransformer

from ml.models.prediction import PredictionError, predict
from pipelines.scoring import compiled as compiling
from pipelines.scoring import tree_library
from pipelines.scoring.compiled import MANY, compiled
from pipelines.scoring.fastest import disturbed, fastest
from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.scoring.tree_library import NotCompiledError
from tests.pipelines.scoring.declared_trips import FUNCTION, fitted


def rows(count: int, categories: tuple[str | None, ...] = ("a", "b", "new", None)) -> pd.DataFrame:
    """Inputs with gaps, and categories."""
    chance = np.random.default_rng(5)
    frame = pd.DataFrame({name: chance.normal(size=count) for name in FUNCTION.numeric})
    frame = frame.mask(chance.random(frame.shape) < 0.2)
    for name in FUNCTION.categorical:
        frame[name] = chance.choice(np.array(categories, dtype=object), size=count)
    return frame


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """A fitted pipeline of trees."""
    return fitted()


def test_compiled_trees_predict_the_same_to_the_last_bit(pipeline: Any) -> None:
    """One row as many, with gaps; or else the comparison finds it, as on categories that are missing."""
    asked = rows(500, ("a", "b"))
    found = compiled(pipeline, asked)
    here, there = (predict(model, asked, problem=FUNCTION.problem) for model in (pipeline, found))
    assert here.tolist() == there.tolist()
    assert predict(found, asked.tail(1), problem=FUNCTION.problem).tolist() == here[-1:].tolist()
    assert len(np.unique(here)) > 20


def test_a_table_is_predicted_as_the_data_frame_is(pipeline: Any) -> None:
    """With gaps and unseen categories, one row as many, columns in any order; a missing column is named."""
    asked = rows(500)
    found = compiled(pipeline, rows(10, ("a", "b")))
    table = pa.Table.from_pandas(asked[sorted(asked.columns)], preserve_index=False)
    by_frame, by_table = (predict(found, one, problem=FUNCTION.problem) for one in (asked, table))
    assert by_table.tolist() == by_frame.tolist()
    assert predict(found, table.slice(499), problem=FUNCTION.problem).tolist() == by_frame[-1:].tolist()
    assert not len(predict(found, table.slice(500), problem=FUNCTION.problem))
    with pytest.raises(PredictionError, match=FUNCTION.numeric[0]):
        predict(found, table.drop_columns([FUNCTION.numeric[0]]), problem=FUNCTION.problem)


def test_many_rows_of_a_table_are_coded_as_one_is(pipeline: Any) -> None:
    """By the distinct values of each column of categories, gaps and unseen ones included, also of a table in parts."""
    asked = rows(3 * MANY)
    found = compiled(pipeline, rows(10, ("a", "b")))
    table = pa.Table.from_pandas(asked, preserve_index=False)
    parts = pa.concat_tables([table.slice(0, 700), table.slice(700)])
    alone = [float(predict(found, table.slice(place, 1), problem=FUNCTION.problem)[0]) for place in range(40)]
    assert predict(found, parts, problem=FUNCTION.problem)[:40].tolist() == alone
    by_frame = predict(found, asked, problem=FUNCTION.problem)
    assert predict(found, parts, problem=FUNCTION.problem).tolist() == by_frame.tolist()


def test_compiled_trees_travel_with_a_plan(pipeline: Any) -> None:
    """What was packed predicts the same where it is unpacked, also after the first has gone with its folder."""
    asked = rows(50, ("a", "b"))
    found = compiled(pipeline, asked)
    expected = predict(found, asked, problem=FUNCTION.problem).tolist()
    packed = cloudpickle.dumps(found)
    del found
    assert predict(cloudpickle.loads(packed), asked, problem=FUNCTION.problem).tolist() == expected


def test_a_version_is_tried_on_what_its_stored_rows_do_not_have() -> None:
    """Each input is missing in turn, each category is one that was never seen, and once nothing is known."""
    stored = pa.table({"x": [1.0, 2.0], "kind": ["a", "b"]})
    tried = disturbed(stored, ("x",), ("kind",)).to_pylist()
    assert tried[:2] == stored.to_pylist()
    assert {"x": None, "kind": "a"} in tried
    assert {"x": 1.0, "kind": None} in tried
    assert {"x": 1.0, "kind": "never seen"} in tried
    assert {"x": None, "kind": None} in tried
    assert len(tried) == 2 * 5


def test_trees_that_predict_anything_else_are_not_used(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimator itself is, and it is said on how many rows they differed."""
    stored = pa.Table.from_pandas(rows(50), preserve_index=False)
    monkeypatch.setattr("pipelines.scoring.fastest.compiled", lambda *_, **__: Off(pipeline))
    model, how = fastest(pipeline, FUNCTION, stored)
    assert model is pipeline
    assert how == "the estimator itself (compiled trees differ on 50 of 50 stored rows)"


class Off:
    """A model whose scores are a little too low."""

    takes_tables = True

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.feature_names_in_, self.classes_ = pipeline.feature_names_in_, pipeline.classes_

    def predict_proba(self, asked: pa.Table) -> Any:
        """Almost the probabilities."""
        encoded = self._pipeline.predict_proba(asked.to_pandas())
        return np.column_stack([encoded[:, 0], encoded[:, 1] * (1 - 1e-15)])


@pytest.mark.parametrize("missing", ["compiler", "estimator"])
def test_what_cannot_be_compiled_is_said(pipeline: Any, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler, or no trees."""
    if missing == "compiler":
        monkeypatch.setattr(tree_library, "COMPILERS", ("no-such-compiler",))
        said = "none of the compilers no-such-compiler is installed"
    else:
        pipeline, said = (
            SimpleNamespace(named_steps={"estimate": FunctionTransformer()}),
            "FunctionTransformer is not compiled",
        )
    with pytest.raises(NotCompiledError, match=said):
        compiled(pipeline, rows(2))


def test_compiling_says_nothing_of_versions_and_keeps_every_other_word(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a library writes to standard error by itself is shown, but for the note of treelite about itself."""

    def telling(*given: Any, **more: Any) -> None:
        os.write(2, b"no space left\nCurrently running Treelite version 4.1.2\n")
        made(*given, **more)

    made = tl2cgen.generate_c_code
    monkeypatch.setattr(tl2cgen, "generate_c_code", telling)
    compiled(pipeline, rows(2, ("a", "b")))
    shown = capfd.readouterr().err
    assert "no space left" in shown
    assert "Treelite" not in shown


def test_trees_are_compiled_once_for_all_processes(
    pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time what was kept is used, and predicts the same; of other files something else is compiled."""
    built: list[int] = []

    def counted(*given: Any) -> bytes:
        built.append(1)
        return tree_library.built_library(*given)

    monkeypatch.setattr(compiling, "built_library", counted)
    asked = rows(50, ("a", "b"))
    first, second = (
        compiled(pipeline, asked, digest="1" * 64, kept=KeptLibraries(tmp_path / "kept")) for _ in range(2)
    )
    assert len(built) == 1
    here, there = (predict(model, asked, problem=FUNCTION.problem) for model in (first, second))
    assert here.tolist() == there.tolist()
    compiled(pipeline, asked, digest="2" * 64, kept=KeptLibraries(tmp_path / "kept"))
    assert len(built) == 2
    compiled(pipeline, asked, kept=KeptLibraries(tmp_path / "kept"))  # nobody says what files these are
    assert len(built) == 3
