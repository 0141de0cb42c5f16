"""Whether a batch is scored by the estimator or by its compiled trees, which answer the same and take seconds to compile."""

import os
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.scoring.compiled import can_be_compiled
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.fastest import TRIED_ROWS, disturbed, fastest
from pipelines.scoring.kept_libraries import KeptLibraries

WORTH_COMPILING = 500_000
"""Rows of a batch from which on its estimator is compiled: of about so many compiling takes as long as it saves (`benchmarks.scoring`)."""


def batch_model(context: Context, version: ModelVersion, fitted: Any, due: DataFrame) -> Any:
    """Return what scores a batch: the estimator of a version, or its compiled trees; which of them is said.

    Trees are compiled on this machine alone, of large batches, and kept where the endpoint keeps them. Those of a small batch
    are not worth a look.

    Parameters
    ----------
    fitted
        The estimator of the version, from its files.
    due
        The rows that will be scored, or more of them.
    """
    folder = context.lakehouse.folder
    if folder is None or not can_be_compiled(fitted):
        return fitted
    if due.limit(WORTH_COMPILING).count() < WORTH_COMPILING:
        return fitted
    rows = stored_inputs(context.lakehouse, context.use_case)
    kept = KeptLibraries(folder / "serving" / context.use_case.name / "compiled")
    found, how = fastest(
        fitted, scoring_function(context.use_case), rows, digest=version.digest, kept=kept, threads=os.cpu_count() or 1
    )
    context.say(f"version {version.number} scores by {how}")
    return found


def stored_inputs(lakehouse: Lakehouse, use_case: UseCase) -> pa.Table:
    """Return inputs of rows that were trained on or scored here, as they were stored, and `disturbed` ones."""
    for name in ("training_set", "predictions"):
        rows = lakehouse.tables.read(use_case.table(name)).select(*use_case.inputs).limit(TRIED_ROWS).toArrow()
        if rows.num_rows:
            break
    return disturbed(rows, use_case.numeric_inputs, use_case.categorical_inputs) if rows.num_rows else rows
