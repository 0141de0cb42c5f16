"""Tables on both local engines: rows are read as they were written, once, as declared, or nothing is written."""

import functools
import json
import math
import shutil
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from pipelines.declarations.asset import Column, Layer, Table
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables import delta_files
from pipelines.lakehouse.tables.arrow import arrow_schema
from pipelines.lakehouse.tables.table_schemas import DuplicateKeysError, SchemaMismatchError, former, require_stored
from pipelines.lakehouse.tables.tables import NoKeyError, NoTableVersionError, Tables

MIDNIGHT = datetime(2013, 7, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    """Return an instant by its hours since a midnight in UTC."""
    return MIDNIGHT + timedelta(hours=hours)


def rows(table: Table, *values: dict[str, Any]) -> pa.Table:
    """Return rows with a key and a time for each that has none, and missing values for all else."""
    filled = [{"sensor": "a", "known_at": at(place), **given} for place, given in enumerate(values)]
    return pa.Table.from_pylist(filled, schema=arrow_schema(table))


def stored(lakehouse: Lakehouse, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return the stored rows by key and time, as the given columns."""
    found = lakehouse.tables.read(table).toArrow().to_pylist()
    found.sort(key=lambda row: (row["sensor"], row["known_at"]))
    return [tuple(row[column] for column in columns) for row in found]


def log_actions(root: Path, table: Table, version: int) -> list[dict[str, Any]]:
    """Return the actions of one commit in the Delta log."""
    log = root / "dev" / "tables" / table.schema / table.name / "_delta_log" / f"{version:020}.json"
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_values_are_the_same_on_every_engine(lakehouse: Lakehouse, sensors: Table) -> None:
    """Times are in UTC to the microsecond, and the limits of each type come back as they went in."""
    written = [
        {"sensor": "a", "known_at": datetime(2013, 3, 10, 7, 30, 0, 1, tzinfo=UTC), "active": True, "floor": 2**31 - 1,
         "serial": 2**63 - 1, "value": 0.1 + 0.2, "installed_on": date(2012, 2, 29)},
        {"sensor": "b", "known_at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "active": False,
         "floor": -(2**31), "serial": -(2**63), "value": -math.inf, "installed_on": date(1970, 1, 1)},
        {"sensor": "ü 'q' \"", "known_at": datetime(2013, 11, 3, 6, 30, tzinfo=UTC), "active": None, "floor": None,
         "serial": None, "value": None, "installed_on": None},
    ]  # fmt: skip
    lakehouse.tables.append_once(sensors, rows(sensors, *written), batch_id="limits")
    found = lakehouse.tables.read(sensors).toArrow()
    assert sorted(found.to_pylist(), key=lambda row: str(row["sensor"])) == written
    assert found.column_names == [column.name for column in sensors.columns]


@pytest.mark.proof_on_jvm
def test_every_kind_of_rows_is_accepted(lakehouse: Lakehouse, sensors: Table) -> None:
    """Arrow, pandas and Spark rows are the same rows; pandas may leave the order of columns and the zone out."""
    arrow = rows(sensors, {"floor": 3, "value": 1.5, "serial": 9})
    pandas = pd.DataFrame(
        {"value": [1.5], "floor": pd.array([3], "Int32"), "serial": [9], "sensor": ["b"], "active": [None],
         "installed_on": [None], "known_at": [pd.Timestamp("2013-07-01")]}
    )  # fmt: skip
    lakehouse.tables.append_once(sensors, arrow, batch_id="arrow")
    lakehouse.tables.append_once(sensors, pandas, batch_id="pandas")
    spark = lakehouse.tables.read(sensors).where("sensor = 'a'").withColumn("sensor", F.lit("c"))
    lakehouse.tables.append_once(sensors, spark, batch_id="spark")
    columns = ("sensor", "known_at", "floor", "value", "serial", "active")
    assert stored(lakehouse, sensors, *columns) == [(s, at(0), 3, 1.5, 9, None) for s in "abc"]


@pytest.mark.proof_on_jvm
def test_a_batch_is_added_once_however_often_it_is_written(lakehouse: Lakehouse, sensors: Table) -> None:
    """Two batches, written again in turns, are added once each; a skipped write says so and what it once brought."""
    first, second = rows(sensors, {"floor": 1}, {"floor": 2}), rows(sensors, {"sensor": "b", "floor": 3})
    order = (("one", first), ("two", second), ("one", first), ("two", second), ("one", first))
    outcomes = [lakehouse.tables.append_once(sensors, batch, batch_id=name) for name, batch in order]
    assert [(outcome.rows, outcome.version, outcome.skipped) for outcome in outcomes] == [
        (2, 1, False), (1, 2, False), (2, outcomes[2].version, True), (1, 2, True), (2, outcomes[4].version, True)
    ]  # fmt: skip
    assert stored(lakehouse, sensors, "floor") == [(1,), (2,), (3,)]
    assert [(c.version, c.batch_id) for c in lakehouse.tables.history(sensors)] == [(2, "two"), (1, "one"), (0, None)]
    assert all(
        abs((commit.at - datetime.now(UTC)).total_seconds()) < 3600 for commit in lakehouse.tables.history(sensors)
    )


@pytest.mark.proof_on_jvm
def test_a_crash_after_the_commit_does_not_add_the_batch_twice(
    lakehouse: Lakehouse, sensors: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit that adds the rows has the batch's mark, so a retry finds it."""
    store = lakehouse.tables._store
    append = store.append

    def power_cut(*arguments: Any) -> None:
        append(*arguments)
        raise RuntimeError("power cut")

    monkeypatch.setattr(store, "append", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one")
    monkeypatch.undo()
    assert lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one").skipped
    assert stored(lakehouse, sensors, "floor") == [(1,)]
    actions = log_actions(tmp_path, sensors, 1)
    assert [commit.batch_id for commit in lakehouse.tables.history(sensors)] == ["one", None]
    assert sum("add" in action for action in actions) == 1


def test_a_crash_before_the_commit_leaves_the_batch_to_be_written(
    embedded_lakehouse: Lakehouse, sensors: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry writes a batch whose commit never happened."""

    def power_cut(*_: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(embedded_lakehouse.tables._store, "append", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        embedded_lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one")
    monkeypatch.undo()
    assert embedded_lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one").rows == 1
    assert stored(embedded_lakehouse, sensors, "floor") == [(1,)]


def test_a_merge_replaces_rows_of_the_same_key_and_adds_the_others(lakehouse: Lakehouse, sensors: Table) -> None:
    """The key is the primary key with the time key; the same merge again changes no row."""
    lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}, {"floor": 2, "value": 2.0}), batch_id="one")
    update = rows(sensors, {"known_at": at(1), "floor": 20}, {"floor": 30, "known_at": at(7)}, {"sensor": "b"})
    for _ in range(2):
        assert lakehouse.tables.merge(sensors, update).rows == 3
        expected = [("a", 1, None), ("a", 20, None), ("a", 30, None), ("b", None, None)]
        assert stored(lakehouse, sensors, "sensor", "floor", "value") == expected


def test_duplicate_keys_are_refused_with_the_keys(lakehouse: Lakehouse, sensors: Table) -> None:
    """The error shows the duplicate key and no other; nothing is written."""
    twice = rows(sensors, {"floor": 1}, {"floor": 2, "known_at": at(0)}, {"sensor": "b"})
    for write in (
        lambda: lakehouse.tables.merge(sensors, twice),
        lambda: lakehouse.tables.append_once(sensors, twice, batch_id="twice"),
    ):
        with pytest.raises(DuplicateKeysError, match=r"sensor=a, known_at=2013-07-01 00:00.*Keep one row") as refused:
            write()
        assert "sensor=b" not in str(refused.value)
    assert not lakehouse.tables.exists(sensors)


@pytest.mark.proof_on_jvm
def test_everything_that_breaks_the_declaration_is_named_at_once(lakehouse: Lakehouse, sensors: Table) -> None:
    """One message lists missing, undeclared and wrongly typed columns and missing values; nothing is written."""
    lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="good")
    bad = rows(sensors, {"floor": 5}, {"floor": 6}).drop_columns(["value", "sensor"])
    bad = bad.append_column("sensor", pa.array([None, "a"], pa.string())).append_column("colour", pa.array(["r", "g"]))
    bad = bad.set_column(bad.column_names.index("floor"), "floor", pa.array([5, 6], pa.int64()))
    message = (
        "table tests_features.sensors: rows do not fit the declaration, nothing was written: column 'value' is missing "
        "(declared double); column 'colour' is not declared; column 'floor' is bigint, declared int; column 'sensor' "
        "has no value in 1 of 2 rows. Correct the rows or the declaration."
    )
    for write in (
        lambda: lakehouse.tables.append_once(sensors, bad, batch_id="bad"),
        lambda: lakehouse.tables.merge(sensors, lakehouse.spark.createDataFrame(bad)),
    ):
        with pytest.raises(SchemaMismatchError) as refused:
            write()
        assert str(refused.value) == message
    assert lakehouse.tables.version(sensors) == 1
    assert stored(lakehouse, sensors, "floor") == [(1,)]


def test_one_undeclared_column_is_enough_to_refuse(embedded_lakehouse: Lakehouse, sensors: Table) -> None:
    """Sail alone would accept the rows and drop the column."""
    extra = rows(sensors, {"floor": 1}).append_column("colour", pa.array(["red"]))
    with pytest.raises(SchemaMismatchError, match=r"column 'colour' is not declared\. Correct"):
        embedded_lakehouse.tables.append_once(sensors, extra, batch_id="extra")
    assert not embedded_lakehouse.tables.exists(sensors)


@pytest.mark.proof_on_jvm
def test_a_window_is_replaced_and_nothing_else(lakehouse: Lakehouse, sensors: Table) -> None:
    """The start is inside the window, the end is not. Sail's own partition overwrite would empty the table."""
    lakehouse.tables.append_once(sensors, rows(sensors, *({"floor": hour} for hour in range(6))), batch_id="all")
    new = rows(sensors, {"known_at": at(2), "floor": 200}, {"known_at": at(3.5), "floor": 350})
    outcome = lakehouse.tables.overwrite_window(sensors, new, column="known_at", start=at(2), end=at(4))
    assert (outcome.rows, outcome.version) == (2, 2)
    assert stored(lakehouse, sensors, "floor") == [(0,), (1,), (200,), (350,), (4,), (5,)]
    nothing = rows(sensors)
    lakehouse.tables.overwrite_window(sensors, nothing, column="known_at", start=at(0), end=at(1))
    assert stored(lakehouse, sensors, "floor")[0] == (1,)


def test_rows_outside_their_window_are_refused(lakehouse: Lakehouse, sensors: Table) -> None:
    """A later run of the window would not replace them."""
    outside = rows(sensors, {"known_at": at(2)}, {"known_at": at(4)}, {"known_at": at(1)})
    with pytest.raises(SchemaMismatchError, match="2 of 3 rows lie outside the window"):
        lakehouse.tables.overwrite_window(sensors, outside, column="known_at", start=at(2), end=at(4))
    assert not lakehouse.tables.exists(sensors)


@pytest.mark.proof_on_jvm
def test_a_table_is_read_as_of_a_version(lakehouse: Lakehouse, sensors: Table) -> None:
    """A read is fixed to the version at the time of the call, and that version is recorded."""
    tables = lakehouse.tables
    assert tables.read(sensors).toArrow().num_rows == 0
    assert tables.versions_read == {sensors.address: None}
    assert tables.read(sensors).columns == [column.name for column in sensors.columns]
    tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one")
    before = tables.read(sensors)
    tables.append_once(sensors, rows(sensors, {"sensor": "b"}), batch_id="two")
    assert (before.count(), tables.read(sensors).count(), tables.read(sensors, version=1).count()) == (1, 2, 1)
    assert tables.versions_read == {sensors.address: 1}
    with pytest.raises(NoTableVersionError, match=r"has no version 3: versions 0 to 2 exist"):
        tables.read(sensors, version=3)


@pytest.mark.proof_on_jvm
def test_an_empty_batch_adds_nothing(lakehouse: Lakehouse, sensors: Table) -> None:
    """However often it is written."""
    assert [lakehouse.tables.append_once(sensors, rows(sensors), batch_id="none").rows for _ in range(2)] == [0, 0]


@pytest.mark.proof_on_jvm
def test_a_row_whose_key_the_table_has_is_left_out_of_any_later_batch(lakehouse: Lakehouse, sensors: Table) -> None:
    """The declared key holds over the whole table, not within a batch only."""
    lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one")
    two = rows(sensors, {"floor": 2}, {"sensor": "it's b", "known_at": at(0), "floor": 3})
    assert lakehouse.tables.append_once(sensors, two, batch_id="two").rows == 1
    three = rows(sensors, {"sensor": "it's b", "known_at": at(0), "floor": 4})
    assert lakehouse.tables.append_once(sensors, three, batch_id="three").rows == 0
    assert stored(lakehouse, sensors, "sensor", "floor") == [("a", 1), ("it's b", 3)]


@pytest.mark.proof_on_jvm
def test_a_table_without_a_key_takes_every_row(lakehouse: Lakehouse, sensors: Table) -> None:
    """Once for each batch."""
    keyless = replace(sensors, primary_key=(), time_key=None)
    for batch in ("one", "two", "one"):
        lakehouse.tables.append_once(keyless, rows(keyless, {"floor": 1}), batch_id=batch)
    assert stored(lakehouse, keyless, "floor") == [(1,), (1,)]


def test_two_inserts_of_one_new_key_conflict_and_the_slower_one_leaves_it_out(
    embedded_lakehouse: Lakehouse, sensors: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writer commits after this one has read the table and before it commits."""
    tables = embedded_lakehouse.tables
    tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="first")
    original, other = delta_files._same_key, []

    def meanwhile(*arguments: Any) -> str:
        if not other:
            theirs = rows(sensors, {"sensor": "b", "floor": 2})
            write = functools.partial(tables.append_once, sensors, theirs, batch_id="other")
            other.append(threading.Thread(target=write))
            other[0].start()
            other[0].join()
        return original(*arguments)

    monkeypatch.setattr(delta_files, "_same_key", meanwhile)
    late = rows(sensors, {"sensor": "b", "floor": 3}, {"sensor": "c", "floor": 3})
    assert tables.append_once(sensors, late, batch_id="late").rows == 1
    assert stored(embedded_lakehouse, sensors, "sensor", "floor") == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.proof_on_jvm
def test_no_key_is_doubled_by_writers_at_the_same_time(lakehouse: Lakehouse, sensors: Table) -> None:
    """Four writers insert the same twenty keys, each under a batch of its own."""
    lakehouse.tables.create(sensors)
    same = rows(sensors, *({"sensor": f"s{number}"} for number in range(20)))
    brought: list[int] = []

    def write(number: int) -> None:
        brought.append(lakehouse.tables.append_once(sensors, same, batch_id=str(number)).rows)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(stored(lakehouse, sensors, "sensor")) == 20
    assert 20 in brought


@pytest.mark.proof_on_jvm
def test_writers_at_the_same_time_all_succeed(lakehouse: Lakehouse, sensors: Table) -> None:
    """Merges that conflict are repeated; a batch from several writers is added once."""
    lakehouse.tables.append_once(sensors, rows(sensors, {"floor": 0}), batch_id="first")
    failed: list[Exception] = []

    def write(number: int) -> None:
        try:
            lakehouse.tables.merge(sensors, rows(sensors, {"floor": number}, {"sensor": f"w{number}"}))
            lakehouse.tables.append_once(sensors, rows(sensors, {"sensor": "batch"}), batch_id="same")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert [name for (name,) in stored(lakehouse, sensors, "sensor")] == ["a", "batch", "w1", "w2", "w3"]


def wider(table: Table, *, nullable: bool = True) -> Table:
    """The table, declared with one more column, after the first."""
    first, *others = table.columns
    return replace(table, columns=(first, Column(name="colour", type="string", nullable=nullable), *others))


@pytest.mark.proof_on_jvm
def test_a_column_declared_later_is_missing_in_earlier_rows_and_stored_in_later_ones(
    lakehouse: Lakehouse, sensors: Table
) -> None:
    """Before the first write with it, after each kind of write, and in earlier versions of the table."""
    tables, now = lakehouse.tables, wider(sensors)
    tables.append_once(sensors, rows(sensors, {"sensor": "old"}, {"sensor": "older"}), batch_id="1")
    assert tables.read(now).columns == [column.name for column in now.columns]
    assert stored(lakehouse, now, "sensor", "colour") == [("old", None), ("older", None)]
    red = {"colour": "red"}
    tables.append_once(now, rows(now, {"sensor": "appended", **red}), batch_id="2")
    tables.merge(now, rows(now, {"sensor": "old", **red}))
    assert stored(lakehouse, now, "sensor", "colour") == [("appended", "red"), ("old", "red"), ("older", None)]
    before = tables.read(now, version=1).select("sensor", "colour").toArrow().to_pylist()
    assert {row["colour"] for row in before} == {None}
    assert len(before) == 2


@pytest.mark.proof_on_jvm
def test_a_window_is_overwritten_with_a_column_declared_later(lakehouse: Lakehouse, sensors: Table) -> None:
    """Rows outside the window stay."""
    tables, now = lakehouse.tables, wider(sensors)
    tables.append_once(sensors, rows(sensors, {"sensor": "a"}, {"sensor": "c", "known_at": at(30)}), batch_id="1")
    red = rows(now, {"sensor": "b", "colour": "red"})
    tables.overwrite_window(now, red, column="known_at", start=at(0), end=at(24))
    assert stored(lakehouse, now, "sensor", "colour") == [("b", "red"), ("c", None)]


def test_a_required_column_declared_later_is_refused(embedded_lakehouse: Lakehouse, sensors: Table) -> None:
    """The rows that exist have no value for it."""
    embedded_lakehouse.tables.create(sensors)
    required = wider(sensors, nullable=False)
    with pytest.raises(
        SchemaMismatchError, match=r"older than its declaration.*'colour' is missing \(declared string\)"
    ):
        embedded_lakehouse.tables.append_once(required, rows(required, {"colour": "red"}), batch_id="1")


@pytest.mark.proof_on_jvm
@pytest.mark.parametrize(
    ("layer", "name"),
    [(Layer.FEATURES, "training_set"), (Layer.INFERENCE, "predictions"), (Layer.INFERENCE, "answers")],
)
def test_an_input_that_is_declared_no_more_stays_in_the_tables_that_keep_inputs(
    lakehouse: Lakehouse, sensors: Table, layer: Layer, name: str
) -> None:
    """Rows that are there keep it, rows that are appended, merged or replaced have no value in it, and reading leaves it out."""
    tables, now = lakehouse.tables, replace(sensors, layer=layer, name=name)
    before = wider(now)
    red = {"colour": "red"}
    tables.append_once(
        before, rows(before, {"sensor": "a", **red}, {"sensor": "b", **red}, {"sensor": "c", "known_at": at(30), **red}), batch_id="1"
    )  # fmt: skip
    tables.append_once(now, rows(now, {"sensor": "d"}), batch_id="2")
    tables.merge(now, rows(now, {"sensor": "a"}))
    tables.overwrite_window(
        now, rows(now, {"sensor": "c", "known_at": at(31)}), column="known_at", start=at(24), end=at(48)
    )
    assert tables.read(now).columns == [column.name for column in now.columns]
    assert stored(lakehouse, before, "sensor", "colour") == [("a", None), ("b", "red"), ("c", None), ("d", None)]
    assert {row["colour"] for row in tables.read(before, version=1).toArrow().to_pylist()} == {"red"}


@pytest.mark.parametrize("name", ["readings", "predictions"])
def test_any_other_table_refuses_a_column_that_is_declared_no_more(
    embedded_lakehouse: Lakehouse, sensors: Table, name: str
) -> None:
    """A column of a source that was renamed must not go on without values, whatever its table is called; the remedies are named."""
    feed = replace(sensors, layer=Layer.BRONZE, name=name)
    embedded_lakehouse.tables.append_once(wider(feed), rows(wider(feed), {"colour": "red"}), batch_id="1")
    with pytest.raises(
        SchemaMismatchError, match=r"'colour' is not declared\. Keep the columns as they were; or, on this"
    ):
        embedded_lakehouse.tables.append_once(feed, rows(feed, {"sensor": "b"}), batch_id="2")


@pytest.mark.parametrize(("name", "kind"), [("_rescued", "string"), ("tags", "array<string>")])
def test_a_column_that_no_declaration_has_had_is_no_former_input(sensors: Table, name: str, kind: str) -> None:
    """Somebody has added it by hand: reading goes on, and a write names it."""
    predictions = replace(sensors, layer=Layer.INFERENCE, name="predictions")
    stored_columns = [*((one.name, one.type) for one in predictions.columns), (name, kind)]
    assert former(predictions, stored_columns) == ()
    with pytest.raises(SchemaMismatchError, match=f"'{name}' is not declared"):
        require_stored(predictions, stored_columns)


def test_a_table_is_created_once_with_what_is_declared(lakehouse: Lakehouse, sensors: Table) -> None:
    """Creating an existing table changes nothing."""
    for _ in range(2):
        lakehouse.tables.create(sensors)
    assert [commit.version for commit in lakehouse.tables.history(sensors)] == [0]
    assert lakehouse.tables.read(sensors).dtypes == [(column.name, column.type) for column in sensors.columns]


def test_only_a_table_with_a_key_can_be_merged(embedded_lakehouse: Lakehouse, sensors: Table) -> None:
    """The error says what to declare."""
    keyless = replace(sensors, primary_key=(), time_key=None)
    with pytest.raises(NoKeyError, match="has no primary key to merge by: declare one, or append"):
        embedded_lakehouse.tables.merge(keyless, rows(keyless, {"floor": 1}))


def test_a_writer_gives_up_after_eight_conflicts(embedded_lakehouse: Lakehouse, sensors: Table) -> None:
    """The waits between the attempts grow, and the conflict itself is raised."""
    store = embedded_lakehouse.tables._store
    attempts: list[int] = []
    waits: list[float] = []

    def lose() -> None:
        attempts.append(1)
        raise ConnectionAbortedError("another was faster")

    class Losing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def append(self, *_: Any) -> None:
            lose()

        def is_conflict(self, error: Exception) -> bool:
            return isinstance(error, ConnectionAbortedError)

    tables = Tables(embedded_lakehouse.spark, Losing(), wait=waits.append)
    with pytest.raises(ConnectionAbortedError, match="another was faster"):
        tables.append_once(sensors, rows(sensors, {"floor": 1}), batch_id="one")
    assert len(attempts) == len(waits) + 1 == 8
    assert all(later > earlier for earlier, later in zip(waits, waits[2:], strict=False))


def test_a_table_that_was_removed_and_made_again_is_another_one(
    embedded_lakehouse: Lakehouse, sensors: Table, tmp_path: Path
) -> None:
    """Whatever number the file system gives to its folder, and whether it has fewer commits or as many."""
    for lives in (5, 1, 1, 3, 5):
        for number in range(lives):
            embedded_lakehouse.tables.merge(sensors, rows(sensors, {"sensor": f"s{number}"}))
        found = stored(embedded_lakehouse, sensors, "sensor")
        assert sorted(found) == [(f"s{number}",) for number in range(lives)]
        shutil.rmtree(tmp_path / "dev" / "tables" / sensors.schema / sensors.name)
