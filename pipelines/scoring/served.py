"""A scoring function with its estimator, as MLflow's ``python_function`` loads it from the files of a model version.

A request has the columns of the spine; its features are looked up in the online store that `ONLINE_STORE` names. A request may
give looked-up columns itself, and must where there is no store. `pipelines.serving` does the same with more around it.
"""

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ml.spec.errors import LakehouseError
from pipelines.declarations.online_store import ONLINE_STORE
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.online import OnlineFeatures, empty_features
from pipelines.scoring.stored import StoredRows

FUNCTION_FILE, ESTIMATOR_FILE = "scoring.pkl", "model.pkl"
"""Where the files of a version keep the scoring function, and MLflow the estimator."""
VERSION = "MLOPS_MODEL_VERSION"
"""The environment variable with the number of the version: its files were written before it had one."""


class NoStoreError(LakehouseError):
    """Features that are to be looked up where there is no online store."""


class Served:
    """What MLflow calls: requests in, answers out, both as data frames."""

    def __init__(self, function: ScoringFunction, model: Any, *, store: str = "", version: int | None = None) -> None:
        self.function = function
        self._model = model
        self._version = version
        self._features = OnlineFeatures(function, store) if store else None

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - MLflow's interface
        """Return the answer to each request, in their order.

        Raises
        ------
        NoStoreError
            If features are to be looked up and there is no online store.
        """
        requests = self._requests(model_input)
        rows: Sequence[pa.Table] | StoredRows
        if self._features is not None:
            rows = self._features.newest(requests)
        else:
            absent = [name for name in self.function.looked_up if name not in requests.column_names]
            if absent:
                raise NoStoreError(
                    f"no online store is set ({ONLINE_STORE}), and the requests do not give {', '.join(absent)}: set one, "
                    "or give these columns."
                )
            rows = empty_features(self.function)
        answers = self.function.answer(requests, rows, self._model, version=self._version)
        found: pd.DataFrame = answers.select(list(self.function.answer_columns)).to_pandas()
        return found

    def _requests(self, rows: pd.DataFrame) -> pa.Table:
        """Return requests in their declared types; an instant without a zone is in UTC."""
        columns = {}
        for column in self.function.request:
            kind, values = ARROW_TYPES[column.kind], pa.array(rows[column.name], from_pandas=True)
            columns[column.name] = pa.array(pd.to_datetime(rows[column.name], utc=True, format="ISO8601"), kind) \
                if column.kind == "timestamp" else values.cast(kind)  # fmt: skip
        for lookup in self.function.lookups:
            for feature, name in (*lookup.columns.items(), *([("", lookup.age_as)] if lookup.age_as else [])):
                if name in rows.columns:
                    kind = ARROW_TYPES[lookup.kinds.get(feature, "double")]
                    columns[name] = pa.array(rows[name], from_pandas=True).cast(kind)
        return pa.table(columns)


def _load_pyfunc(path: str) -> Served:
    """Return the served model in a folder of files; MLflow calls it by this name."""
    files, number = Path(path), os.environ.get(VERSION, "")
    return Served(
        load_function(files), _unpickled(files / ESTIMATOR_FILE), store=os.environ.get(ONLINE_STORE, ""),
        version=int(number) if number else None,
    )  # fmt: skip


def load_function(files: Path) -> ScoringFunction:
    """Return the scoring function in the files of a version."""
    found: ScoringFunction = _unpickled(files / FUNCTION_FILE)
    return found


def _unpickled(file: Path) -> Any:
    with file.open("rb") as content:
        return pickle.load(content)  # noqa: S301 - as every model is; who verifies the files' digest calls this afterwards
