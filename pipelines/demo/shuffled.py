"""A version that is really bad, for the demonstration: fitted on labels that were shuffled, registered as every candidate is."""

from dataclasses import replace

import numpy as np

from pipelines.execution.context import Context
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.tasks.versions.candidates import Training, train_candidate
from pipelines.tasks.versions.training import TRAINING, read_part

SHARE, SEED = 0.25, 0
CAUSE = "labels were shuffled"


def register_shuffled(context: Context, like: ModelVersion) -> ModelVersion:
    """Return a version of the estimator and, in part, of the rows of another one, whose labels belong to other rows.

    It is fitted, probed and registered by the code of the training job, and then is no candidate: no gate has seen it.
    """
    own = replace(context, run_id=like.tags["training_set_id"])
    rows = read_part(own, TRAINING, share=SHARE, seed=SEED)
    labels = np.random.default_rng(SEED).permutation(rows["label"].to_numpy())
    spec = next(spec for spec in context.use_case.estimators if spec.name == like.tags["estimator"])
    version = train_candidate(own, Training(spec=spec, rows=rows.assign(label=labels), seed=SEED, cause=CAUSE))
    context.lakehouse.models.clear_candidates(context.use_case.model, [version.number])
    return version
