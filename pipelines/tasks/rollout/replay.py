"""Task that brings what a serving endpoint of Databricks has logged into the table of answers, with the shadow's scores.

The endpoint logs each request with its answer, status and duration in the inference table of the AI Gateway
(https://learn.microsoft.com/en-us/azure/databricks/ai-gateway/inference-tables). The version that did not answer scores the
logged request here: that is the shadow of Databricks, which costs the endpoint nothing. Both versions are given what was known
before the request's instant, by the same code as everywhere. On this machine the endpoint writes both itself.
"""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.rollout_policy import SHADOW
from pipelines.dataframes.training_rows import FOR_EVER_HOURS
from pipelines.declarations.answers import ANSWER_ID, answers_table, failures_table
from pipelines.declarations.asset import Layer
from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.function import MODEL_VERSION, ScoringFunction
from pipelines.scoring.online import empty_features
from pipelines.scoring.protocol import BadRequestError, asked_rows
from pipelines.tasks import row_limits
from pipelines.tasks.rollout.answer_rows import answer_rows, failure_rows

LOGGED = "{catalog}.{schema}.online_payload"
"""The inference table: the prefix that the endpoint's declaration states, and what the service appends."""
LOG_COLUMNS = (
    "databricks_request_id", "request_time", "status_code", "execution_duration_ms", "request", "response", "served_entity_id",
)  # fmt: skip
SUCCEEDED, OWN_FAULT = 200, 500
"""The status of an answer, and from which on a failure is the endpoint's."""
MOST_ROWS = 100_000
"""Of one request; the endpoint has accepted it."""


@dataclass(frozen=True, kw_only=True)
class LoggedRequest:
    """One request of the log.

    Attributes
    ----------
    version
        Which answered it, or should have; None where nobody knows.
    predictions
        Its answer; empty if it failed.
    """

    name: str
    rows: pa.Table
    version: int | None
    seconds: float | None
    predictions: Sequence[Mapping[str, Any]]
    failed_with: str = ""


@dataclass(frozen=True, kw_only=True)
class _Version:
    number: int
    function: ScoringFunction
    model: Any


def collect(context: Context) -> TaskResult:
    """Bring the requests of the present stage that were not brought before into the table of answers."""
    state = current_rollout(context.lakehouse.models, context.use_case.model)
    if state is None:
        context.say("no rollout goes on: nothing to collect")
        return TaskResult(rows=0)
    if context.lakehouse.engine != "databricks":
        context.say("the endpoint of this machine keeps its answers itself")
        return TaskResult(rows=0)
    schema = f"{context.use_case.name}_{Layer.INFERENCE}"
    log = context.lakehouse.spark.table(LOGGED.format(catalog=context.lakehouse.environment.catalog, schema=schema))
    answers = context.lakehouse.tables.read(context.use_case.table("answers"))
    known = answers.select(F.split(F.col(ANSWER_ID), "/").getItem(0).alias("databricks_request_id")).distinct()
    new = log.where(F.col("request_time") >= F.lit(state.since)).join(
        known, on="databricks_request_id", how="left_anti"
    )
    rows = new.select(*LOG_COLUMNS).orderBy("request_time").limit(row_limits.EXACT_ROWS).toArrow().to_pylist()
    written = replay(context, state, rows)
    context.say(f"{len(rows):,} logged requests, {written:,} scores of both versions")
    return TaskResult(rows=written)


def replay(context: Context, state: RolloutState, log: Sequence[Mapping[str, Any]]) -> int:
    """Write the answers of logged requests and the other version's scores; return how many rows.

    Parameters
    ----------
    log
        Rows with `LOG_COLUMNS`.
    """
    versions = {number: _version(context, number) for number in (state.champion, state.version)}
    parts = _Parts(context=context, state=state)
    for lot in _alike(list(logged_requests(log, versions[state.champion].function, state))):
        for version in versions.values():
            features = features_before(context, version.function, pa.concat_tables([one.rows for one in lot]))
            found, seconds = _scored(version, lot, features)
            for one, scored in zip(lot, found, strict=True):
                parts.add(one, version, scored, seconds)
    return parts.write()


@dataclass(kw_only=True)
class _Parts:
    """The rows that a replay writes."""

    context: Context
    state: RolloutState
    kept: list[pa.Table] = field(default_factory=list)
    failed: list[pa.Table] = field(default_factory=list)

    def add(self, one: LoggedRequest, version: _Version, scored: pa.Table | Exception, seconds: float | None) -> None:
        """Add what a version has made of a request, or that it could not."""
        use_case, is_shadow = self.context.use_case, version.number != one.version
        ids = [f"{one.name}/{place}" for place in range(one.rows.num_rows)]
        error = (one.failed_with if not is_shadow else "") or (scored if isinstance(scored, Exception) else "")
        if error or isinstance(scored, Exception):
            keys = one.rows.column(version.function.key).to_pylist()
            self.failed.append(
                failure_rows(
                    failures_table(use_case), ids, keys, version.number, error, at=self.context.now, rollout=self.state
                )
            )  # fmt: skip
            return
        answers = scored if is_shadow else _as_answered(scored, one.predictions)
        took = seconds if self.state.percentage == SHADOW else None if is_shadow else one.seconds
        self.kept.append(
            answer_rows(
                answers_table(use_case), ids, one.rows, answers, version.function, at=self.context.now, seconds=took,
                rollout=self.state, is_shadow=is_shadow,
            )
        )  # fmt: skip

    def write(self) -> int:
        """Append the rows, each table's in one commit; return how many scores."""
        for table, parts in ((answers_table, self.kept), (failures_table, self.failed)):
            if parts:
                declared = table(self.context.use_case)
                batch_id = f"replay {self.context.run_id} {declared.name}"
                self.context.lakehouse.tables.append_once(declared, pa.concat_tables(parts), batch_id=batch_id)
        return sum(part.num_rows for part in self.kept)


def _alike(requests: Sequence[LoggedRequest]) -> list[list[LoggedRequest]]:
    """Return the requests by what they give themselves: those of one list are scored at once."""
    found: dict[tuple[str, ...], list[LoggedRequest]] = {}
    for one in requests:
        found.setdefault(tuple(one.rows.column_names), []).append(one)
    return list(found.values())


def logged_requests(
    log: Sequence[Mapping[str, Any]], function: ScoringFunction, state: RolloutState
) -> Iterator[LoggedRequest]:
    """Yield the requests of a log that a version answered or should have; a request that was wrong is nobody's fault.

    An answer says its version. One that failed says only its served entity: it is the version that the entity has answered as
    elsewhere in the log, or else the one that no entity has answered as.
    """
    answered = {row["databricks_request_id"]: _predictions(row) for row in log}
    entities = {
        row["served_entity_id"]: int(found[0][MODEL_VERSION])
        for row in log
        if (found := answered[row["databricks_request_id"]])
    }
    left = {state.champion, state.version} - set(entities.values())
    for row in log:
        predictions = answered[row["databricks_request_id"]]
        if not predictions and row["status_code"] < OWN_FAULT:
            continue
        try:
            rows = asked_rows((row["request"] or "").encode(), function, most_rows=MOST_ROWS)
        except BadRequestError:
            continue
        alone = next(iter(left)) if len(left) == 1 else state.champion if state.percentage == 0 else None
        version = entities.get(row["served_entity_id"], alone)
        if version is None:
            continue
        milliseconds = row["execution_duration_ms"]
        yield LoggedRequest(
            name=str(row["databricks_request_id"]), rows=rows, version=version, predictions=predictions,
            seconds=None if milliseconds is None else milliseconds / 1000,
            failed_with="" if predictions else f"the endpoint answered {row['status_code']}",
        )  # fmt: skip


def _predictions(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if row["status_code"] != SUCCEEDED:
        return []
    try:
        found = json.loads(row["response"])["predictions"]
        return found if found and all(one.get(MODEL_VERSION) is not None for one in found) else []
    except (TypeError, ValueError, KeyError, AttributeError):
        return []


def _version(context: Context, number: int) -> _Version:
    models = context.lakehouse.models
    function, model = models.load_served(models.version(context.use_case.model, number))
    return _Version(number=number, function=function or scoring_function(context.use_case), model=model)


def _scored(
    version: _Version, lot: Sequence[LoggedRequest], features: Sequence[pa.Table]
) -> tuple[list[pa.Table | Exception], float | None]:
    """Return what a version makes of each request, and its seconds for one; one by one where they fail together."""

    def answer(rows: pa.Table) -> pa.Table:
        return version.function.answer(rows, features, version.model, version=version.number)

    begun = time.perf_counter()
    try:
        together = answer(pa.concat_tables([one.rows for one in lot]))
    except Exception:  # noqa: BLE001 - which of them it is shows below
        return [_answer_or_error(answer, one.rows) for one in lot], None
    seconds = (time.perf_counter() - begun) / len(lot)
    ends = list(accumulate(one.rows.num_rows for one in lot))
    return [
        together.slice(end - one.rows.num_rows, one.rows.num_rows) for one, end in zip(lot, ends, strict=True)
    ], seconds


def _answer_or_error(answer: Callable[[pa.Table], pa.Table], rows: pa.Table) -> pa.Table | Exception:
    try:
        return answer(rows)
    except Exception as error:  # noqa: BLE001 - a version that fails is evidence
        return error


def features_before(context: Context, function: ScoringFunction, rows: pa.Table) -> list[pa.Table]:
    """Return for each look-up the feature rows of the requested entities, as far as the requests do not give them themselves."""
    if all(name in rows.column_names for name in function.looked_up):
        return empty_features(function)
    instants = [instant.astimezone(dt.UTC) for instant in rows.column(function.time).to_pylist()]
    found = []
    for lookup in function.lookups:
        stored = context.lakehouse.tables.read(context.use_case.table(lookup.table))
        near = stored.where(F.col(lookup.time) < F.lit(max(instants)))
        if lookup.lookback_hours < FOR_EVER_HOURS:
            near = near.where(F.col(lookup.time) >= F.lit(min(instants) - dt.timedelta(hours=lookup.lookback_hours)))
        for asked, own in lookup.keys.items():
            near = near.where(
                F.col(own).isin([value for value in set(rows.column(asked).to_pylist()) if value is not None])
            )
        found.append(near.select(*lookup.kinds).toArrow())
    return found


def _as_answered(scored: pa.Table, predictions: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return scored requests with the scores that were answered."""
    for name in scored.column_names:
        if (
            predictions
            and all(name in one for one in predictions)
            and pa.types.is_floating(scored.schema.field(name).type)
        ):
            place = scored.schema.get_field_index(name)
            scored = scored.set_column(
                place, name, pa.array([one[name] for one in predictions], scored.schema.field(name).type)
            )
    return scored
