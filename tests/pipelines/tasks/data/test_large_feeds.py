"""A feed larger than memory: read in parts, checked, quarantined and written as a whole delivery is, never held as a whole."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from ml.spec.errors import LakehouseError
from pipelines.declarations.source import Corrections, Rule
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context, TaskError
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.sources import parts
from pipelines.sources.contract import check
from pipelines.sources.parts import parts_of
from pipelines.tasks.data.delivery_parts import frame_parts
from pipelines.tasks.data.ingest import ingest
from tests.pipelines.own_data_guide import parcels_module
from tests.pipelines.use_case_runs import rows_of

ROOT = Path(__file__).parents[4]
LIMIT_MIB = 120
"""By so much may the peak memory of a process grow while it ingests."""
BEGUN, UNTIL = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
Reader = Callable[[str, dt.datetime, dt.datetime], Any]


@pytest.fixture(scope="module")
def parcels() -> Iterator[ModuleType]:
    """The examples of the guide."""
    with parcels_module() as module:
        yield module


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 40 rows."""
    monkeypatch.setattr(parts, "PART_ROWS", 40)


def delivery(rows: int = 150) -> pa.Table:
    """Parcels as text: every tenth too heavy, one without a depot, one twice in the same way and one with another weight."""
    number = [*range(rows), 3, 5]
    weight = ["99" if n % 10 == 0 else f"{n % 20 + 1}" for n in number[:-1]] + ["19"]
    return pa.table(
        {
            "parcel": [f"p{n}" for n in number],
            "accepted_at": [(BEGUN + dt.timedelta(hours=n)).isoformat() for n in number],
            "depot": [None if n == 7 else f"d{n % 3}" for n in number],
            "kilograms": weight,
        }
    )


def declared_with(parcels: ModuleType, reader: Reader, **changes: Any) -> UseCase:
    """Return the use case of the guide with another reader of its requests; its other feed is empty."""
    vars(parcels).update(large=reader, nothing=lambda *_: delivery(0).slice(0, 0).select(["parcel"]))
    spine, deliveries = parcels.USE_CASE.sources
    empty = pa.table({name: pa.array([], pa.string()) for name in ("parcel", "delivered_at", "depot", "hours")})
    vars(parcels)["nothing"] = lambda *_: empty
    return replace(
        parcels.USE_CASE,
        sources=(replace(spine, reader="parcels:large", **changes), replace(deliveries, reader="parcels:nothing")),
    )


def ingested(lakehouse: Lakehouse, declared: UseCase, said: list[str] | None = None) -> Context:
    """Ingest a month and return the context."""
    say = (said if said is not None else []).append
    context = Context(lakehouse=lakehouse, use_case=declared, run_id="r1", now=UNTIL, say=say)
    ingest(context, since=BEGUN, until=UNTIL, location="")
    return context


def contents(lakehouse: Lakehouse, declared: UseCase) -> tuple[list[Any], list[Any], int, int]:
    """Return what is kept, the quarantined rows with their reasons, and how many were read and are new."""
    kept = sorted(
        (r["parcel"], r["accepted_at"], r["depot"], r["kilograms"])
        for r in rows_of(lakehouse, declared, "parcels_bronze.parcels")
    )
    broken = sorted((r["row"], r["reasons"]) for r in rows_of(lakehouse, declared, "quarantine"))
    counts = [row for row in rows_of(lakehouse, declared, "ingests") if row["source"] == "parcels"]
    return kept, broken, sum(row["rows_read"] for row in counts), sum(row["rows_new"] for row in counts)


def without(rows: list[Any], parcel: str) -> list[Any]:
    """The rows of all other parcels."""
    return [row for row in rows if row[0] != parcel]


def no_repeats(broken: list[Any]) -> list[Any]:
    """Quarantined rows and reasons but for the parcels that the delivery has twice."""
    return [(row, reasons) for row, reasons in broken if json.loads(row)["parcel"] not in ("p3", "p5")]


def batches(*_: object) -> Iterator[pa.RecordBatch]:
    """The delivery as record batches of 25 rows."""
    yield from delivery().to_batches(max_chunksize=25)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 7))
def test_parts_have_the_rows_of_their_batches_in_order(sizes: list[int], rows: int) -> None:
    """Every part but the last is full, whatever the batches are."""
    whole = pa.table({"n": list(range(sum(sizes)))})
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    found = list(parts_of((whole.slice(start, size) for start, size in zip(starts, sizes, strict=True)), rows))
    assert [n for part in found for n in part["n"].to_pylist()] == list(range(sum(sizes)))
    assert all(part.num_rows == rows for part in found[:-1])
    assert all(0 < part.num_rows <= rows for part in found[-1:])


def test_a_slice_of_a_delivery_is_judged_by_its_own_rows(parcels: ModuleType) -> None:
    """Instants and texts of the middle of a table, which Arrow keeps in one piece with the rows before them."""
    source = parcels.USE_CASE.sources[0]
    found = check(delivery().slice(70, 60), source)
    assert found.kept.to_pylist() == [
        row for row in check(delivery(), source).kept.to_pylist() if 70 <= int(row["parcel"][1:]) < 130
    ]


@pytest.mark.proof_on_jvm
@pytest.mark.parametrize("kind", ["batches", "frame"])
def test_parts_end_in_the_rows_of_a_whole_delivery(
    lakehouse: Lakehouse, parcels: ModuleType, tmp_path: Path, kind: str
) -> None:
    """The same rows are kept and the same are quarantined, a contradiction too; the same again brings nothing new."""

    def frame(*_: object) -> Any:
        return lakehouse.spark.createDataFrame(delivery())

    with open_lakehouse("dev", root=tmp_path / "whole") as other:
        expected_from = declared_with(parcels, lambda *_: delivery())
        ingested(other, expected_from)
        kept, broken, read, _ = contents(other, expected_from)
    declared = declared_with(parcels, batches if kind == "batches" else frame)
    ingested(lakehouse, declared)
    found = contents(lakehouse, declared)
    # Of two rows with one key a table has a first one, a data frame has none: it keeps the least.
    assert without(found[0], "p5") == without(kept, "p5")
    assert [row[0] for row in found[0]] == [row[0] for row in kept]
    if kind == "batches":
        assert found[0] == kept
    assert found[2:] == (read, len(kept))
    # What comes twice is one row; a whole delivery quarantines the second one, a further part brings nothing new by it.
    assert no_repeats(found[1]) == no_repeats(broken)
    assert len(no_repeats(broken)) == 16
    said: list[str] = []
    ingested(lakehouse, declared, said)
    assert contents(lakehouse, declared) == found
    assert any("0 new" in line for line in said if line.startswith("parcels"))


def test_a_data_frame_comes_in_parts_on_every_engine(engine: str, request: pytest.FixtureRequest) -> None:
    """Every row of it is in one part, and rows of one key are in the same."""
    whole = delivery()
    spark = request.getfixturevalue("jvm_spark" if engine == "spark" else "embedded_spark")
    found = list(frame_parts(spark.createDataFrame(whole), ["parcel"], 80))
    assert len(found) == 2
    assert min(part.num_rows for part in found) > 40
    rows = [row for part in found for row in part.to_pylist()]
    assert sorted(rows, key=str) == sorted(whole.to_pylist(), key=str)
    first, second = (set(part["parcel"].to_pylist()) for part in found)
    assert not first & second


@pytest.mark.proof_on_jvm
def test_a_delivery_that_breaks_off_counts_as_not_delivered_and_is_completed_by_the_next_run(
    lakehouse: Lakehouse, parcels: ModuleType
) -> None:
    """Rows of the parts that came are there; no count says so; the run that is repeated has each row once."""
    lost = [True]

    def torn(*_: object) -> Iterator[pa.RecordBatch]:
        for place, batch in enumerate(batches()):
            if place == 4 and lost:
                raise ConnectionError("the feed is gone")
            yield batch

    declared = declared_with(parcels, torn)
    with pytest.raises(ConnectionError):
        ingested(lakehouse, declared)
    kept, _, read, _ = contents(lakehouse, declared)
    assert (len(kept) > 50, read) == (True, 0)
    lost.clear()
    ingested(lakehouse, declared)
    found = contents(lakehouse, declared)
    assert found[2:] == (152, len(found[0]))
    assert len({row[0] for row in found[0]}) == len(found[0]) == 134
    assert len(set(found[1])) == len(found[1])


@pytest.mark.proof_on_jvm
def test_the_quarantine_of_all_parts_is_one_alarm(lakehouse: Lakehouse, parcels: ModuleType) -> None:
    """The limit is for the delivery, not for a part; a run to the same end says it again."""
    declared = declared_with(parcels, batches, quarantine_limit=0.1)
    for _ in range(2):
        with pytest.raises(TaskError, match=r"source parcels: 1\d of 152 rows \(1\d%\) are quarantined"):
            ingested(lakehouse, declared)
    assert len(contents(lakehouse, declared)[0]) == 134


def test_a_corrected_declaration_keeps_what_it_had_put_into_quarantine(
    lakehouse: Lakehouse, parcels: ModuleType
) -> None:
    """Of the same parts in the same window; once more nothing is new."""
    heavy = declared_with(parcels, batches, quarantine_limit=0.5, rules=(Rule(column="kilograms", minimum=1e6),))
    for _ in range(2):
        with pytest.raises(TaskError, match="are quarantined"):
            ingested(lakehouse, heavy)
    declared = declared_with(parcels, batches, quarantine_limit=0.5)
    ingested(lakehouse, declared)
    kept, _, read, _ = contents(lakehouse, declared)
    assert len(kept) == 134
    ingested(lakehouse, declared)
    assert contents(lakehouse, declared)[2] == read


@pytest.mark.proof_on_jvm
def test_a_feed_that_replaces_windows_comes_in_one_table(lakehouse: Lakehouse, parcels: ModuleType) -> None:
    """A window is replaced by one commit; the sentence says what to do, and nothing is written."""
    declared = declared_with(parcels, batches, corrections=Corrections.REPLACE_WINDOW)
    with pytest.raises(
        LakehouseError, match=r"source parcels replaces what its window has .* let its reader return one"
    ):
        ingested(lakehouse, declared)
    assert contents(lakehouse, declared)[:2] == ([], [])


@pytest.mark.proof_on_jvm
def test_the_readers_of_the_guide_deliver_a_window(parcels: ModuleType, tmp_path: Path, lakehouse: Lakehouse) -> None:
    """Batches of the files of three days, and a data frame of a Parquet file: the rows of the second day."""
    whole = delivery(72).slice(0, 72)
    for day in range(3):
        csv.write_csv(whole.slice(24 * day, 24), tmp_path / f"parcels-{day}.csv")
    typed = whole.set_column(1, "accepted_at", pa.array([BEGUN + dt.timedelta(hours=n) for n in range(72)]))
    parquet.write_table(typed, tmp_path / "parcels.parquet")
    second = [f"p{n}" for n in range(24, 48)]
    window = (BEGUN + dt.timedelta(days=1), BEGUN + dt.timedelta(days=2))
    found = pa.Table.from_batches(parcels.read_parcel_batches(str(tmp_path), *window))
    assert found["parcel"].to_pylist() == second
    reading = declared_with(parcels, lambda *_: parcels.read_parcel_frame(str(tmp_path / "parcels.parquet"), *window))
    ingested(lakehouse, reading)
    kept = rows_of(lakehouse, reading, "parcels_bronze.parcels")
    assert sorted(row["parcel"] for row in kept) == sorted(set(second) - {"p30", "p40"})


@pytest.mark.proof
def test_memory_does_not_grow_with_the_feed() -> None:
    """A feed of several times the stated limit is ingested in a process whose peak memory grows by less than the limit."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipelines.tasks.feed_memory", "parts", "40"], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == 41 * 4_000
    assert found["feed"] > 2.5 * LIMIT_MIB
    assert found["growth"] < LIMIT_MIB
