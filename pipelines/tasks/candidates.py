"""What is recorded with a fitted model: parameters, metrics, figures, profiles and keys of its rows, provenance."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.evaluation import figures as plots
from ml.evaluation.key_hashes import key_hashes
from ml.metrics.quality_metrics import measure
from ml.models.importance import permutation_importance
from ml.models.prediction import predict
from ml.spec.estimator import EstimatorSpec
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.provenance import git_commit
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.models import CANDIDATE_RUN
from pipelines.lakehouse.registry.runs import Run
from pipelines.tasks.reference import KEYS_FILE, PROFILE_FILE, reference_profiles

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model just fitted, the rows it was fitted on, and how."""

    spec: EstimatorSpec
    model: Any
    rows: pd.DataFrame
    seed: int
    cause: str
    seconds: float


def register_candidate(context: Context, fitted: Fitted) -> ModelVersion:
    """Record a fitted model as an MLflow run and register it as a candidate."""
    use_case, models = context.use_case, context.lakehouse.models
    inputs = fitted.rows[list(use_case.inputs)]
    labels = fitted.rows["label"].to_numpy(np.float64)
    scores = predict(fitted.model, inputs, problem=use_case.problem)
    tags = _provenance(context, fitted)
    measured = measure(labels, scores, use_case.problem)
    with models.start_run(use_case.name, name=f"{fitted.spec.name} {context.run_id}", tags=tags) as run:
        run.log(
            params=_parameters(fitted),
            metrics={
                **{f"training_{name}": value for name, value in measured.items()},
                "fit_seconds": fitted.seconds,
                "training_rows": len(inputs),
            },
        )
        _log_figures(run, fitted, labels, scores, use_case)
        return models.register(
            use_case.model, fitted.model, run=run, input_example=inputs.head(5), output_example=scores[:5],
            tags={**tags, CANDIDATE_RUN: context.run_id}, sidecar=_sidecar(fitted.rows, inputs.assign(score=scores)),
        )  # fmt: skip


def registered_candidate(context: Context, spec: EstimatorSpec, *, seed: int) -> ModelVersion | None:
    """Return the version that this run has registered of an estimator; None if it has not come so far.

    A run that was interrupted afterwards finds its version here instead of making a second one. Files and tags of a
    version are complete before the registry knows it.
    """
    expected = {
        "training_set_id": context.run_id,
        "estimator": spec.name,
        "seed": str(seed),
        CANDIDATE_RUN: context.run_id,
    }
    models = context.lakehouse.models
    versions = models.versions(context.use_case.model)
    made = next((version for version in versions if expected.items() <= dict(version.tags).items()), None)
    if made is not None:
        models.finish_run(made)
    return made


def _sidecar(rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, bytes]:
    """Return what later tasks need to know about the training rows, also in an environment that has only a copy."""
    profiles = json.dumps(reference_profiles(scored, rows["prediction_at"]))
    return {PROFILE_FILE: profiles.encode(), KEYS_FILE: key_hashes(rows["request_key"].tolist())}


def _parameters(fitted: Fitted) -> dict[str, Any]:
    spec = fitted.spec
    return {"estimator": spec.estimator, "encoding": spec.encoding, "seed": fitted.seed, **spec.parameters}


def _provenance(context: Context, fitted: Fitted) -> dict[str, str]:
    """Return the tags by which a version can be traced and trained again."""
    due = fitted.rows["prediction_at"]
    return {
        "use_case": context.use_case.name,
        "environment": context.lakehouse.environment.name,
        "estimator": fitted.spec.name,
        "training_set_id": context.run_id,
        "trained_from": pd.Timestamp(due.iloc[0]).isoformat(),
        "trained_until": pd.Timestamp(due.iloc[-1]).isoformat(),
        "seed": str(fitted.seed),
        "cause": fitted.cause,
        "git_commit": git_commit(),
        "table_versions": _table_versions(context, fitted.rows),
    }


def _table_versions(context: Context, rows: pd.DataFrame) -> str:
    """Return the versions of the tables behind the training set, and of the training set itself, as JSON."""
    address = context.use_case.table("training_set").address
    versions = {**json.loads(rows["table_versions"].iloc[0]), address: context.lakehouse.tables.versions_read[address]}
    return json.dumps(versions, sort_keys=True)


def _log_figures(run: Run, fitted: Fitted, labels: Floats, scores: Floats, use_case: UseCase) -> None:
    for name, figure in plots.model_figures(labels, {fitted.spec.name: scores}, use_case.problem).items():
        run.log_figure(figure, f"plots/{name}.png")
    metric = use_case.gate.metric
    importance = permutation_importance(
        fitted.model, fitted.rows[list(use_case.inputs)], labels, problem=use_case.problem, metric_name=metric,
        seed=fitted.seed, rows=1_000, repeats=1,
    )  # fmt: skip
    run.log_figure(plots.importance_figure(importance, metric), "plots/importance.png")
