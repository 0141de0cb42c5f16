"""What is recorded with a fitted model: parameters, metrics, figures, profiles and keys of its rows, provenance."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.evaluation import figures as plots
from ml.evaluation.key_hashes import key_hashes
from ml.metrics.metric_table import measure
from ml.models.prediction import predict, probe_of
from ml.models.search import Searched
from ml.spec.errors import LakehouseError
from ml.spec.estimator import Calibration, EstimatorSpec
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.provenance import git_commit
from pipelines.lakehouse.registry.fresh_process import Probe, ServedProbe, start_loader
from pipelines.lakehouse.registry.model_version import TRAINED_IN, ModelVersion
from pipelines.lakehouse.registry.models import CANDIDATE_RUN
from pipelines.lakehouse.registry.runs import FAILURE, Run
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.function import SCORE, made
from pipelines.tasks.versions.fitting import fit_rows, metric_weights, searched
from pipelines.tasks.versions.reference import KEYS_FILE, PROFILE_FILE, reference_profiles
from pipelines.tasks.versions.version_description import description

Floats = NDArray[np.float64]

WEIGHT = "weight"
"""The tag of a version that was fitted with weights: the column that gave them."""
TRIALS, VALIDATED_UNTIL = "search_trials", "search_validated_until"
"""Tags of a version whose parameters were searched: by how many trials, and the latest row on which one was validated."""
WEIGHT_COLUMN, CALIBRATION_METHOD, CALIBRATION_SHARE = "weight.column", "calibration.method", "calibration.share"
"""Parameters of a run that no constructor of an estimator can have, because of the dot."""
TRAINING_SHARE = "training_share"
"""The tag of a version, and the name beside the counts of labels, of the share of its training rows that was drawn."""
SERVED_ROWS = 5
"""So many requests are answered there by the scoring function."""
PROBED_ROWS = 20
"""A stored model predicts so many rows in a process of its own before it becomes a candidate."""


class TrialError(LakehouseError):
    """A trial of a search that failed: the search goes on."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What one estimator is fitted on, and how."""

    spec: EstimatorSpec
    rows: pd.DataFrame
    seed: int
    cause: str


def train_candidate(context: Context, training: Training) -> ModelVersion:
    """Fit an estimator, record it as an MLflow run, and register the model as a candidate.

    The run of an estimator that fails ends as failed, with the reason as its tag ``failure``.
    """
    use_case, models, spec = context.use_case, context.lakehouse.models, training.spec
    inputs = training.rows[list(use_case.fitted_inputs)]
    labels = training.rows["label"].to_numpy(np.float64)
    tags = {**provenance(context, training), CANDIDATE_RUN: context.run_id}
    start_loader()
    with models.start_run(use_case.name, name=f"{spec.name} {context.run_id}", tags=tags) as run:
        begun = time.perf_counter()
        found = searched(use_case, spec, training.rows, seed=training.seed)
        if found is not None:
            spec, training = found.spec, replace(training, spec=found.spec)
            tags |= _log_search(context, run, training, found)
        model = fit_rows(use_case, spec, training.rows, seed=training.seed)
        seconds = time.perf_counter() - begun
        scores = predict(model, inputs, problem=use_case.problem)
        measured = measure(labels, scores, use_case.problem, metric_weights(use_case, training.rows), use_case.costs)
        run.log(
            params=_parameters(use_case, training),
            metrics={
                **{f"training_{name}": value for name, value in measured.items()},
                "fit_seconds": seconds,
                "training_rows": len(inputs),
            },
        )
        _log_figures(run, training, scores, use_case)
        columns = made(scores, use_case.problem)
        rows, method = probe_of(model, inputs.head(PROBED_ROWS), problem=use_case.problem)
        return models.register(
            use_case.model, model, run=run, input_example=inputs.head(5), output_example=columns[SCORE][:5], tags=tags,
            description=description(use_case.model, tags), sidecar=sidecar(training.rows, inputs.assign(**columns)),
            probe=Probe(rows=rows, method=method), served=_served_probe(context, training.rows),
        )  # fmt: skip


def _served_probe(context: Context, rows: pd.DataFrame) -> ServedProbe:
    """Return the scoring function with a few requests of the training rows; what is looked up is given as it was then."""
    function, spine = scoring_function(context.use_case), context.use_case.spine
    few = rows.head(SERVED_ROWS)
    asked = to_pandas(
        context.lakehouse.tables.read(spine.table).where(F.col(spine.request_key).isin(few["request_key"].tolist()))
    ).drop_duplicates(spine.request_key)
    known = few[["request_key", *(name for name in function.looked_up if name in few.columns)]]
    requests = asked.merge(known, left_on=spine.request_key, right_on="request_key", how="left")
    unused = {name: None for name in function.looked_up if name not in requests.columns}
    return ServedProbe(function=function, requests=requests.assign(**unused))


def _log_search(context: Context, run: Run, training: Training, found: Searched) -> dict[str, str]:
    """Record every trial of a search as a run within the training's, and return what the version's tags say of it."""
    metric_name = f"validation_{context.use_case.gate.metric}"
    for trial in found.trials:
        with suppress(TrialError):  # ends the run as failed, with the reason
            name = f"{training.spec.name} trial {trial.number}"
            with context.lakehouse.models.start_run(context.use_case.name, name=name, parent=run) as nested:
                folds = {f"{metric_name}_fold_{number}": value for number, value in enumerate(trial.values, start=1)}
                values = {metric_name: trial.value} if trial.values else {}
                nested.log(params=trial.parameters, metrics={**values, **folds, "trial_seconds": trial.seconds})
                if trial.failure is not None:
                    raise TrialError(trial.failure)
    failed = sum(trial.failure is not None for trial in found.trials)
    run.log(metrics={metric_name: found.best.value, "trials": len(found.trials), "failed_trials": failed})
    context.say(
        f"{training.spec.name}: trial {found.best.number} of {len(found.trials)} is the best, {metric_name} "
        f"{found.best.value:.4f} over {len(found.best.values)} folds{f'; {failed} failed' if failed else ''}"
    )
    return {TRIALS: str(len(found.trials)), VALIDATED_UNTIL: found.validated_until.isoformat()}


def failed_candidates(context: Context) -> dict[str, str]:
    """Return the estimators of this run of which there is no candidate because training failed, with the reasons."""
    models, use_case = context.lakehouse.models, context.use_case
    failed = {
        run.tags["estimator"]: run.tags[FAILURE]
        for run in models.failed_runs(use_case.name, CANDIDATE_RUN, context.run_id)
        if "estimator" in run.tags and FAILURE in run.tags
    }
    if not failed:
        return {}
    versions = models.versions(use_case.model)
    made = {v.tags.get("estimator") for v in versions if v.tags.get("training_set_id") == context.run_id}
    return {estimator: reason for estimator, reason in failed.items() if estimator not in made}


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


def sidecar(rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, bytes]:
    """Return what later tasks need to know about the training rows, also in an environment that has only a copy."""
    profiles = json.dumps(reference_profiles(scored, rows["prediction_at"]))
    return {PROFILE_FILE: profiles.encode(), KEYS_FILE: key_hashes(rows["request_key"].tolist())}


def _parameters(use_case: UseCase, training: Training) -> dict[str, Any]:
    spec = training.spec
    weight = {WEIGHT_COLUMN: use_case.weight.column} if use_case.weight else {}
    calibrates = spec.calibration is not Calibration.NONE
    how = {CALIBRATION_METHOD: spec.calibration, CALIBRATION_SHARE: spec.calibration_share} if calibrates else {}
    own = {"estimator": spec.estimator, "encoding": spec.encoding, "seed": training.seed}
    return {**own, **how, **weight, **spec.parameters}


def provenance(context: Context, training: Training) -> dict[str, str]:
    """Return the tags by which a version can be traced and trained again."""
    due = training.rows["prediction_at"]
    return {
        "use_case": context.use_case.name,
        "environment": context.lakehouse.environment.name,
        TRAINED_IN: context.lakehouse.environment.name,
        "estimator": training.spec.name,
        "training_set_id": context.run_id,
        "trained_from": pd.Timestamp(due.iloc[0]).isoformat(),
        "trained_until": pd.Timestamp(due.iloc[-1]).isoformat(),
        "seed": str(training.seed),
        "cause": training.cause,
        "git_commit": git_commit(),
        "table_versions": _table_versions(context, training.rows),
        **({WEIGHT: context.use_case.weight.column} if context.use_case.weight else {}),
        **_drawn(training.rows),
    }


def _drawn(rows: pd.DataFrame) -> dict[str, str]:
    """Return the share of the training rows that was drawn, where there were more than fit an estimator."""
    counts = rows["label_counts"].iloc[0]
    share = json.loads(counts).get(TRAINING_SHARE) if counts else None
    return {TRAINING_SHARE: str(share)} if share else {}


def _table_versions(context: Context, rows: pd.DataFrame) -> str:
    """Return the versions of the tables behind the training set, and of the training set itself, as JSON."""
    address = context.use_case.table("training_set").address
    versions = {**json.loads(rows["table_versions"].iloc[0]), address: context.lakehouse.tables.versions_read[address]}
    return json.dumps(versions, sort_keys=True)


def _log_figures(run: Run, training: Training, scores: Floats, use_case: UseCase) -> None:
    labels = training.rows["label"].to_numpy(np.float64)
    for name, figure in plots.model_figures(labels, {training.spec.name: scores}, use_case.problem).items():
        run.log_figure(figure, f"plots/{name}.png")
