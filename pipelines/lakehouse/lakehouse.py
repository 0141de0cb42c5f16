"""Opens one environment on one engine and gives one object: a Spark session, tables, models."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.declarations.environment import Environment, environment
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.lakehouse.engines.choice import ENGINES, LOCAL, ModelStores
from pipelines.lakehouse.guard import WriteGuard

if TYPE_CHECKING:  # a wrong name is refused before Spark is loaded
    from pyspark.sql import SparkSession

    from pipelines.lakehouse.registry.models import Models
    from pipelines.lakehouse.tables.tables import Tables


@dataclass(frozen=True, kw_only=True)
class Lakehouse:
    """One environment opened on one engine.

    Attributes
    ----------
    environment
        Whose tables and models these are.
    engine
        The name of the engine, one of `pipelines.lakehouse.engines.choice.ENGINES`.
    spark
        A Spark Connect session with UTC as its time zone; local engines share it between environments.
    tables
        The environment's Delta tables.
    folder
        Where a local environment is; None on Databricks.
    guard
        What every write to tables and registry passes.
    """

    environment: Environment
    engine: str
    spark: "SparkSession"
    tables: "Tables"
    model_stores: ModelStores
    folder: Path | None = None
    guard: WriteGuard = field(default_factory=WriteGuard)

    @cached_property
    def models(self) -> "Models":
        """The environment's runs and registered models; MLflow is loaded at the first use."""
        from pipelines.lakehouse.registry.models import Models

        return Models(environment=self.environment, stores=self.model_stores, guard=self.guard)


@contextmanager
def open_lakehouse(name: str, *, engine: str = "embedded", root: Path = Path("lakehouse")) -> Iterator[Lakehouse]:
    """Open an environment; the engine is started on first use and kept until the process ends.

    Parameters
    ----------
    name
        ``dev``, ``staging`` or ``prod``.
    engine
        ``embedded``, ``spark`` or ``databricks``.
    root
        The folder of all local environments; not used on Databricks.

    Yields
    ------
    Lakehouse
        Ready to read and write.

    Raises
    ------
    DeclarationError
        If the environment or the engine does not exist, with the nearest name.
    EngineUnavailableError
        If the engine cannot start here, with what is missing.
    FolderError
        If the folder cannot hold an environment; nothing was written.
    """
    opened = environment(name)
    if engine not in ENGINES:
        raise DeclarationError(unknown("engine", engine, ENGINES))
    from pipelines.lakehouse.tables.paths import usable_folder

    parts = ENGINES[engine](opened, usable_folder(root) if engine in LOCAL else root)
    from pipelines.lakehouse.tables.tables import Tables

    tables, guard = Tables(parts.spark, parts.store), WriteGuard()
    tables.guard = guard
    yield Lakehouse(
        environment=opened,
        engine=engine,
        spark=parts.spark,
        tables=tables,
        model_stores=parts.models,
        folder=root.resolve() / opened.catalog if engine in LOCAL else None,
        guard=guard,
    )
