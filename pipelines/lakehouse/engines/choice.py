"""The one place where an engine is chosen: what each gives a lakehouse. Each engine is imported only when opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from pipelines.declarations.environment import Environment
from pipelines.declarations.environment import environment as environment_named

if TYPE_CHECKING:  # the names of the engines are known without loading Spark
    from pyspark.sql import SparkSession

    from pipelines.lakehouse.tables.damage import Files
    from pipelines.lakehouse.tables.store import TableStore


@dataclass(frozen=True, kw_only=True)
class ModelStores:
    """Where runs and models are kept.

    Attributes
    ----------
    tracking, registry
        MLflow URIs.
    artifacts
        URI under which runs store their files; None where the tracking server decides.
    experiments
        What an experiment's name begins with.
    """

    tracking: str
    registry: str
    artifacts: str | None
    experiments: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What one engine gives to one environment: a session, a store of tables, the address of its models."""

    spark: "SparkSession"
    store: "TableStore"
    models: ModelStores


def _embedded(environment: Environment, root: Path) -> Engine:
    from pipelines.lakehouse.engines.embedded import session
    from pipelines.lakehouse.tables.delta_files import DeltaFiles

    spark = session()
    store = DeltaFiles(spark, _folder(environment, root))
    return Engine(spark=spark, store=_guarded(store, environment, root, store.files), models=_local(environment, root))


def _spark(environment: Environment, root: Path) -> Engine:
    from pipelines.lakehouse.engines.jvm import session

    spark = session()
    store = spark_store(spark, environment, root)
    return Engine(spark=spark, store=store, models=_local(environment, root))


def _databricks(environment: Environment, _root: Path) -> Engine:
    from pipelines.lakehouse.engines.databricks import session

    spark = session()
    models = ModelStores(
        tracking="databricks",
        registry="databricks-uc",
        artifacts=None,
        experiments="/lakehouse/experiments/",
    )
    return Engine(spark=spark, store=spark_store(spark, environment, None), models=models)


def spark_store(spark: "SparkSession", environment: Environment, root: Path | None) -> "TableStore":
    """Return the tables of an environment on a session of JVM Spark: that of an engine, or one that Spark itself gives.

    Parameters
    ----------
    root
        The folder of all local environments; None on Databricks.
    """
    from pipelines.lakehouse.tables.delta_sql import DeltaSql

    if root is None:
        return DeltaSql.in_catalog(spark, environment.catalog)
    return _guarded(DeltaSql.in_folder(spark, _folder(environment, root)), environment, root, None)


ENGINES: Mapping[str, Callable[[Environment, Path], Engine]] = MappingProxyType(
    {"embedded": _embedded, "spark": _spark, "databricks": _databricks}
)
LOCAL = frozenset({"embedded", "spark"})
"""The engines whose tables and models are in a folder of this machine."""


def _folder(environment: Environment, root: Path) -> Path:
    from pipelines.lakehouse.tables.paths import plain_folder

    return plain_folder(root) / environment.catalog / "tables"


def _guarded(store: "TableStore", environment: Environment, root: Path, files: "Files | None") -> "TableStore":
    from pipelines.lakehouse.tables.damage import GuardedStore

    shown = root / environment.catalog / "tables"
    return cast("TableStore", GuardedStore(store, _folder(environment, root), shown, files=files))


def local_stores(name: str, root: Path) -> ModelStores:
    """Return where the runs and models of a local environment are kept, without starting an engine."""
    from pipelines.lakehouse.tables.paths import usable_folder

    return _local(environment_named(name), usable_folder(root))


def _local(environment: Environment, root: Path) -> ModelStores:
    from pipelines.lakehouse.tables.paths import plain_folder

    plain = plain_folder(root)
    (plain / environment.catalog).mkdir(exist_ok=True)
    return ModelStores(
        tracking=f"sqlite:///{plain / environment.catalog / 'mlflow.db'}",
        registry=f"sqlite:///{plain / 'registry.db'}",
        # Stored with each run, so by its lasting name.
        artifacts=(root / environment.catalog / "artifacts").as_uri(),
        experiments="",
    )
