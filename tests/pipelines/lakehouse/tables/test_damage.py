"""Every damage of a table is one sentence with the table, the place, the time and a remedy that works, and is not repeated."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.declarations.asset import Table
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.tables.checksums import require_checksum
from pipelines.lakehouse.tables.damage import TableDamageError, UnsupportedTableError
from tests.pipelines.lakehouse.readings import readings

FEATURES = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking", "domainMetadata"]}
LATER = {"minReaderVersion": 9, "minWriterVersion": 9}


@pytest.fixture
def place(embedded_lakehouse: Lakehouse, tmp_path: Path, sensors: Table) -> Path:
    """The folder of a table with two appended batches, versions 1 and 2."""
    for number, name in enumerate("ab"):
        embedded_lakehouse.tables.append_once(sensors, readings(sensors, name), batch_id=str(number))
    return tmp_path / "dev" / "tables" / sensors.schema / sensors.name


def opened_again(root: Path) -> Lakehouse:
    """Return the environment without what was opened before; a wait for another writer fails the test."""
    with open_lakehouse("dev", root=root) as lakehouse:

        def no_repeat(_: float) -> None:
            pytest.fail("damage was taken for a conflict")

        lakehouse.tables._wait = no_repeat
        return lakehouse


def commit(place: Path, version: int) -> Path:
    """Return the file of a commit."""
    return place / "_delta_log" / f"{version:020}.json"


def file_of(place: Path, version: int) -> Path:
    """Return the Parquet file that a commit added."""
    actions = map(json.loads, commit(place, version).read_text().splitlines())
    return next(place / action["add"]["path"] for action in actions if "add" in action)


def uses(lakehouse: Lakehouse, table: Table) -> tuple[Callable[[], object], ...]:
    """Return every kind of use of a table."""
    tables = lakehouse.tables
    return (
        lambda: tables.version(table),
        lambda: tables.read(table),
        lambda: tables.history(table),
        lambda: tables.append_once(table, readings(table, "c"), batch_id="new"),
        lambda: tables.merge(table, readings(table, "a")),
    )


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def _zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize(("damage", "said"), [(_empty, "empty"), (_torn, "torn"), (_zeros, "torn")])
def test_a_damaged_newest_commit_is_refused_before_anything_is_decided(
    damage: Callable[[Path], None], said: str, place: Path, tmp_path: Path, sensors: Table
) -> None:
    """The remedy of the sentence restores the version before, and the lost batch can be written again."""
    damage(commit(place, 2))
    lakehouse = opened_again(tmp_path)
    for use in uses(lakehouse, sensors):
        with pytest.raises(
            TableDamageError, match=rf"table \S+: the commit of version 2 \(\S+ \S+ UTC\) is {said},"
        ) as refused:
            use()
        assert refused.value.exit_code != 0
        assert not refused.value.retry_helps
        assert "\n" not in str(refused.value)
    assert not commit(place, 3).exists()
    (command,) = re.findall(r"`(mv .*)`", str(refused.value))
    subprocess.run(shlex.split(command), check=True)
    again = opened_again(tmp_path).tables
    assert again.version(sensors) == 1
    assert again.append_once(sensors, readings(sensors, "b"), batch_id="1").rows == 1
    assert sorted(row["sensor"] for row in again.read(sensors).collect()) == ["a", "b"]


@pytest.mark.parametrize(("damage", "said"), [(_empty, "empty"), (Path.unlink, "missing")])
def test_damage_in_the_middle_of_a_log_is_refused(
    damage: Callable[[Path], None], said: str, place: Path, tmp_path: Path, sensors: Table
) -> None:
    """An empty commit that others followed hides rows as well."""
    damage(commit(place, 1))
    lakehouse = opened_again(tmp_path)
    for use in uses(lakehouse, sensors):
        with pytest.raises(
            TableDamageError, match=rf"the commit of version 1\b.* is {said}, and later ones build on it"
        ):
            use()


def _missing(file: Path) -> None:
    file.unlink()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize(("damage", "said"), [(_missing, "is missing"), (_cut, r"has 100 bytes instead of [\d,]+")])
def test_a_missing_or_cut_file_is_refused_when_the_table_is_read(
    damage: Callable[[Path], None], said: str, place: Path, tmp_path: Path, sensors: Table
) -> None:
    """Not when its rows are computed; the remedy restores the version before the file, and older versions can be read."""
    damage(file_of(place, 2))
    tables = opened_again(tmp_path).tables
    for use in (lambda: tables.read(sensors), lambda: tables.merge(sensors, readings(sensors, "b"))):
        with pytest.raises(
            TableDamageError, match=rf"the file \S+ of version 2 \(\S+ \S+ UTC\) {said}: restore"
        ) as refused:
            use()
    assert tables.read(sensors, version=1).count() == 1
    (command,) = re.findall(r"`(.*)`", str(refused.value))
    subprocess.run(shlex.split(command), check=True)
    assert [row["sensor"] for row in opened_again(tmp_path).tables.read(sensors).collect()] == ["a"]


def test_one_changed_bit_in_a_file_is_found(place: Path, tmp_path: Path, sensors: Table) -> None:
    """Its size is the same, and so are the rows that a reader would find."""
    flip(file_of(place, 2))
    for use in (lambda tables: tables.read(sensors), lambda tables: tables.read(sensors, version=2)):
        with pytest.raises(TableDamageError, match=r"of version 2 .* has other bytes than its checksums say: restore"):
            use(opened_again(tmp_path).tables)


def test_checksums_are_kept_of_the_files_that_are_there(
    place: Path, embedded_lakehouse: Lakehouse, sensors: Table
) -> None:
    """The next write completes those that a killed process has left out and removes those of files that are gone."""
    first, second = file_of(place, 1), file_of(place, 2)
    beside = [file.with_name(f".{file.name}.crc") for file in (first, second)]
    assert [path.exists() for path in beside] == [True, True]
    beside[1].unlink()
    (place / ".gone.parquet.crc").touch()
    embedded_lakehouse.tables.append_once(sensors, readings(sensors, "c"), batch_id="next")
    assert {path.name for path in place.glob(".*")} == {f".{path.name}.crc" for path in place.glob("*.parquet")}
    assert require_checksum(second) == ""


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.jvm
def test_each_engine_compares_the_checksums_of_the_other(jvm_spark: object, tmp_path: Path, sensors: Table) -> None:
    """They are of one form; JVM Spark compares when rows are computed."""
    assert jvm_spark
    with (
        open_lakehouse("dev", root=tmp_path) as embedded,
        open_lakehouse("dev", engine="spark", root=tmp_path) as jvm,
    ):
        for lakehouse, name in ((embedded, "a"), (jvm, "b")):
            lakehouse.tables.append_once(sensors, readings(sensors, name), batch_id=name)
        assert jvm.tables.read(sensors).count() == embedded.tables.read(sensors).count() == 2
        place = tmp_path / "dev" / "tables" / sensors.schema / sensors.name
        flip(file_of(place, 2))
        with pytest.raises(TableDamageError, match="has other bytes than its checksums say"):
            embedded.tables.read(sensors)
        flip(file_of(place, 2))
        # JVM Spark names the file, not the reason: only the checksums are changed, so it is they that refuse the file.
        file = file_of(place, 1)
        checksums = file.with_name(f".{file.name}.crc")
        sound = checksums.read_bytes()
        checksums.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        with pytest.raises(Exception, match=rf"FAILED_READ_FILE.*{file.name}|(?i:checksum)"):
            jvm.tables.read(sensors).collect()
        checksums.write_bytes(sound)
        assert jvm.tables.read(sensors).count() == 2


def protocol(place: Path, stated: dict[str, object]) -> None:
    """Commit a later protocol as version 3."""
    commit(place, 3).write_text(json.dumps({"protocol": stated}) + "\n")


def test_a_feature_that_cannot_be_written_is_said_once(place: Path, tmp_path: Path, sensors: Table) -> None:
    """It is no conflict, so the write is not repeated; reading goes on."""
    protocol(place, FEATURES)
    tables = opened_again(tmp_path).tables
    assert tables.read(sensors).count() == 2
    for use in uses(opened_again(tmp_path), sensors)[3:]:
        with pytest.raises(
            UnsupportedTableError, match=r"since version 3 \(.*RowTracking.*: use --engine spark, drop the"
        ):
            use()
    assert not commit(place, 4).exists()


def test_a_later_protocol_is_refused_by_every_use(place: Path, tmp_path: Path, sensors: Table) -> None:
    """The sentence says since when."""
    protocol(place, LATER)
    for use in uses(opened_again(tmp_path), sensors):
        with pytest.raises(
            UnsupportedTableError, match=r"since version 3 \(.* minimum reader version 9\): use --engine spark"
        ):
            use()


def test_a_sound_table_is_left_alone(place: Path, tmp_path: Path, sensors: Table) -> None:
    """A table that does not exist is none that is damaged."""
    lakehouse = opened_again(tmp_path)
    assert commit(place, 2).exists()
    for use in uses(lakehouse, sensors):
        use()
    assert lakehouse.tables.version(sensors) == 4
    with open_lakehouse("staging", root=tmp_path) as other:
        assert other.tables.version(sensors) is None
        assert other.tables.history(sensors) == ()
