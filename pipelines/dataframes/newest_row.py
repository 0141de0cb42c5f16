"""The instant of the newest row of a feature table."""

import datetime as dt

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.arrow import in_utc
from pipelines.lakehouse.tables.tables import Tables


def newest_row(tables: Tables, table: Table, *, before: dt.datetime | None = None) -> dt.datetime | None:
    """Return the instant of the newest row of a feature table, in UTC; None if it has none or was never written.

    Parameters
    ----------
    before
        Later rows do not count; None for no bound.
    """
    if not tables.exists(table):
        return None
    rows, known = tables.read(table), F.col(str(table.time_key))
    if before is not None:
        rows = rows.where(known < F.lit(before))
    found = rows.agg(F.max(known).alias("newest")).toArrow()["newest"][0].as_py()
    return None if found is None else in_utc(found)
