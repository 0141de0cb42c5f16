"""Versions of the registry, each loaded and tried on rows that were stored before it answers a request."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from ml.models.prediction import predict
from ml.spec.errors import LakehouseError
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.function import ScoringFunction
from pipelines.serving.compiled import compiled
from pipelines.serving.kept_libraries import KeptLibraries
from pipelines.serving.tree_library import NotCompiledError
from pipelines.serving.versions import Loaded

TRIED_ROWS = 2_000
"""A version is tried on at most so many stored rows."""
DISTURBED_ROWS = 50
"""And on so many of them with each input missing in turn."""


class RefusedVersionError(LakehouseError):
    """A version that fails on rows that were stored."""


class Registry:
    """The versions of a use case's model behind an alias."""

    def __init__(
        self, lakehouse: Lakehouse, use_case: UseCase, alias: str, say: Callable[[str], None],
        kept: KeptLibraries | None = None,
    ) -> None:  # fmt: skip
        self._lakehouse = lakehouse
        self._use_case = use_case
        self._alias = alias
        self._say = say
        self._kept = kept
        self._rows = stored_inputs(lakehouse, use_case)

    def current(self) -> int | None:
        """Return the number of the version behind the alias; None if there is none."""
        found = self._lakehouse.models.find_alias(self._use_case.model, self._alias)
        return None if found is None else found.number

    def rollout(self) -> RolloutState | None:
        """Return the rollout that goes on; None without one."""
        return current_rollout(self._lakehouse.models, self._use_case.model)

    def load(self, number: int) -> Loaded:
        """Return a version whose files are those that were registered, and which scores the stored rows.

        Raises
        ------
        ModelFilesError
            If its files are missing, others, or cannot be loaded.
        RefusedVersionError, PredictionError
            If it fails on stored rows.
        """
        models, model = self._lakehouse.models, self._use_case.model
        version = models.version(model, number)
        function, fitted = models.load_served(version)
        if function is None:
            function = scoring_function(self._use_case)
            self._say(f"version {number} was registered without its scoring function: the declared one is used")
        self._require_inputs(function)
        chosen, how = fastest(fitted, function, self._rows, digest=version.digest, kept=self._kept)
        return Loaded(number=number, function=function, model=chosen, how=how)

    def _require_inputs(self, function: ScoringFunction) -> None:
        absent = [name for name in function.inputs if name not in self._rows.column_names]
        if absent:
            raise RefusedVersionError(
                f"it takes {', '.join(absent)}, which the stored rows of this use case do not have."
            )


def fastest(
    fitted: Any,
    function: ScoringFunction,
    rows: pa.Table,
    *,
    digest: str | None = None,
    kept: KeptLibraries | None = None,
) -> tuple[Any, str]:
    """Return what predicts fastest of what predicts the same on some rows, and in words what it is; it has predicted once.

    Parameters
    ----------
    fitted
        The estimator, from files with this digest.
    rows
        With the inputs of the function, none or more.
    digest, kept
        As `pipelines.serving.compiled.compiled` takes them.

    Raises
    ------
    PredictionError
        If the estimator fails on the rows.
    """
    inputs = rows.select(list(function.inputs))
    frame = inputs.to_pandas()
    with threadpool_limits(limits=1):  # the other processors are for who asks meanwhile
        here = predict(fitted, frame, problem=function.problem)
    if not len(frame):
        return fitted, "the estimator itself (there are no stored rows to compare compiled trees on)"
    try:
        found = compiled(fitted, frame, digest=digest, kept=kept)
    except NotCompiledError as reason:
        return fitted, f"the estimator itself ({reason})"
    there = predict(found, inputs, problem=function.problem)
    if not np.array_equal(here, there):
        differing = int(np.sum(here != there))
        return fitted, f"the estimator itself (compiled trees differ on {differing} of {len(frame)} stored rows)"
    return found, f"compiled trees, equal to the estimator on {len(frame):,} stored rows"


def stored_inputs(lakehouse: Lakehouse, use_case: UseCase) -> pa.Table:
    """Return inputs of rows that were trained on or scored here, as they were stored, and `disturbed` ones."""
    for name in ("training_set", "predictions"):
        rows = lakehouse.tables.read(use_case.table(name)).select(*use_case.inputs).limit(TRIED_ROWS).toArrow()
        if rows.num_rows:
            break
    return disturbed(rows, use_case.numeric_inputs, use_case.categorical_inputs) if rows.num_rows else rows


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
