"""Tables as a scoring or a training read them, by the versions that it recorded; for reading only."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.tables import Tables


class TablesAsOf:
    """Tables as of recorded versions; a table of which none is recorded is read as it is now."""

    def __init__(self, tables: Tables, versions: Mapping[str, int | None]) -> None:
        self._tables, self._versions = tables, versions

    def read(self, table: Table) -> DataFrame:
        """Return the rows as of the recorded version."""
        return self._tables.read(table, version=self._versions.get(table.address))
