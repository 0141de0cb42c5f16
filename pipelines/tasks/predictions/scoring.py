"""Task of the scoring job: score each request once, by the version that an alias points to.

What has no prediction is found by key, so a request that is delivered late is scored as soon as it is there. The stream
(`pipelines.tasks.predictions.streaming`) finds requests in another way, and writes their predictions by the same function.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.gate.verdict import Outcome
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.dataframes.scoring import score_requests
from pipelines.dataframes.training_rows import feature_tables, requests, versions_read, with_inputs
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.store import Written
from pipelines.scoring.declared import scoring_function
from pipelines.tasks.data.labels import made_live
from pipelines.tasks.predictions.batch_model import batch_model
from pipelines.tasks.versions.promotion import EVALUATED_UNTIL


@dataclass(frozen=True, kw_only=True)
class ScoringVersion:
    """The version that an alias pointed to, loaded.

    Attributes
    ----------
    seen
        The first instant after what the version was trained and evaluated on; None if it does not say.
    """

    alias: str
    version: int
    model: Any
    registered: ModelVersion
    seen: dt.datetime | None


def score(context: Context, *, since: dt.datetime | None, until: dt.datetime | None, alias: str) -> TaskResult:
    """Insert a prediction for every request of the window that the alias has not predicted yet.

    A scheduled run (no date is given) before the first champion has nothing to do, says so and succeeds.

    Raises
    ------
    NoModelVersionError
        If the alias is not set, but was, or dates were given.
    TaskError
        If dates were given and no request falls due in the window.
    """
    end = context.end_of_window(since, until)
    scheduled = since is None and until is None
    if scheduled and before_the_first_champion(context, alias):
        return TaskResult(rows=0)
    scorer = scorer_of(context, alias)
    begin = since or begin_of(context, scorer, end)
    window = [begin.isoformat() if begin else "", end.isoformat()]
    batch_id = json.dumps([context.run_id, alias, scorer.version, *window])
    written = insert_predictions(
        context, scorer, requests(context, begin, end), begin=begin, end=end, batch_id=batch_id
    )
    if not written.rows and not scheduled:
        _require_requests(context, scorer, begin, end)
    rest = _in_hindsight(context, scorer, begin, batch_id) if written.rows else ": every request has one already"
    context.say(f"{alias} version {scorer.version}: {written.rows:,} predictions up to {end:%Y-%m-%d}{rest}")
    return TaskResult(rows=written.rows, values={"model_version": str(scorer.version)})


def scorer_of(context: Context, alias: str) -> ScoringVersion:
    """Return the version that an alias points to now.

    Raises
    ------
    NoModelVersionError
        If the alias is not set.
    """
    models = context.lakehouse.models
    version = models.by_alias(context.use_case.model, alias)
    return ScoringVersion(
        alias=alias, version=version.number, model=models.load(version), registered=version, seen=seen_until(version)
    )


def begin_of(context: Context, scorer: ScoringVersion, end: dt.datetime) -> dt.datetime | None:
    """Return from when on requests are looked for that have no prediction, if nobody says (`window_start`)."""
    made = context.lakehouse.tables.read(context.use_case.table("predictions"))
    # What somebody had scored in hindsight says nothing of how far scoring has come.
    scored = made.where((F.col("alias") == scorer.alias) & made_live())
    return window_start(*scored_span(scored, end), scorer.seen, look_back_days=context.use_case.scoring_look_back_days)


def insert_predictions(
    context: Context,
    scorer: ScoringVersion,
    due: DataFrame,
    *,
    begin: dt.datetime | None,
    end: dt.datetime,
    batch_id: str,
) -> Written:
    """Score the requests that have no prediction of the alias, and insert the predictions: every way of scoring tables ends here.

    Parameters
    ----------
    due
        Rows of the spine, at most one for each request, all due in the window from `begin` to `end`.
    """
    use_case, tables = context.use_case, context.lakehouse.tables
    predictions, key = use_case.table("predictions"), use_case.spine.request_key
    scored = tables.read(predictions).where(F.col("alias") == scorer.alias)
    new = due.join(scored.select(F.col("request_key").alias(key)), on=key, how="left_anti")
    function = scoring_function(use_case)
    model = batch_model(context, scorer.registered, scorer.model, new)
    rows = score_requests(with_inputs(context, new, begin, end), model, function)
    in_hindsight = F.col("prediction_at") < F.lit(scorer.seen) if scorer.seen else F.lit(False)
    return tables.append_once(
        predictions,
        rows.select(
            "request_key", F.lit(scorer.alias).alias("alias"), F.lit(scorer.version).cast("bigint").alias("model_version"),
            "prediction_at", F.lit(context.now).alias("scored_at"), F.lit(batch_id).alias("batch_id"),
            F.lit(versions_read(context, [use_case.spine.table, *feature_tables(context)])).alias("features_version"),
            *function.made, *use_case.kept_columns, *_weights(use_case),
            in_hindsight.alias("hindsight"),
        ),
        batch_id=batch_id,
    )  # fmt: skip


def window_start(
    first: dt.datetime | None, last: dt.datetime | None, seen: dt.datetime | None, *, look_back_days: int
) -> dt.datetime | None:
    """Return from when on requests without a prediction are looked for, if a run does not say.

    Parameters
    ----------
    first, last
        When the oldest and the newest live prediction of the alias fell due; None before the first.
    seen
        The end of what the version was trained and evaluated on; None if it does not say. The first scoring begins there.

    Returns
    -------
    datetime
        None for all requests.
    """
    if first is None or last is None:
        return seen
    return max(first, last - dt.timedelta(days=look_back_days))


def before_the_first_champion(context: Context, alias: str) -> bool:
    """Return whether no version has ever been champion here, and say so; a champion that is gone is not waited for."""
    models, use_case = context.lakehouse.models, context.use_case
    if alias != CHAMPION or models.find_alias(use_case.model, alias) is not None:
        return False
    if any(version.tags.get("verdict") == Outcome.PROMOTE for version in models.versions(use_case.model)):
        return False
    context.say(f"{use_case.name} has no champion in {context.lakehouse.environment.name!r} yet: scoring waits for it")
    return True


def _in_hindsight(context: Context, scorer: ScoringVersion, begin: dt.datetime | None, batch_id: str) -> str:
    """Return how many predictions of a batch monitoring leaves out, and why; empty if none can be."""
    if scorer.seen is None or (begin is not None and begin >= scorer.seen):
        return ""
    stored = context.lakehouse.tables.read(context.use_case.table("predictions"))
    count = stored.where((F.col("batch_id") == batch_id) & F.col("hindsight")).count()
    if not count:
        return ""
    return (
        f"; {count:,} of them in hindsight: the version was trained and evaluated on requests up to {scorer.seen:%Y-%m-%d}, so "
        "monitoring leaves these out"
    )


def _require_requests(context: Context, scorer: ScoringVersion, begin: dt.datetime | None, end: dt.datetime) -> None:
    """Raise if a window that a person named has no request; one whose requests all have predictions is done."""
    if requests(context, begin, end).limit(1).count():
        return
    window = f"no request of {context.use_case.name} falls due {f'from {begin:%Y-%m-%d %H:%M} ' if begin else ''}until {end:%Y-%m-%d %H:%M}"
    first, last = scored_span(
        requests(context, None, dt.datetime.max.replace(tzinfo=dt.UTC)).select(
            F.col(context.use_case.spine.prediction_time).alias("prediction_at")
        ),
        dt.datetime.max.replace(tzinfo=dt.UTC),
    )
    if first is None or last is None:
        raise TaskError(f"{window}, nor at any other time: run {context.use_case.job('features').address} first.")
    known = f"{window}; there are requests from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    name_it = f"--param since={first:%Y-%m-%d} --param until={last + dt.timedelta(days=1):%Y-%m-%d}"
    if scorer.seen is None or last >= scorer.seen:
        raise TaskError(f"{known}: name a window that has some, such as {name_it}.")
    raise TaskError(
        f"{known}, and version {scorer.version} was trained and evaluated on all of them: train with an earlier end and score "
        f"what comes after it, or bring newer requests. To score these in hindsight, which monitoring leaves out: {name_it}."
    )


def _weights(use_case: UseCase) -> tuple[str, ...]:
    """Return the column of the weight, where the request has it already; a label's comes with the label."""
    return (SAMPLE_WEIGHT,) if use_case.weight and use_case.label_columns == ("label",) else ()


def seen_until(version: ModelVersion) -> dt.datetime | None:
    """Return the first instant after what a version was trained and evaluated on; None if its tags do not say."""
    stated = (version.tags.get(name) for name in ("trained_until", EVALUATED_UNTIL, f"source_{EVALUATED_UNTIL}"))
    instants = [dt.datetime.fromisoformat(text) for text in stated if text]
    return max(instants) + dt.timedelta(microseconds=1) if instants else None


def scored_span(scored: DataFrame, end: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return when the oldest and the newest of the predictions before an instant fell due."""
    before = scored.where(F.col("prediction_at") < F.lit(end))
    found = (
        before.agg(F.min("prediction_at").alias("first"), F.max("prediction_at").alias("last")).toArrow().to_pylist()
    )
    first, last = (value.astimezone(dt.UTC) if (value := found[0][name]) else None for name in ("first", "last"))
    return first, last
