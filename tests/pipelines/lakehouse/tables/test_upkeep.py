"""Maintenance makes a table smaller; what is young or kept reads the same, and writers go on."""

import datetime as dt
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.declarations.asset import Layer, Table, column, key
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.tables.delta_upkeep import LOG
from pipelines.lakehouse.tables.tables import Tables

NOW = dt.datetime.now(dt.UTC)
YEARS_AGO = NOW - dt.timedelta(days=4_000)
COUNTS = Table(
    use_case="tests", layer=Layer.BRONZE, name="counts", comment="how often", primary_key=("name",),
    columns=(key("name"), column("count", "bigint")),
)  # fmt: skip


def write(tables: Tables, number: int) -> int:
    """Add a row and change another by two commits; return the version."""
    tables.append_once(COUNTS, pa.table({"name": [f"n{number}"], "count": [0]}), batch_id=str(number))
    tables.merge(COUNTS, pa.table({"name": ["n0"], "count": [number]}))
    return int(tables.version(COUNTS) or 0)


def rows(tables: Tables, version: int | None = None) -> list[dict[str, object]]:
    """The rows of a version, sorted."""
    found = tables.read(COUNTS, version=version).toArrow().to_pylist()
    return sorted(found, key=lambda row: row["name"])


def folder(root: Path) -> Path:
    """The folder of the table."""
    return root / "dev" / "tables" / COUNTS.schema / COUNTS.name


def age(root: Path, days: float) -> None:
    """Let everything that the table has now be so many days old."""
    then = (NOW - dt.timedelta(days=days)).timestamp()
    for file in folder(root).rglob("*"):
        os.utime(file, (then, then))


@settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    ages=st.lists(st.integers(0, 60).filter(lambda age: age != 30), min_size=2, max_size=5).map(
        lambda ages: sorted(ages, reverse=True)
    ),
    kept=st.sets(st.integers(0, 14), max_size=3),
    again=st.booleans(),
)
def test_what_is_young_or_kept_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, ages: Sequence[int], kept: set[int], again: bool
) -> None:
    """Also after the next write and a second maintenance; nothing else can be read any more, and its files are gone."""
    root = tmp_path_factory.mktemp("upkeep")
    days = 30
    before = NOW - dt.timedelta(days=days)
    with open_lakehouse("dev", root=root) as lakehouse:
        tables, made = lakehouse.tables, dict[int, int]()
        for number, old in enumerate(ages):
            for version in range(0 if number == 0 else max(made) + 1, write(tables, number) + 1):
                made[version] = old
            _age_new(root, made, old)
        newest = max(made)
        young = {version for version, old in made.items() if old < days}
        oldest = max((version for version, old in made.items() if old >= days), default=0)
        needed = {v for v in kept if v <= newest} | young | {oldest}
        expected = {version: rows(tables, version) for version in needed}
        for _ in range(1 + again):
            done = tables.maintain(COUNTS, before=before, keep=kept)
            assert done is not None
            assert set(done.kept) == {version for version in kept if version < oldest}
        write(tables, 99)
        with open_lakehouse("dev", root=root) as fresh:
            assert {version: rows(fresh.tables, version) for version in needed} == expected
        logged = {int(file.name[:20]) for file in (folder(root) / LOG).glob("0*")}
        assert {version for version in logged if version < oldest} == {v for v in kept if v < oldest}


def _age_new(root: Path, made: dict[int, int], days: int) -> None:
    """Let what was written since the last call be so many days old."""
    then = (NOW - dt.timedelta(days=days)).timestamp()
    for file in folder(root).rglob("*"):
        if file.stat().st_mtime > NOW.timestamp() - 1 and (days or not made):
            os.utime(file, (then, then))


def test_files_and_log_become_few(tmp_path: Path) -> None:
    """Twenty old batches leave one data file, the newest commits and a checkpoint."""
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        for number in range(10):
            write(lakehouse.tables, number)
        lakehouse.tables.maintain(COUNTS, before=YEARS_AGO, keep=())
        age(tmp_path, 40)
        done = lakehouse.tables.maintain(COUNTS, before=NOW - dt.timedelta(days=30), keep=())
        assert done is not None
        assert done.files
        assert done.commits == 21
        assert len(list(folder(tmp_path).glob("*.parquet"))) == 1
        assert len(list((folder(tmp_path) / LOG).iterdir())) <= 4
        assert len(rows(lakehouse.tables)) == 10


def test_a_young_file_that_no_commit_names_stays(tmp_path: Path) -> None:
    """It belongs to a write that is under way; an old one was left by a write that was cut off."""
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        write(lakehouse.tables, 0)
        young, old = folder(tmp_path) / "young.parquet", folder(tmp_path) / "old.parquet"
        for file in (young, old):
            file.touch()
        os.utime(old, (1, 1))
        lakehouse.tables.maintain(COUNTS, before=NOW - dt.timedelta(days=7), keep=())
        assert young.exists()
        assert not old.exists()


def test_a_writer_at_the_same_time_loses_nothing(tmp_path: Path) -> None:
    """Whoever commits second repeats; a compaction that never gets through is left to the next maintenance."""
    with open_lakehouse("dev", root=tmp_path) as lakehouse, open_lakehouse("dev", root=tmp_path) as other:
        write(lakehouse.tables, 0)
        writer = threading.Thread(target=lambda: [write(other.tables, number) for number in range(1, 9)])
        writer.start()
        while writer.is_alive():
            lakehouse.tables.maintain(COUNTS, before=YEARS_AGO, keep=())
        writer.join()
        expected = [{"name": "n0", "count": 8}, *({"name": f"n{n}", "count": 0} for n in range(1, 9))]
        assert rows(lakehouse.tables) == expected


def test_a_compaction_that_always_loses_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is None, not an error."""
    from deltalake.exceptions import CommitFailedError

    def lost(*_: object, **__: object) -> None:
        raise CommitFailedError("another writer was faster")

    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        write(lakehouse.tables, 0)
        tables = lakehouse.tables
        monkeypatch.setattr(tables._store, "maintain", lost)
        monkeypatch.setattr(tables, "_wait", lambda _: None)
        assert tables.maintain(COUNTS, before=YEARS_AGO, keep=()) is None


@pytest.mark.proof_on_jvm
def test_every_engine_maintains_and_keeps(lakehouse: Lakehouse) -> None:
    """The kept version and the newest one read the same afterwards, also after the next write, on both local engines."""
    for number in range(3):
        write(lakehouse.tables, number)
    expected = rows(lakehouse.tables, 3), rows(lakehouse.tables)
    assert lakehouse.tables.maintain(COUNTS, before=NOW - dt.timedelta(days=30), keep=(3,)) is not None
    assert (rows(lakehouse.tables, 3), rows(lakehouse.tables)) == expected
    write(lakehouse.tables, 3)  # on the checkpoint that maintenance has made
    assert len(rows(lakehouse.tables)) == 4


def test_versions_before_a_checkpoint_can_be_read(tmp_path: Path) -> None:
    """After more than a hundred commits `deltalake` has made one by itself."""
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        lakehouse.tables.create(COUNTS)
        for number in range(102):
            lakehouse.tables._store.append(
                COUNTS, pa.table({"name": [f"n{number:03}"], "count": [number]}), str(number), 1
            )
        assert any((folder(tmp_path) / LOG).glob("*.checkpoint.parquet"))
        assert [len(rows(lakehouse.tables, version)) for version in (40, 102)] == [40, 102]


def test_changes_are_recorded_once_asked_for_and_the_rows_stay(engine: str, tmp_path: Path) -> None:
    """By one commit where an engine has a feed of changes, by none where its log says what was added."""
    with open_lakehouse("dev", engine=engine, root=tmp_path) as lakehouse:
        tables = lakehouse.tables
        write(tables, 1)
        before = rows(tables)
        for _ in range(2):
            tables.record_changes(COUNTS)
        assert rows(tables) == before
        set_by = [one.operation for one in tables.history(COUNTS) if "PROPERTIES" in one.operation]
        assert set_by == ([] if engine == "embedded" else ["SET TBLPROPERTIES"])
        write(tables, 2)
        assert len(rows(tables)) == len(before) + 1
