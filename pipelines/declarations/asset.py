"""Tables and models as declared: columns, keys, use case. The jobs say which tasks read and write them."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.declarations.mistakes import (
    DeclarationError,
    gathered,
    refuse,
    require_identifier,
    require_types,
    require_unique,
    unknown,
)

TYPES = frozenset({"string", "boolean", "int", "bigint", "double", "date", "timestamp"})
"""The Spark SQL types a declared column may have; both local engines and Databricks agree on them."""


class Layer(StrEnum):
    """The schema of a use case in which an asset is stored; the Unity Catalog schema is ``<use case>_<layer>``.

    A shared feature table is alone in its schema, ``<use case>_shared_<table>``: grants are on schemas, and whoever reads one
    shared table is given that one and nothing else.
    """

    BRONZE = "bronze"
    FEATURES = "features"
    MODELS = "models"
    INFERENCE = "inference"
    MONITORING = "monitoring"
    SHARED = "shared"


OWN_LAYERS = tuple(layer for layer in Layer if layer is not Layer.SHARED)
"""The layers that every use case has."""


def shared_schema(use_case: str, table: str) -> str:
    """Return the schema of a shared feature table."""
    return f"{use_case}_{Layer.SHARED}_{table}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a declared table: a Spark SQL type and whether it may be missing."""

    name: str
    type: str
    nullable: bool = True
    comment: str = ""

    @gathered
    def __post_init__(self) -> None:
        require_types(f"column {self.name!r}", self)
        require_identifier("column", self.name)
        if self.type not in TYPES:
            raise DeclarationError(f"column {self.name!r}: {unknown('type', self.type, TYPES)}")


def column(name: str, kind: str, comment: str = "", *, required: bool = False) -> Column:
    """Return one declared column; `required` means that no row may lack it."""
    return Column(name=name, type=kind, nullable=not required, comment=comment)


def key(name: str, kind: str = "string", comment: str = "") -> Column:
    """Return one column that no row may lack."""
    return column(name, kind, comment, required=True)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One Delta table of a use case.

    Attributes
    ----------
    primary_key
        Columns that identify a row; together with `time_key` if there is one.
    time_key
        The instant from which a row was known. A table with a primary key and a time key is a feature table in
        Unity Catalog (``PRIMARY KEY (entity, known_at TIMESERIES)``).
    """

    use_case: str
    layer: Layer
    name: str
    comment: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    time_key: str | None = None

    @gathered
    def __post_init__(self) -> None:
        require_types(f"table {self.name}", self)
        require_identifier("use case", self.use_case)
        require_identifier("table", self.name)
        names = [column.name for column in self.columns]
        require_unique("column", f"table {self.address}", names)
        refuse(f"table {self.address}: {mistake}" for key in self.row_key if (mistake := self._key_mistake(key, names)))

    @property
    def schema(self) -> str:
        """The schema of the table within its environment's catalog."""
        if self.layer is Layer.SHARED:
            return shared_schema(self.use_case, self.name)
        return f"{self.use_case}_{self.layer}"

    @property
    def address(self) -> str:
        """``schema.table``, the same in every environment."""
        return f"{self.schema}.{self.name}"

    @property
    def is_feature_table(self) -> bool:
        """Whether the table can be joined at a point in time."""
        return bool(self.primary_key) and self.time_key is not None

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that no two rows share: the primary key, and the time key where there is one."""
        return (*self.primary_key, self.time_key) if self.time_key else self.primary_key

    def _key_mistake(self, key: str, names: list[str]) -> str:
        if key not in names:
            return unknown("key column", key, names)
        if self.column(key).nullable:
            return f"key column {key!r} must be declared nullable=False."
        if key == self.time_key and self.column(key).type != "timestamp":
            return f"time_key {key!r} is a {self.column(key).type}; declare it as timestamp."
        return ""

    def column(self, name: str) -> Column:
        """Return one column by name.

        Raises
        ------
        DeclarationError
            If the table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise DeclarationError(f"table {self.address}: {unknown('column', name, [c.name for c in self.columns])}")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One registered model of a use case, named ``<environment>.<use case>_models.<name>`` in the registry."""

    use_case: str
    name: str
    comment: str

    @gathered
    def __post_init__(self) -> None:
        require_identifier("model", self.name)

    @property
    def schema(self) -> str:
        """The schema of the model within its environment's catalog."""
        return f"{self.use_case}_{Layer.MODELS}"

    @property
    def address(self) -> str:
        """``schema.model``, the same in every environment."""
        return f"{self.schema}.{self.name}"
