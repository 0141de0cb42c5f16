"""Task of the scoring job: score each request of a window once, by the version that an alias points to."""

import datetime as dt
import json

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.dataframes.scoring import score_frame
from pipelines.dataframes.training_rows import feature_tables, requests, versions_read, with_inputs
from pipelines.execution.context import Context, TaskResult


def score(context: Context, *, since: dt.datetime | None, until: dt.datetime | None, alias: str) -> TaskResult:
    """Append a prediction for every request of the window that the alias has not predicted yet."""
    use_case, tables = context.use_case, context.lakehouse.tables
    end = context.end_of_window(since, until)
    version = context.lakehouse.models.by_alias(use_case.model, alias)
    predictions = use_case.table("predictions")
    scored = tables.read(predictions).where(F.col("alias") == alias)
    begin = since or _last_prediction(scored)
    asked = requests(context, begin, end)
    if begin is not None:
        scored = scored.where(F.col("prediction_at") >= F.lit(begin))
    key = use_case.spine.request_key
    new = asked.join(scored.select(F.col("request_key").alias(key)), on=key, how="left_anti")
    model = context.lakehouse.models.load(version)
    rows = score_frame(with_inputs(context, new, begin, end), model, inputs=use_case.inputs, problem=use_case.problem)
    window = [begin.isoformat() if begin else "", end.isoformat()]
    batch_id = json.dumps([context.run_id, alias, version.number, *window])
    written = tables.append_once(
        predictions,
        rows.select(
            "request_key", F.lit(alias).alias("alias"), F.lit(version.number).cast("bigint").alias("model_version"),
            "prediction_at", F.lit(context.now).alias("scored_at"), F.lit(batch_id).alias("batch_id"),
            F.lit(versions_read(context, feature_tables(context))).alias("features_version"), "score", *use_case.inputs,
        ),
        batch_id=batch_id,
    )  # fmt: skip
    context.say(f"{alias} version {version.number}: {written.rows:,} predictions up to {end:%Y-%m-%d}")
    return TaskResult(rows=written.rows, values={"model_version": str(version.number)})


def _last_prediction(scored: DataFrame) -> dt.datetime | None:
    last = scored.agg(F.max("prediction_at").alias("last")).toArrow()["last"][0].as_py()
    return None if last is None else last.astimezone(dt.UTC)
