"""Rows of the table ``sensors`` for the tests of the lakehouse."""

from datetime import UTC, datetime

import pyarrow as pa

from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.arrow import arrow_schema

KNOWN_AT = datetime(2013, 7, 1, tzinfo=UTC)


def readings(table: Table, *sensors: str, value: float = 1.0) -> pa.Table:
    """Return one row for each sensor, all of one instant."""
    rows = [{"sensor": name, "known_at": KNOWN_AT, "value": value} for name in sensors]
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))
