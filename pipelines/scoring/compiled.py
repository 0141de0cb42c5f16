"""Compiles the trees of a fitted pipeline to machine code, where its parts allow it and a C compiler is installed.

Codes of categories are looked up here, as the pipeline's own encoder does. Nobody may take for granted that this predicts the same: who uses it compares it with the pipeline first.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit, softmax

from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.scoring.tree_library import LIBRARY, NotCompiledError, built_library, compiler, library_name

OPENED = ("_predictor", "_folder")
MANY = 1_000
"""Rows from which on a column of categories is looked up by its distinct values."""
TREES = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
Floats = NDArray[np.float64]
Rows: TypeAlias = "pd.DataFrame | pa.Table"


class CompiledTrees:
    """Predicts as the pipeline does that it was made from.

    Attributes
    ----------
    takes_tables
        Rows may be an Arrow table: for one request the way over a data frame takes longer than the trees.
    feature_names_in_, classes_
        As scikit-learn has them; rows hold numbers as float64 and categories as text.
    """

    takes_tables = True

    def __init__(self, pipeline: Any, library: bytes, *, threads: int = 1) -> None:
        numeric, categorical, codes = _columns(pipeline)
        self.feature_names_in_ = np.array([*numeric, *categorical], dtype=object)
        self.classes_ = getattr(pipeline, "classes_", ())
        self._numeric = numeric
        self._codes = dict(zip(categorical, codes, strict=True))
        self._library = library
        self._threads = threads
        self._predictor, self._folder = _opened(library, threads)  # as long as this lives, the library's file does

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels with a plan: the library, not what this process has opened of it."""
        return {name: value for name, value in vars(self).items() if name not in OPENED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the library in the process that unpacks this."""
        vars(self).update(state)
        self._predictor, self._folder = _opened(self._library, self._threads)

    def predict_proba(self, rows: Rows) -> Floats:
        """Return the probabilities of the classes, shape ``(rows, classes)``."""
        found = self.margins(rows)
        if found.ndim > 1:
            shares: Floats = softmax(found, axis=1)
            return shares
        positive = expit(found)  # as scikit-learn does: C's own exponential differs in the last digit
        return np.column_stack([1.0 - positive, positive])

    def predict(self, rows: Rows) -> Floats:
        """Return the predicted values, shape ``(rows,)``."""
        return self.margins(rows)

    def margins(self, rows: Rows) -> Floats:
        """Return what the trees add up to, shape ``(rows,)``, or ``(rows, classes)`` of several classes."""
        import tl2cgen

        encoded = np.empty((len(rows), len(self.feature_names_in_)), dtype=np.float64)
        for place, name in enumerate(self._numeric):
            encoded[:, place] = _numbers(rows[name])
        for place, (name, codes) in enumerate(self._codes.items(), start=len(self._numeric)):
            encoded[:, place] = _coded(rows[name], codes)
        found: Floats = self._predictor.predict(tl2cgen.DMatrix(encoded, dtype="float64"), pred_margin=True)
        flat = found.reshape(len(rows), -1)
        return flat[:, 0] if flat.shape[1] == 1 else flat


def _numbers(column: "pd.Series[float] | pa.ChunkedArray") -> Floats:
    """Return a column as numbers, NaN where missing."""
    if isinstance(column, pa.ChunkedArray):
        return np.asarray(column.to_numpy(), dtype=np.float64)
    return np.asarray(column.to_numpy(np.float64, na_value=np.nan), dtype=np.float64)


def _coded(column: "pd.Series[str] | pa.ChunkedArray", codes: Mapping[Any, float]) -> Floats:
    """Return the code of each category, NaN where it was not seen in training."""
    if isinstance(column, pa.ChunkedArray) and len(column) >= MANY:
        distinct = column.combine_chunks().dictionary_encode(null_encoding="encode")
        found = np.array([codes.get(value, np.nan) for value in distinct.dictionary.to_pylist()], dtype=np.float64)
        coded: Floats = found[distinct.indices.to_numpy()]
        return coded
    values = column.to_pylist() if isinstance(column, pa.ChunkedArray) else column.tolist()
    return np.array([codes.get(value, np.nan) for value in values], dtype=np.float64)


def can_be_compiled(pipeline: Any) -> bool:
    """Return whether an estimator is of a kind whose trees are compiled; whether a compiler is there is another question."""
    return type(getattr(pipeline, "named_steps", {}).get("estimate")).__name__ in TREES


def compiled(
    pipeline: Any, rows: pd.DataFrame, *, digest: str | None = None, kept: KeptLibraries | None = None, threads: int = 1
) -> CompiledTrees:
    """Return the compiled trees of a pipeline.

    Parameters
    ----------
    rows
        A few inputs, on which the library is called once.
    digest
        Of the files that the pipeline was loaded from, which were verified; with it, what was compiled of them before is used.
    kept
        Where that is.
    threads
        That predict at once, for batches.

    Raises
    ------
    NotCompiledError
        If its estimator has no trees that can be compiled, a library or a compiler is missing, or compiling fails.
    """
    estimator = getattr(pipeline, "named_steps", {}).get("estimate")
    if not can_be_compiled(pipeline):
        raise NotCompiledError(f"{type(estimator).__name__} is not compiled")
    program = compiler()
    try:
        found = CompiledTrees(pipeline, _library(estimator, program, digest, kept), threads=threads)
        found.margins(rows.head(1)[list(found.feature_names_in_)])
    except NotCompiledError:
        raise
    except Exception as error:
        raise NotCompiledError(f"compiling has failed: {' '.join(str(error).split())[:200]}") from error
    return found


def _library(estimator: Any, program: str, digest: str | None, kept: KeptLibraries | None) -> bytes:
    if digest is None or kept is None:
        return built_library(estimator, program)
    name = library_name(digest, program)
    content = kept.find(name)
    if content is None:
        content = built_library(estimator, program)
        kept.keep(name, content)
    return content


def _opened(content: bytes, threads: int) -> "tuple[Any, tempfile.TemporaryDirectory[str]]":
    """Return a library that is loaded, and the private folder of its file: what was looked at is what is executed."""
    import tl2cgen

    folder = tempfile.TemporaryDirectory(prefix="trees-")
    library = Path(folder.name) / LIBRARY
    library.write_bytes(content)
    return tl2cgen.Predictor(str(library), nthread=threads), folder


def _columns(pipeline: Any) -> tuple[list[str], list[str], list[dict[str, float]]]:
    """Return the numeric and the categorical columns of a pipeline, and the code of each category; no other value has one.

    Raises
    ------
    NotCompiledError
        If its encoder does anything else.
    """
    parts = {name: (step, list(columns)) for name, step, columns in pipeline.named_steps["encode"].transformers_}
    numeric = parts.get("numeric", ("passthrough", []))
    categorical = parts.get("categorical", (None, []))
    plain = getattr(numeric[0], "func", None) is None and type(numeric[0]).__name__ == "FunctionTransformer"
    if numeric[1] and not (numeric[0] == "passthrough" or plain):
        raise NotCompiledError("its encoder changes numbers")
    if any(columns for name, (_, columns) in parts.items() if name.endswith("_empty")):
        raise NotCompiledError("it leaves out columns that were empty in training")
    if not categorical[1]:
        return numeric[1], [], []
    if type(categorical[0]).__name__ != "OrdinalEncoder":
        raise NotCompiledError("its encoder gives categories no codes")
    codes = [
        {value: float(code) for code, value in enumerate(known) if isinstance(value, str)}
        for known in categorical[0].categories_
    ]
    return numeric[1], categorical[1], codes
