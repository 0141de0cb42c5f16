"""What is recorded of a fitted model: parameters, metrics, figures, the profile of its rows, where it came from."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml import plots
from ml.importance import permutation_importance
from ml.metrics import measure
from ml.profiles import ProfileSpec, profile
from ml.scoring import predict
from ml.specification import EstimatorSpec, Problem
from pipelines.context import Context
from pipelines.provenance import git_commit

PROFILE_FILE = "reference_profile.json"
"""Artifact of a model's run: the profile of its training rows per day, which drift is measured against."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model just fitted, the rows it was fitted on, and how."""

    spec: EstimatorSpec
    model: Any
    rows: pd.DataFrame
    seed: int
    cause: str
    seconds: float


def register_candidate(context: Context, fitted: Fitted) -> int:
    """Record a fitted model as an MLflow run and register it as a candidate; return its version."""
    use_case, models = context.use_case, context.workspace.models
    inputs = fitted.rows[list(use_case.inputs)]
    labels = fitted.rows["label"].to_numpy(np.float64)
    scores = predict(fitted.model, inputs, problem=use_case.problem)
    with models.run(experiment=use_case.name, name=f"{fitted.spec.name} {context.run_id}") as run:
        run.log_params(_parameters(fitted))
        run.log_metrics({"fit_seconds": fitted.seconds, "training_rows": len(inputs)})
        run.log_metrics({f"training_{name}": value for name, value in measure(labels, scores, use_case.problem).items()})
        _log_figures(run, fitted, inputs, labels, scores, use_case.problem)
        run.log_text(_reference_profile(fitted.rows, inputs, scores), PROFILE_FILE)
        tags = {"candidate": "true", **_provenance(context, fitted)}
        run.set_tags(tags)
        return int(run.register(use_case.model, fitted.model, example=inputs.head(5), tags=tags))


def _parameters(fitted: Fitted) -> dict[str, Any]:
    spec = fitted.spec
    return {"estimator": spec.estimator, "encoding": spec.encoding, "seed": fitted.seed, **spec.parameters}


def _provenance(context: Context, fitted: Fitted) -> dict[str, str]:
    """Return the tags by which a version can be traced and trained again."""
    due = fitted.rows["prediction_at"]
    return {
        "use_case": context.use_case.name,
        "environment": context.workspace.environment.name,
        "estimator": fitted.spec.name,
        "training_set_id": context.run_id,
        "trained_from": pd.Timestamp(due.iloc[0]).isoformat(),
        "trained_until": pd.Timestamp(due.iloc[-1]).isoformat(),
        "seed": str(fitted.seed),
        "cause": fitted.cause,
        "git_commit": git_commit(),
        "table_versions": json.dumps(context.workspace.tables.versions_read, sort_keys=True),
    }


def _log_figures(
    run: Any, fitted: Fitted, inputs: pd.DataFrame, labels: "np.ndarray[Any, np.dtype[np.float64]]",
    scores: "np.ndarray[Any, np.dtype[np.float64]]", problem: Problem,
) -> None:  # fmt: skip
    name = fitted.spec.name
    metric = "roc_auc_score" if problem is Problem.BINARY else "mean_absolute_error"
    if problem is Problem.BINARY:
        run.log_figure(plots.roc_figure(labels, {name: scores}), "plots/roc.png")
    run.log_figure(plots.calibration_figure(labels, {name: scores}), "plots/calibration.png")
    importance = permutation_importance(
        fitted.model, inputs, labels, problem=problem, metric_name=metric, seed=fitted.seed, rows=2_000, repeats=1
    )
    run.log_figure(plots.importance_figure(importance, metric), "plots/importance.png")


def _reference_profile(
    rows: pd.DataFrame, inputs: pd.DataFrame, scores: "np.ndarray[Any, np.dtype[np.float64]]"
) -> str:
    """Return the profiles of the training rows, one per day of prediction, as JSON."""
    profiled = inputs.assign(score=scores)
    random = np.random.default_rng(0)
    sample = profiled.iloc[random.permutation(len(profiled))[:20_000]]
    spec = ProfileSpec.from_sample({name: sample[name].to_numpy() for name in sample})
    days = rows["prediction_at"].dt.floor("D")
    by_day = {
        day.isoformat(): profile({name: part[name].to_numpy() for name in part}, spec).to_json()
        for day, part in profiled.groupby(days)
    }
    return json.dumps(by_day)
