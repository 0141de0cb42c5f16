"""For a data scientist's notebook: an environment's features as pandas, its champion, explanations, and an idea against the gate.

Nothing here writes a table, registers a model or moves an alias.

Examples
--------
  >>> from pipelines.workbench import workbench
  >>> with workbench("flight_delay", env="prod", root="demo") as bench:
  ...     rows = bench.training_rows()
  ...     print(bench.champion.number, bench.explain(bench.scored_keys(1)))
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.gate.decision import decide
from ml.gate.verdict import Verdict
from ml.models.prediction import known_inputs, predict
from ml.spec.errors import NotPossibleError
from ml.spec.estimator import EstimatorSpec
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.use_case import UseCase
from pipelines.explanation import ExplainedRequest, explain_requests
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.tasks.versions.fitting import fit_rows, metric_weights
from pipelines.tasks.versions.training import EVALUATION, TRAINING

IDEA = 0
"""The version that an idea has in a verdict; registered versions begin at 1."""


class Workbench:
    """One use case in one open environment, read only."""

    def __init__(self, lakehouse: Lakehouse, use_case: UseCase) -> None:
        self.lakehouse, self.use_case = lakehouse, use_case

    @property
    def champion(self) -> ModelVersion:
        """The champion.

        Raises
        ------
        NoModelVersionError
            If there is none.
        """
        return self.lakehouse.models.by_alias(self.use_case.model, CHAMPION)

    def table(self, name: str, *, rows: int = 100_000) -> pd.DataFrame:
        """Return the first rows of a declared table: a feature table, labels, predictions, findings and so on."""
        (found,) = [table for table in self.use_case.tables if table.name == name] or [self.use_case.table(name)]
        return to_pandas(self.lakehouse.tables.read(found).limit(rows))

    def model(self) -> Any:
        """Return the champion, loaded: a fitted pipeline with ``predict``."""
        return self.lakehouse.models.load(self.champion)

    def training_rows(self, part: str = TRAINING) -> pd.DataFrame:
        """Return the rows that the champion was trained on, or with ``part="evaluation"`` those that it was judged on.

        Raises
        ------
        NotPossibleError
            If they are not stored here.
        """
        identity = self.champion.tags.get("training_set_id", "")
        stored = self.lakehouse.tables.read(self.use_case.table("training_set"))
        found = to_pandas(stored.where((F.col("training_set_id") == identity) & (F.col("part") == part)))
        if found.empty:
            raise NotPossibleError(
                f"the rows for {part} of champion version {self.champion.number} are not stored here.",
                where=f"use case {self.use_case.name}", remedy="Open the environment in which it was trained.",
            )  # fmt: skip
        if self.use_case.weight is not None:
            found[SAMPLE_WEIGHT] = found[SAMPLE_WEIGHT].astype(float).fillna(self.use_case.weight.missing)
        return found.sort_values(["prediction_at", "request_key"], ignore_index=True)

    def scored_keys(self, number: int) -> list[str]:
        """Return the keys of some requests that were scored."""
        made = self.lakehouse.tables.read(self.use_case.table("predictions")).where(F.col("alias") == CHAMPION)
        return [str(row["request_key"]) for row in made.select("request_key").limit(number).toArrow().to_pylist()]

    def explain(self, keys: Sequence[str]) -> tuple[ExplainedRequest, ...]:
        """Explain predictions of the champion, see `pipelines.explanation`."""
        return explain_requests(self.lakehouse, self.use_case, self.champion, keys)

    def try_idea(self, idea: EstimatorSpec, *, seed: int = 0) -> Verdict:
        """Fit an estimator on the champion's training rows and let the gate compare both on the rows that followed.

        The verdict says what the gate would; nothing is registered. Of many ideas tried on the same rows one looks better by
        chance: the training job judges on rows that no idea has seen.
        """
        trained, judged = self.training_rows(), self.training_rows(EVALUATION)
        fitted = fit_rows(self.use_case, idea, trained, seed=seed)
        champion, until = self.champion, pd.Timestamp(trained["prediction_at"].max())
        known = set(trained["request_key"])
        overlap = int(judged["request_key"].isin(known).sum())
        contenders = [
            self._contender(number, name, model, judged, until=until, overlap=overlap)
            for number, name, model in ((IDEA, idea.name, fitted), (champion.number, champion.tags.get("estimator", ""), self.model()))
        ]  # fmt: skip
        use_case = self.use_case
        evaluation = evaluate(
            evaluation_id="workbench", model=use_case.model.address, labels=judged["label"].to_numpy(np.float64),
            times=judged["prediction_at"], keys=judged["request_key"].tolist(), contenders=contenders,
            champion=champion.number, slices={name: judged[name].to_numpy(object) for name in use_case.slices},
            problem=use_case.problem, policy=use_case.gate, seed=seed, clusters=use_case.clusters,
            entities={name: judged[name].to_numpy(object) for name in use_case.clusters.columns},
            weights=metric_weights(use_case, judged), weight_column=use_case.weight.column if use_case.weight else "",
            costs=use_case.costs,
        )  # fmt: skip
        return decide(evaluation, use_case.gate, use_case.costs)

    def _contender(
        self, number: int, name: str, model: Any, rows: pd.DataFrame, *, until: pd.Timestamp, overlap: int
    ) -> Contender:
        begun = perf_counter()
        scores = predict(model, rows[known_inputs(model, self.use_case.inputs)], problem=self.use_case.problem)
        seconds = (perf_counter() - begun) / max(len(rows), 1) * 1000
        return Contender(
            version=number, estimator=name, scores=scores, trained_until=until, overlap_rows=overlap,
            seconds_per_1000_rows=seconds,
        )  # fmt: skip


@contextmanager
def workbench(
    use_case: str, *, env: str = "dev", root: str | Path = "lakehouse", engine: str = "embedded"
) -> Iterator[Workbench]:
    """Open an environment for a notebook.

    Parameters
    ----------
    engine
        ``embedded`` on a laptop, ``databricks`` on a cluster or with Databricks Connect.

    Raises
    ------
    NotPossibleError
        If nothing has run there.
    """
    declared, folder = use_case_named(use_case), Path(root)
    if engine != "databricks" and not (folder / env).is_dir():
        raise NotPossibleError(
            f"nothing has run in {env!r} under {folder}.", where=f"use case {use_case}",
            remedy="Run a job there first, or name another folder with root=.",
        )  # fmt: skip
    with open_lakehouse(env, engine=engine, root=folder) as lakehouse:
        yield Workbench(lakehouse, declared)
