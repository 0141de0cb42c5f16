"""Tables are read as a scoring or a training had read them."""

import datetime as dt
from pathlib import Path

from pipelines.declarations.asset import Table
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.lakehouse.tables.as_of import TablesAsOf

NOON = dt.datetime(2013, 3, 1, 12, tzinfo=dt.UTC)


def test_a_table_is_read_as_of_its_recorded_version(tmp_path: Path, sensors: Table) -> None:
    """One that had not been written has no rows; one of which nothing is recorded is as it is now."""
    with open_lakehouse("dev", root=tmp_path) as opened:
        tables = opened.tables
        for number in (1, 2):
            row = {"sensor": f"s{number}", "known_at": NOON, "value": float(number)}
            tables.append_once(sensors, records(sensors, [row]), batch_id=f"b{number}")
        newest = tables.version(sensors)
        assert newest is not None
        for versions, expected in (({sensors.address: newest - 1}, 1), ({sensors.address: None}, 0), ({}, 2)):
            assert TablesAsOf(tables, versions).read(sensors).count() == expected
