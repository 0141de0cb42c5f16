"""What an endpoint keeps of its requests, as rows of the tables of answers and of failures."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ml.spec.errors import sentence_of
from pipelines.declarations.answers import (
    AGES,
    ANSWER_ID,
    ANSWERED_AT,
    FAILED_AT,
    FAILURE_ID,
    MESSAGE,
    REQUEST,
    ROLLOUT_ID,
    SECONDS,
    SHADOW_OF,
    STAGE,
)
from pipelines.declarations.asset import Table
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.lakehouse.tables.arrow import arrow_schema, records
from pipelines.scoring.function import ScoringFunction

SHADOWED = "/shadow"
"""What the id of a shadow's row ends with, after the id of the answer."""


def answer_rows(
    table: Table, ids: Sequence[str], requests: pa.Table, answers: pa.Table, function: ScoringFunction, *,
    at: dt.datetime, seconds: float | None, rollout: RolloutState | None = None, is_shadow: bool = False,
) -> pa.Table:  # fmt: skip
    """Return answers as rows of their table, a shadow's with the answer that each is the shadow of.

    Parameters
    ----------
    ids
        Of the answers to the same requests.
    seconds
        How long these requests, which were scored together, took; None where nobody measured it.
    """
    count, ages = len(ids), [lookup.age_column for lookup in function.lookups]
    state = _of_rollout(rollout, count)
    own: dict[str, Any] = {
        ANSWER_ID: pa.array([f"{name}{SHADOWED}" for name in ids] if is_shadow else list(ids)),
        ANSWERED_AT: pa.repeat(pa.scalar(at, pa.timestamp("us", "UTC")), count),
        REQUEST: pa.array([json.dumps(row, default=str) for row in requests.to_pylist()]),
        AGES: pa.array([json.dumps(row) for row in answers.select(ages).to_pylist()]),
        SHADOW_OF: pa.array(list(ids) if is_shadow else [None] * count, pa.string()),
        SECONDS: pa.array([seconds] * count, pa.float64()),
        **state,
    }
    schema, columns = arrow_schema(table), []
    given = {**dict(zip(answers.column_names, answers.columns, strict=True)), **own}
    for part in schema:
        # another version may keep other columns
        values = given[part.name] if part.name in given or not part.nullable else pa.nulls(count, part.type)
        columns.append(values if values.type == part.type else values.cast(part.type))
    return pa.Table.from_arrays(columns, schema=schema)


def failure_rows(
    table: Table, ids: Sequence[str], keys: Sequence[str | None], version: int, error: Exception | str, *,
    at: dt.datetime, rollout: RolloutState,
) -> pa.Table:  # fmt: skip
    """Return requests that a version could not score as rows of their table; a key is missing where it was not taken at all."""
    message = error if isinstance(error, str) else sentence_of(error)
    state = {ROLLOUT_ID: rollout.rollout_id, STAGE: rollout.percentage}
    rows = [
        {FAILURE_ID: f"{name}/{version}", FAILED_AT: at, "model_version": version, "request_key": key_, MESSAGE: message, **state}
        for name, key_ in zip(ids, keys, strict=True)
    ]  # fmt: skip
    return records(table, rows)


def _of_rollout(rollout: RolloutState | None, count: int) -> Mapping[str, pa.Array]:
    name, stage = (None, None) if rollout is None else (rollout.rollout_id, rollout.percentage)
    return {ROLLOUT_ID: pa.array([name] * count, pa.string()), STAGE: pa.array([stage] * count, pa.int64())}
