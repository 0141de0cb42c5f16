"""Chooses what predicts fastest of what predicts the same: compiled trees, where they equal the estimator on stored rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from ml.models.prediction import known_inputs, predict
from pipelines.scoring.compiled import compiled
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.scoring.tree_library import NotCompiledError

TRIED_ROWS = 2_000
"""A version is tried on at most so many stored rows."""
DISTURBED_ROWS = 50
"""And on so many of them with each input missing in turn."""


def fastest(
    fitted: Any,
    function: ScoringFunction,
    rows: pa.Table,
    *,
    digest: str | None = None,
    kept: KeptLibraries | None = None,
    threads: int = 1,
) -> tuple[Any, str]:
    """Return what predicts fastest of what predicts the same on some rows, and in words what it is; it has predicted once.

    Parameters
    ----------
    fitted
        The estimator, from files with this digest.
    rows
        With the inputs of the function, none or more.
    digest, kept, threads
        As `pipelines.scoring.compiled.compiled` takes them.

    Raises
    ------
    PredictionError
        If the estimator fails on the rows.
    """
    inputs = rows.select(known_inputs(fitted, function.inputs))
    frame = inputs.to_pandas()
    with threadpool_limits(limits=1):  # the other processors are for who asks meanwhile
        here = predict(fitted, frame, problem=function.problem)
    if not len(frame):
        return fitted, "the estimator itself (there are no stored rows to compare compiled trees on)"
    try:
        found = compiled(fitted, frame, digest=digest, kept=kept, threads=threads)
    except NotCompiledError as reason:
        return fitted, f"the estimator itself ({reason})"
    there = predict(found, inputs, problem=function.problem)
    if not np.array_equal(here, there):
        differing = int(np.sum(here != there))
        return fitted, f"the estimator itself (compiled trees differ on {differing} of {len(frame)} stored rows)"
    return found, f"compiled trees, equal to the estimator on {len(frame):,} stored rows"


def disturbed(rows: pa.Table, numeric: Sequence[str], categorical: Sequence[str]) -> pa.Table:
    """Return rows, then some of them with each input missing in turn, with each category unseen, and with nothing known.

    What is compared on stored rows alone may differ on the first request that lacks what none of them lacked.
    """
    few, parts = rows.slice(0, DISTURBED_ROWS), [rows]
    gaps = {field.name: pa.nulls(few.num_rows, field.type) for field in rows.schema}
    unseen = pa.repeat(pa.scalar("never seen"), few.num_rows)
    changes = [{name: gaps[name]} for name in (*numeric, *categorical)]
    changes += [{name: unseen} for name in categorical] + [gaps]
    for change in changes:
        columns = [change[name] if name in change else few.column(name) for name in rows.column_names]
        parts.append(pa.Table.from_arrays([column.cast(f.type) for column, f in zip(columns, rows.schema, strict=True)],
                                          schema=rows.schema))  # fmt: skip
    return pa.concat_tables(parts)
