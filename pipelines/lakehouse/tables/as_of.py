"""Tables as a scoring or a training read them, by the versions that it recorded; for reading only."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.tables import Tables


class TablesAsOf:
    """Tables as of recorded versions; a table of which none is recorded is read as it is now.

    Parameters
    ----------
    versions
        Address to the version; None for a table that had not been written.
    """

    def __init__(self, tables: Tables, versions: Mapping[str, int | None]) -> None:
        self._tables, self._versions = tables, versions

    def read(self, table: Table) -> DataFrame:
        """Return the rows as of the recorded version."""
        rows = self._tables.read(table, version=self._versions.get(table.address))
        unwritten = self._versions.get(table.address, 0) is None
        return rows.where(F.lit(False)) if unwritten else rows
