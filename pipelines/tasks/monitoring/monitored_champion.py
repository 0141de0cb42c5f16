"""The version that a monitoring run is about: the champion of when the run began."""

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.execution.context import Context
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion


def monitored_champion(context: Context) -> ModelVersion | None:
    """Return the champion of when the run began; None if there was none.

    A run that goes on after its own retraining or delivery moved the alias measures the version before, as it did when it
    was not cut off: its verdict names that version.
    """
    models, model = context.lakehouse.models, context.use_case.model
    champion = models.find_alias(model, CHAMPION)
    if champion is None:
        return None
    verdicts = context.lakehouse.tables.read(context.use_case.table("verdicts"))
    own = verdicts.where((F.col("evaluation_id") == context.run_id) & (F.col("promoted") == champion.number))
    before = own.select("champion").toArrow().to_pylist()
    if not before:
        return champion
    number = before[0]["champion"]
    return None if number is None else models.version(model, number)
