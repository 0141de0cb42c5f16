"""A source of trips with a contract, and deliveries that differ from a good row; shared by the tests of sources."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pyarrow as pa

from pipelines.declarations.asset import Layer, Table, column, key
from pipelines.declarations.delivery import Delivered
from pipelines.declarations.source import Rule, Source
from pipelines.sources.contract import check

BEGIN, END = dt.datetime(2013, 1, 1, tzinfo=dt.UTC), dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
TABLE = Table(
    use_case="trial", layer=Layer.BRONZE, name="trips", comment="", primary_key=("trip",), time_key="at",
    columns=(key("trip"), key("at", "timestamp"), column("seats", "int"), column("fare", "double"),
             column("paid", "boolean"), column("on_day", "date"), column("places", "bigint")),
)  # fmt: skip
SOURCE = Source(
    name="trips", reader="none:none", table=TABLE,
    rules=(Rule(column="fare", minimum=0, maximum=100), Rule(column="trip", allowed=("a", "b", "c"))),
)  # fmt: skip
GOOD = {"trip": "a", "at": "2013-01-01T10:00:00Z", "seats": "4", "fare": "12.5", "paid": "true", "on_day": "2013-01-01",
        "places": "7"}  # fmt: skip


def delivery(*rows: dict[str, object]) -> pa.Table:
    """A delivery of the good row, changed as each argument says."""
    return pa.table({name: pa.array([{**GOOD, **row}[name] for row in rows], pa.string()) for name in GOOD})


def reasons(*rows: dict[str, object]) -> list[str]:
    """The reasons why rows of a delivery break the contract."""
    return list(check(delivery(*rows), SOURCE).broken["reasons"].to_pylist())


def delivered(name: str, values: pa.Array, *how: Delivered, **options: Any) -> tuple[Source, pa.Table]:
    """A source of one column of the trips, declared with these options, and a delivery of it."""
    table = replace(TABLE, columns=(replace(TABLE.column(name), nullable=True),), primary_key=(), time_key=None)
    return Source(name="trips", reader="none:none", table=table, delivered=how, **options), pa.table({name: values})
