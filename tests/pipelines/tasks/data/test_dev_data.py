"""Dev never stores what its sources must not give it: every byte of its store is searched for planted values."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.declarations.environment_data import (
    DataKind,
    EnvironmentData,
    Redaction,
    RedactionRule,
)
from pipelines.declarations.source import Source
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.context import Context, TaskError
from pipelines.execution.jobs import run_and_record
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.tasks.data.redaction_key import key_file, redaction_key
from pipelines.use_cases.flight_delay import sources as readers
from tests.pipelines.flight_files import write, write_all
from tests.pipelines.tasks.ingested_flights import FEBRUARY, FLIGHT_DELAY

PLANTED = tuple(f"Persona-Plantada-{number}" for number in (7041, 7042, 7043, 7044))
"""In the place of registrations: by them the aircraft, and so its owner, can be told. The last one is where a number should be."""
BEGUN = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
HASH, DROP, GENERALIZE = RedactionRule.HASH, RedactionRule.DROP, RedactionRule.GENERALIZE
FURTHER = {
    "schedule": (Redaction(column="distance", rule=GENERALIZE, to=100.0),),
    "aircraft": (
        Redaction(column="manufacturer", rule=DROP),
        Redaction(column="built", rule=GENERALIZE, to=10),
        Redaction(column="seats", rule=GENERALIZE, to=50),
    ),
}


def received(source: Source, further: Sequence[Redaction] = ()) -> Source:
    """The source with its registrations as personal data, hashed for dev."""
    if "tailnum" not in [column.name for column in source.table.columns]:
        return source
    stated = (Redaction(column="tailnum", rule=HASH), *further)
    names = [one.column for one in stated]
    keep = tuple(column.name for column in source.table.columns if column.name not in names)
    data = EnvironmentData(kind=DataKind.REDACTED, keep=keep, redactions=stated)
    return replace(source, personal=("tailnum",), data={"dev": data})


REDACTED = replace(
    FLIGHT_DELAY, sources=tuple(received(one, FURTHER.get(one.name, ())) for one in FLIGHT_DELAY.sources)
)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Callable[[UseCase], None]:
    """Let jobs find a use case as changed."""
    return lambda use_case: monkeypatch.setattr(jobs, "use_case", lambda _name: use_case)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Iterator[Lakehouse]:
    """An empty dev environment."""
    with open_lakehouse("dev", root=tmp_path / "lakehouse") as opened:
        yield opened


def deliver(folder: Path) -> str:
    """Write flights and aircraft of planted registrations: good rows, broken ones, one twice, one that contradicts."""
    folder.mkdir(exist_ok=True)
    write_all(
        folder,
        *({"flight": str(number), "tailnum": PLANTED[number % 3]} for number in range(12)),
        {"flight": "100", "tailnum": PLANTED[0], "distance": "far"},
        {"flight": "101", "tailnum": PLANTED[1], "origin": "BOS"},
        {"flight": "3", "tailnum": PLANTED[2], "distance": "1"},
        {"flight": "102", "tailnum": PLANTED[2], "arr_delay": "9999"},
    )
    write(
        folder,
        "planes.csv",
        *({"tailnum": name, "year": "2004"} for name in (*PLANTED[:3], PLANTED[0])),
        {"tailnum": "N9", "seats": PLANTED[3]},
    )
    return str(folder)


def features(lakehouse: Lakehouse, use_case: UseCase, location: str, until: dt.datetime = FEBRUARY) -> bool:
    """Run the features job; return whether it succeeded."""
    given = {"since": BEGUN.isoformat(), "until": until.isoformat(), "location": location}
    return run_and_record(lakehouse, use_case.job("features"), given, now=until).succeeded


def found_in(folder: Path, words: Sequence[str]) -> list[str]:
    """Return the files that have one of the words in their bytes or, as Parquet is compressed, in their values."""
    found = []
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        text = file.read_bytes()
        if file.suffix == ".parquet":
            text += str(pq.read_table(file).to_pydict()).encode()
        found += [f"{file.name}: {word}" for word in words if word.encode() in text]
    return found


def test_no_byte_of_dev_has_a_planted_value(
    lakehouse: Lakehouse, declared: Callable[[UseCase], None], tmp_path: Path
) -> None:
    """Neither bronze nor features, quarantine, counts, runs, logs; and the search finds them where dev has real data."""
    declared(REDACTED)
    assert features(lakehouse, REDACTED, deliver(tmp_path / "files"))
    assert lakehouse.folder is not None
    assert lakehouse.tables.read(REDACTED.table("quarantine")).count() >= 4
    assert lakehouse.tables.read(REDACTED.table("tail_history")).count() > 0
    assert found_in(lakehouse.folder, PLANTED) == []
    assert found_in(lakehouse.folder.parent, PLANTED) == []
    declared(FLIGHT_DELAY)
    with open_lakehouse("dev", root=tmp_path / "real") as real:
        assert features(real, FLIGHT_DELAY, str(tmp_path / "files"))
    names = {one.partition(": ")[2] for one in found_in(tmp_path / "real", PLANTED)}
    assert names == set(PLANTED)


def test_keys_join_across_sources_and_with_features(
    lakehouse: Lakehouse, declared: Callable[[UseCase], None], tmp_path: Path
) -> None:
    """Three registrations are three everywhere, the same in each table; what is generalized is."""
    declared(REDACTED)
    assert features(lakehouse, REDACTED, deliver(tmp_path / "files"))

    def values(address: str, column: str) -> set[object]:
        return set(lakehouse.tables.read(REDACTED.table(address)).toArrow()[column].to_pylist())

    hashed = values("flight_delay_bronze.schedule", "tailnum")
    assert len(hashed) == 3
    for table in (
        "flight_delay_bronze.arrivals",
        "flight_delay_bronze.aircraft",
        "tail_history",
        "flight_delay_features.aircraft",
    ):
        assert values(table, "tailnum") == hashed
    assert values("flight_delay_bronze.schedule", "distance") == {700.0}
    assert values("flight_delay_bronze.aircraft", "manufacturer") == {None}
    assert values("flight_delay_bronze.aircraft", "built") == {2000}


def test_the_same_delivery_again_is_nothing_new(
    lakehouse: Lakehouse, declared: Callable[[UseCase], None], tmp_path: Path
) -> None:
    """The hash of a value does not change between runs, so a batch is recognised."""
    declared(REDACTED)
    location = deliver(tmp_path / "files")
    assert features(lakehouse, REDACTED, location)
    before = lakehouse.tables.version(REDACTED.table("flight_delay_bronze.schedule"))
    assert features(lakehouse, REDACTED, location)
    assert lakehouse.tables.version(REDACTED.table("flight_delay_bronze.schedule")) == before


def failing(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Fail as parsers do: with the value in the message."""
    raise ValueError(f"could not convert {PLANTED[0]!r} from {location}, {since} to {until}")


def in_parts(location: str, since: dt.datetime, until: dt.datetime) -> Iterator[pa.RecordBatch]:
    """Deliver the aircraft in batches of one row, then fail."""
    rows = readers.read_aircraft(location, since, until)
    yield from rows.to_batches(max_chunksize=1)
    raise ValueError(f"could not read {PLANTED[0]!r}")


@pytest.mark.parametrize("reader", ["failing", "in_parts"])
def test_what_a_reader_says_when_it_fails_is_not_recorded(
    lakehouse: Lakehouse, declared: Callable[[UseCase], None], tmp_path: Path, reader: str
) -> None:
    """An error of a run is stored; of this one only the kind is."""
    sources = tuple(
        replace(one, reader=f"{__name__}:{reader}") if one.name == "aircraft" else one for one in REDACTED.sources
    )
    use_case = replace(REDACTED, sources=sources)
    declared(use_case)
    assert not features(lakehouse, use_case, deliver(tmp_path / "files"))
    assert lakehouse.folder is not None
    assert found_in(lakehouse.folder, PLANTED) == []
    errors = [
        row["error"] for row in lakehouse.tables.read(use_case.table("runs")).toArrow().to_pylist() if row["error"]
    ]
    assert any(
        "the reader of source aircraft failed with ValueError; what it said is left out" in one for one in errors
    )


def made_up(since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Aircraft that nobody owns."""
    assert since < until
    return pa.table({
        "tailnum": ["N1", "N2"], "registered_at": ["2012-12-01T00:00:00Z"] * 2, "built": ["2001", "2002"],
        "manufacturer": ["MADE UP"] * 2, "engines": ["2", "2"], "seats": ["100", "120"],
    })  # fmt: skip


def test_synthetic_data_is_made_and_the_feed_is_not_read(
    lakehouse: Lakehouse, declared: Callable[[UseCase], None], tmp_path: Path
) -> None:
    """The reader would fail; the contract holds for made-up rows as for real ones."""
    synthetic = EnvironmentData(kind=DataKind.SYNTHETIC, generator=f"{__name__}:made_up")
    sources = tuple(
        replace(one, reader=f"{__name__}:failing", data={"dev": synthetic}) if one.name == "aircraft" else one
        for one in REDACTED.sources
    )
    use_case = replace(REDACTED, sources=sources)
    declared(use_case)
    assert features(lakehouse, use_case, deliver(tmp_path / "files"))
    rows = lakehouse.tables.read(use_case.table("flight_delay_bronze.aircraft")).toArrow()
    assert set(rows["tailnum"].to_pylist()) == {"N1", "N2"}


def test_other_environments_receive_what_is_delivered(declared: Callable[[UseCase], None], tmp_path: Path) -> None:
    """Redaction is of dev alone."""
    declared(REDACTED)
    location = deliver(tmp_path / "files")
    with open_lakehouse("prod", root=tmp_path / "lakehouse") as prod:
        assert features(prod, REDACTED, location)
        stored = prod.tables.read(REDACTED.table("flight_delay_bronze.schedule")).toArrow()
        assert set(stored["tailnum"].to_pylist()) == set(PLANTED[:3])


def test_the_key_is_made_once_and_lies_beside_the_environment(lakehouse: Lakehouse) -> None:
    """Readable by its user alone; an environment that hashes nothing has none; a short one is refused."""
    context = Context(lakehouse=lakehouse, use_case=REDACTED, run_id="r", now=FEBRUARY, say=lambda _line: None)
    assert redaction_key(replace(context, use_case=FLIGHT_DELAY)) == b""
    assert not key_file(context).exists()
    key = redaction_key(context)
    assert len(key) == 64
    assert redaction_key(context) == key
    assert key_file(context).stat().st_mode & 0o777 == 0o600
    assert lakehouse.folder is not None
    assert not key_file(context).is_relative_to(lakehouse.folder)
    key_file(context).write_bytes(b"short")
    with pytest.raises(TaskError, match="has 5 bytes and hashes need a key of 32 or more"):
        redaction_key(context)


def test_another_key_is_another_dev(lakehouse: Lakehouse, declared: Callable[[UseCase], None], tmp_path: Path) -> None:
    """Two environments share no hash, so rows of one say nothing about the other."""
    declared(REDACTED)
    location = deliver(tmp_path / "files")
    assert features(lakehouse, REDACTED, location)
    with open_lakehouse("dev", root=tmp_path / "second") as second:
        assert features(second, REDACTED, location)
        names = [
            set(one.tables.read(REDACTED.table("tail_history")).toArrow()["tailnum"].to_pylist())
            for one in (lakehouse, second)
        ]
    assert not names[0] & names[1]
