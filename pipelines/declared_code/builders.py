"""Builders are called once on a data frame without rows: what they return has the declared columns and types."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ml.spec.errors import sentence_of
from ml.spec.near_miss import did_you_mean
from pipelines.declarations.asset import Table
from pipelines.declarations.input_checks import CATEGORIES, NUMBERS, provided_by_lookup
from pipelines.declarations.use_case import UseCase
from pipelines.declared_code.loading import CodeError, called
from pipelines.lakehouse.tables.table_schemas import spark_type
from pipelines.scoring.columns import ARROW_TYPES, to_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

UNTYPED = "void"
"""The type of a column that holds nothing but missing values: it fits every declared type."""
NARROW = ("tinyint", "smallint", "float", "decimal")
"""Types that no declared column has and that become numbers without a loss."""


def builder_mistakes(use_case: UseCase, spark: "SparkSession") -> Iterator[str]:
    """Yield what a builder of a feature table or of the labels does not return as declared."""
    for feature in (*use_case.features, use_case.labels):
        where = f"builder of {feature.table.name!r}"
        try:
            types = _built(spark, feature.builder, *(_types(source) for source in feature.sources))
        except CodeError as mistake:
            yield f"{where}: {mistake}"
            continue
        for column in feature.table.columns:
            if column.name not in types:
                near = did_you_mean(column.name, types)
                yield f"{where} returns no column {column.name!r}{f': {near}' if near else '.'} It returns {_list(types)}."
            elif types[column.name] not in (column.type, UNTYPED):
                yield (
                    f"{where} returns {column.name!r} as {types[column.name]}; the table declares it as {column.type}: "
                    "change one of them."
                )


def inputs_builder_mistakes(use_case: UseCase, _spark: "SparkSession") -> Iterator[str]:
    """Yield inputs that neither the spine, a lookup nor the builder provides, or in a type that no estimator takes."""
    try:
        types = _inputs_built(use_case.inputs_builder, _joined(use_case))
    except CodeError as mistake:
        yield f"inputs_builder: {mistake}"
        return
    yield from _weight_mistakes(use_case, types)
    for kind, names, allowed in (
        ("numeric", use_case.numeric_inputs, (*NUMBERS, *NARROW)),
        ("categorical", use_case.categorical_inputs, (*CATEGORIES, *NARROW[:2])),
    ):
        for name in names:
            if name not in types:
                near = did_you_mean(name, types)
                yield (
                    f"{kind} input {name!r} is provided by nobody{f': {near}' if near else '.'} Spine, lookups and "
                    f"inputs_builder provide {_list(types)}."
                )
            elif types[name].partition("(")[0] not in (*allowed, UNTYPED):
                yield f"{kind} input {name!r} is a {types[name]} as built; give one of {', '.join(allowed)}."


def _inputs_built(entry: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns and types of what a builder of inputs makes of no rows.

    Raises
    ------
    CodeError
        If it cannot be imported or called, or returns no data frame of pandas.
    """
    build = called(entry, "rows")
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in columns.items()])
    try:
        built: Any = build(to_frame(schema.empty_table()))
    except Exception as error:
        raise CodeError(f"entry {entry!r} fails on rows with the columns {_list(columns)}: {_short(error)}") from error
    if not isinstance(built, pd.DataFrame):
        raise CodeError(f"entry {entry!r} returns {built!r}; return a data frame of pandas.")
    # A column that it hands on has the type that it came with: without rows, pandas knows no text.
    return {str(name): columns.get(str(name), "") if built[name].dtype == object and name in columns
            else _spark_type(built[name]) for name in built.columns}  # fmt: skip


def _spark_type(column: "pd.Series[Any]") -> str:
    kind = pa.array(column, from_pandas=True).type
    return UNTYPED if pa.types.is_null(kind) else spark_type(kind)


def _weight_mistakes(use_case: UseCase, types: Mapping[str, str]) -> Iterator[str]:
    """Yield why a weight of the request, which every row has before its label, cannot be read."""
    weight = use_case.weight
    if weight is None or use_case.label_columns != ("label",):
        return
    if weight.column not in types:
        near = did_you_mean(weight.column, types)
        yield (
            f"weight: {weight.column!r} is provided by nobody{f': {near}' if near else '.'} Labels, spine, lookups and "
            f"inputs_builder provide {_list(types)}."
        )
    elif types[weight.column].partition("(")[0] not in (*NUMBERS, *NARROW, UNTYPED):
        yield f"weight: {weight.column!r} is a {types[weight.column]} as built; give one of {', '.join(NUMBERS)}."


def _joined(use_case: UseCase) -> dict[str, str]:
    """Return the columns that the builder of inputs is given: the spine's, and what lookups have joined."""
    found = _types(use_case.spine.table)
    for lookup in use_case.lookups:
        stored = _types(lookup.table)
        found |= dict.fromkeys(provided_by_lookup(lookup), "double")
        found |= {name: stored[column] for column, name in lookup.columns.items() if column in stored}
    return found


def _types(table: Table) -> dict[str, str]:
    return {column.name: column.type for column in table.columns}


def _built(spark: "SparkSession", entry: str, *tables: Mapping[str, str]) -> dict[str, str]:
    """Return the columns and types of what a builder makes of no rows.

    Parameters
    ----------
    tables
        The columns and types of each data frame that it is called with.

    Raises
    ------
    CodeError
        If it cannot be imported or called, or returns no data frame.
    """
    build = called(entry, *(f"rows{place}" if place > 1 else "rows" for place in range(1, len(tables) + 1)))
    try:
        built: Any = build(*(_without_rows(spark, columns) for columns in tables))
        return {field.name: field.dataType.simpleString() for field in built.schema.fields}
    except AttributeError as error:
        if "'schema'" not in str(error):
            raise CodeError(f"entry {entry!r} fails: {sentence_of(error)}") from error
        raise CodeError(f"entry {entry!r} returns {built!r}; return a data frame.") from error
    except Exception as error:
        given = "; ".join(_list(columns) for columns in tables)
        raise CodeError(f"entry {entry!r} fails on rows with the columns {given}: {_short(error)}") from error


def _without_rows(spark: "SparkSession", columns: Mapping[str, str]) -> "DataFrame":
    return spark.createDataFrame([], ", ".join(f"`{name}` {kind}" for name, kind in columns.items()))


def _short(error: Exception) -> str:
    """Return the first line of an error: an engine adds its plan."""
    return sentence_of(error).partition(" SQLSTATE")[0][:300]


def _list(names: Mapping[str, str]) -> str:
    return ", ".join(sorted(names)) or "none"
