"""Scores the micro-batches of Structured Streaming: on JVM Spark and on Databricks, by one checkpoint for each alias.

Each run of the query takes what is there and ends (``availableNow``): a continuous stream repeats it. So the version of the
alias, the fence of the lock and the end of the window are those of now in each, a signal never meets a query that has no end,
and it works on serverless compute, where no other trigger is supported
(https://learn.microsoft.com/azure/databricks/compute/serverless/limitations).

Under Spark Connect the function of ``foreachBatch`` runs in a Python process of the server and has to be pickled
(https://learn.microsoft.com/azure/databricks/structured-streaming/foreach), so it holds values only, and opens the tables
on the session that Spark gives it. The write passes the fence of the job's lock there as well.
"""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.errors import sentence_of
from pipelines.command_line.interrupts import stop_if_interrupted
from pipelines.dataframes.training_rows import requests
from pipelines.declarations.standard_tables import CHECKPOINTS
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context, TaskError
from pipelines.execution.locks import Fence, hold
from pipelines.lakehouse.engines.choice import ModelStores, spark_store
from pipelines.lakehouse.guard import WriteGuard
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables.tables import Tables
from pipelines.tasks.predictions.scoring import ScoringVersion, insert_predictions

NO_WORKER = "failed to connect back"
"""What Spark says if the process for the function has not started within ten seconds, as on a busy machine."""
STARTS = 6
WAIT_SECONDS = 1
"""How long the query is waited for before a signal is looked for."""


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Inserts the predictions of the requests that have come in a micro-batch: the function of ``foreachBatch``.

    Attributes
    ----------
    declared
        The fields of the use case, of which it is made again: what is derived from them cannot be pickled.
    fence
        Of the lock of the job, which is passed by each write; None on Databricks.
    """

    declared: dict[str, Any]
    environment: Any
    engine: str
    root: Path | None
    models: ModelStores
    run_id: str
    now: dt.datetime
    scorer: ScoringVersion
    begin: dt.datetime | None
    end: dt.datetime
    batch_id: str
    fence: Fence | None

    def __call__(self, batch: DataFrame, _number: int) -> None:
        """Score the newest row of each request of the batch that is due; a repeated batch inserts nothing."""
        context = self._context(batch)
        key = context.use_case.spine.request_key
        due = requests(context, self.begin, self.end).join(batch.select(key).distinct(), on=key, how="left_semi")
        insert_predictions(context, self.scorer, due, begin=self.begin, end=self.end, batch_id=self.batch_id)

    def _context(self, batch: DataFrame) -> Context:
        spark = batch.sparkSession
        tables, guard = Tables(spark, spark_store(spark, self.environment, self.root)), WriteGuard()
        if self.fence is not None:
            tables.guard = self.fence.writing
        lakehouse = Lakehouse(
            environment=self.environment, engine=self.engine, spark=spark, tables=tables, model_stores=self.models,
            folder=None, guard=guard,
        )  # fmt: skip
        return Context(
            lakehouse=lakehouse, use_case=UseCase(**self.declared), run_id=self.run_id, now=self.now, say=_silently
        )


def score_stream(
    context: Context,
    scorer: ScoringVersion,
    stream: DataFrame,
    *,
    begin: dt.datetime | None,
    end: dt.datetime,
    batch_id: str,
) -> int:
    """Score what has come since the checkpoint; return how many predictions were inserted.

    Raises
    ------
    TaskError
        If the stream cannot go on from its checkpoint.
    """
    lakehouse, use_case = context.lakehouse, context.use_case
    checkpoint = checkpoint_of(context, scorer.alias)
    batch = MicroBatch(
        declared={field.name: getattr(use_case, field.name) for field in fields(use_case)},
        environment=lakehouse.environment, engine=lakehouse.engine,
        root=None if lakehouse.folder is None else lakehouse.folder.parent, models=lakehouse.model_stores,
        run_id=context.run_id, now=context.now, scorer=scorer, begin=begin, end=end, batch_id=batch_id,
        fence=_fence(context),
    )  # fmt: skip
    try:
        query = _started(stream, batch, checkpoint)
        _wait(query)
    except StreamingQueryException as error:
        raise TaskError(
            f"the stream of {use_case.spine.table.address} does not go on from its checkpoint {checkpoint}: "
            f"{sentence_of(error)[:300]}. If maintenance has removed what it had not read, remove that folder and run the "
            "job again: no request is scored twice."
        ) from error
    made = lakehouse.tables.read(use_case.table("predictions")).where(F.col("batch_id") == batch_id)
    return made.count()


def checkpoint_of(context: Context, alias: str) -> Path:
    """Return the folder of the checkpoint of an alias: in the environment's folder, on Databricks in a volume."""
    lakehouse, use_case = context.lakehouse, context.use_case
    if lakehouse.folder is not None:
        return lakehouse.folder / CHECKPOINTS / use_case.name / alias
    schema = use_case.table("predictions").schema
    return Path("/Volumes", lakehouse.environment.catalog, schema, CHECKPOINTS, alias)


def _started(stream: DataFrame, batch: Callable[[DataFrame, int], None], checkpoint: Path) -> Any:
    writer = (
        stream.writeStream.foreachBatch(batch).option("checkpointLocation", str(checkpoint)).trigger(availableNow=True)
    )
    for _ in range(STARTS - 1):
        try:
            return writer.start()
        except PySparkException as error:
            if NO_WORKER not in str(error):
                raise
    return writer.start()


def _wait(query: Any) -> None:
    try:
        while not query.awaitTermination(WAIT_SECONDS):
            stop_if_interrupted()
    except BaseException:  # a signal as well: the query would go on without this process
        with suppress(Exception):  # it has failed, or its server is gone
            query.stop()
        raise


def _fence(context: Context) -> Fence | None:
    """Return the fence of the lock that this run holds; None on Databricks, where a job runs once by its settings."""
    folder, use_case = context.lakehouse.folder, context.use_case
    if folder is None:
        return None
    job = use_case.job("stream").address
    with hold(folder, job, environment=context.lakehouse.environment.name, run_id=context.run_id) as lock:
        return lock.fence


def _silently(_line: str) -> None:
    """Say nothing: nobody watches the process of a micro-batch."""
