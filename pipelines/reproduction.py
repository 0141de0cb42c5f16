"""Trains a version again from what is recorded of it and compares the metrics; registers, writes and moves nothing.

The rows are joined again from the tables as they were: every table is read as of the version that the training recorded.
Parameters and seed come from the run. The code has to be that of the recorded commit, which only a checkout can give.
"""

import ast
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.evaluation.record import Evaluation
from ml.metrics.metric_table import measure
from ml.models.prediction import known_inputs, predict
from ml.spec.errors import LakehouseError
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec
from pipelines.dataframes.training_rows import with_inputs
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.provenance import UNKNOWN, git_commit
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.runs import RunRecord
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.tasks.versions.candidates import CALIBRATION_METHOD, CALIBRATION_SHARE, WEIGHT_COLUMN
from pipelines.tasks.versions.delivery import COPIED_FROM
from pipelines.tasks.versions.fitting import fit_rows, metric_weights
from pipelines.tasks.versions.training import EVALUATION, TRAINING

if TYPE_CHECKING:
    from pipelines.lakehouse.tables.tables import Tables

MODIFIED = "-modified"
OWN_PARAMETERS = ("estimator", "encoding", "seed")
"""The parameters of every run that are not parameters of the estimator's constructor."""
FURTHER_PARAMETERS = (WEIGHT_COLUMN, CALIBRATION_METHOD, CALIBRATION_SHARE)
"""Those of some runs."""


class ReproductionError(LakehouseError):
    """A version that cannot be trained again here; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """One metric, as recorded and as found again."""

    metric: str
    recorded: float
    reproduced: float

    @property
    def identical(self) -> bool:
        """Whether the two are the same number, bit by bit; missing twice is the same."""
        return self.recorded == self.reproduced or bool(np.isnan(self.recorded) and np.isnan(self.reproduced))


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of training a version again.

    Attributes
    ----------
    changed_rows
        Rows whose inputs or label differ from those that were trained on; missing rows count.
    metrics
        Those of the training rows, and those of the evaluation where one is stored.
    """

    version: int
    rows: int
    changed_rows: int
    metrics: tuple[Reproduced, ...]

    @property
    def identical(self) -> bool:
        """Whether rows and metrics are the same."""
        return not self.changed_rows and all(metric.identical for metric in self.metrics)

    @property
    def sentence(self) -> str:
        """The result for a person."""
        different = [metric.metric for metric in self.metrics if not metric.identical]
        rows = "the same rows" if not self.changed_rows else f"{self.changed_rows:,} of {self.rows:,} rows differ"
        said = "all are identical" if not different else f"{', '.join(different)} differ"
        return f"version {self.version}: {rows}; of {len(self.metrics)} metrics {said}."


def require_trained_here(version: ModelVersion) -> None:
    """Refuse a copy: the run, the tables and the training set that it was made from are where it was trained.

    Raises
    ------
    ReproductionError
        Naming the version that it is a copy of, and the command that trains that one again.
    """
    copied = version.tags.get(COPIED_FROM)
    if copied is None:
        return
    environment, *_, number = copied.split()
    raise ReproductionError(
        f"version {version.number} is a copy of {copied}: reproduce it there: "
        f"python -m pipelines reproduce {version.model.use_case} {number} --env {environment}"
    )


def require_same_code(version: ModelVersion, *, running: str | None = None, again: Sequence[str] = ()) -> None:
    """Refuse to speak of reproduction when the running code is not the code that trained.

    Parameters
    ----------
    running
        The commit of the running code; by default it is looked up.
    again
        The words of the command that asks again, from any folder.

    Raises
    ------
    ReproductionError
        Naming both commits, and what to do about it.
    """
    recorded, here = version.tags.get("git_commit", UNKNOWN), running or git_commit()
    if recorded == here and recorded != UNKNOWN and not recorded.endswith(MODIFIED):
        return
    trained = f"version {version.number} was trained by commit {recorded}, the running code is {here}"
    anyway = "give --anyway to see what this code makes of the same rows"
    if recorded == UNKNOWN:
        raise ReproductionError(f"{trained}: no checkout can be compared with it; {anyway}.")
    if recorded.endswith(MODIFIED):
        raise ReproductionError(
            f"{trained}: its changes were not committed, so nothing brings them back. Commit before you train what is to be "
            f"reproduced; {anyway}."
        )
    if here == f"{recorded}{MODIFIED}":
        raise ReproductionError(f"{trained}: commit or stash your changes and ask again, or {anyway}.")
    raise ReproductionError(f"{trained}. {_at_commit(recorded, again)}\nOr {anyway}.")


def _at_commit(commit: str, again: Sequence[str]) -> str:
    """Return how a command is run by the code of a commit: beside this clone, whose own files stay as they are."""
    clone = Path(__file__).parents[1]
    if not (clone / ".git").exists():
        return f"Check out {commit} and ask again there."
    place = clone.parent / f"at-{commit[:12]}"
    lines = (["git", "-C", str(clone), "worktree", "add", str(place), commit], ["cd", str(place)], again)
    return "\n".join(["Reproduce it beside this clone:", *(f"  {shlex.join(line)}" for line in lines)])


def reproduce(context: Context, version: ModelVersion) -> Reproduction:
    """Train a version again on its rows, joined from the tables as of the versions that it recorded.

    Raises
    ------
    ReproductionError
        If the version does not record what that needs, or a table no longer has the recorded version.
    """
    use_case, record = context.use_case, context.lakehouse.models.run_of(version)
    then = _as_it_was(context, version)
    kept = _kept(then, version, TRAINING)
    rows = _joined(then, kept)
    model = fit_rows(use_case, _spec(version, record), rows, seed=int(record.params["seed"]))
    measured = _measured(use_case, model, rows)
    found = [_reproduced(f"training_{name}", record.metrics, value) for name, value in measured.items()]
    found += _evaluated(context, then, version, model)
    changed = _changed(kept, rows, [*use_case.inputs, "label"])
    return Reproduction(version=version.number, rows=len(kept), changed_rows=changed, metrics=tuple(found))


class _TablesThen:
    """Tables as of recorded versions, for reading only."""

    def __init__(self, tables: "Tables", versions: Mapping[str, int | None]) -> None:
        self._tables, self._versions = tables, versions

    def read(self, table: Table) -> DataFrame:
        """Return the rows as of the recorded version."""
        version = self._versions.get(table.address)
        if version is None:
            raise ReproductionError(f"no version of table {table.address} is recorded: it cannot be read as it was.")
        return self._tables.read(table, version=version)


def _as_it_was(context: Context, version: ModelVersion) -> Context:
    versions = json.loads(version.tags.get("table_versions", "{}"))
    tables = cast("Tables", _TablesThen(context.lakehouse.tables, versions))
    lakehouse: Lakehouse = replace(context.lakehouse, tables=tables)
    return replace(context, lakehouse=lakehouse, run_id=version.tags.get("training_set_id", ""))


def _kept(then: Context, version: ModelVersion, part: str) -> pd.DataFrame:
    """Return a part of the version's training set as it was stored, in the order of training."""
    stored = then.lakehouse.tables.read(then.use_case.table("training_set"))
    rows = to_pandas(stored.where((F.col("training_set_id") == then.run_id) & (F.col("part") == part)))
    if rows.empty:
        raise ReproductionError(f"training set {then.run_id!r} of version {version.number} has no rows for {part}.")
    return rows.sort_values(["prediction_at", "request_key"], ignore_index=True)


def _joined(then: Context, kept: pd.DataFrame) -> pd.DataFrame:
    """Return the requests of the stored rows, joined again with their labels and what was known at prediction time."""
    use_case, tables = then.use_case, then.lakehouse.tables
    key, due = use_case.spine.request_key, F.col(use_case.spine.prediction_time)
    first, last = (
        instant.to_pydatetime() for instant in (kept["prediction_at"].iloc[0], kept["prediction_at"].iloc[-1])
    )
    labels = tables.read(use_case.labels.table).select(F.col("request_key").alias(key), *use_case.label_columns)
    asked = tables.read(use_case.spine.table).where((due >= F.lit(first)) & (due <= F.lit(last)))
    rows = to_pandas(with_inputs(then, asked.join(labels, on=key)))
    wanted = rows[rows["request_key"].isin(set(kept["request_key"]))]
    return wanted.sort_values(["prediction_at", "request_key"], ignore_index=True)


def _changed(kept: pd.DataFrame, rows: pd.DataFrame, columns: list[str]) -> int:
    before, after = (frame.set_index("request_key")[columns] for frame in (kept, rows))
    again = after.reindex(before.index)
    same = (before == again) | (before.isna() & again.isna())
    return int((~same.all(axis=1) | ~before.index.isin(after.index)).sum())


def _spec(version: ModelVersion, record: RunRecord) -> EstimatorSpec:
    """Return the estimator as the run recorded it."""
    missing = [name for name in OWN_PARAMETERS if name not in record.params]
    if missing:
        raise ReproductionError(f"the run of version {version.number} does not record {', '.join(missing)}.")
    own = {
        name: _value(text) for name, text in record.params.items() if name not in (*OWN_PARAMETERS, *FURTHER_PARAMETERS)
    }
    return EstimatorSpec(
        name=version.tags.get("estimator", "recorded"), estimator=record.params["estimator"],
        encoding=Encoding(record.params["encoding"]), parameters=own,
        calibration=Calibration(record.params.get(CALIBRATION_METHOD, Calibration.NONE)),
        calibration_share=float(record.params.get(CALIBRATION_SHARE, 0.2)),
    )  # fmt: skip


def _value(text: str) -> Any:
    """Return a recorded parameter: runs keep the text of numbers, None, tuples, and words."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _evaluated(context: Context, then: Context, version: ModelVersion, model: Any) -> list[Reproduced]:
    """Return the metrics of the version's own evaluation; none if it was not evaluated or not measured."""
    table = context.use_case.table("evaluations")
    stored = context.lakehouse.tables.read(table).where(F.col("evaluation_id") == then.run_id).toArrow().to_pylist()
    if not stored:
        return []
    evaluation = Evaluation.from_json(stored[0]["evaluation"])
    recorded = next((c.metrics for c in evaluation.contenders if c.version == version.number), {})
    if not recorded:
        return []
    rows = _joined(then, _kept(then, version, EVALUATION))
    return [_reproduced(name, recorded, value) for name, value in _measured(context.use_case, model, rows).items()]


def _measured(use_case: UseCase, model: Any, rows: pd.DataFrame) -> dict[str, float]:
    scores = predict(model, rows[known_inputs(model, use_case.inputs)], problem=use_case.problem)
    labels = rows["label"].to_numpy(np.float64)
    return measure(labels, scores, use_case.problem, metric_weights(use_case, rows), use_case.costs)


def _reproduced(name: str, recorded: Mapping[str, float], value: float) -> Reproduced:
    return Reproduced(metric=name, recorded=recorded.get(name, float("nan")), reproduced=value)
