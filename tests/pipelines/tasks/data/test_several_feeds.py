"""Features from several feeds: whichever feed comes first, late or again, the rows are those of all that has been delivered."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.errors import DeclarationError
from pipelines.dataframes.training_rows import requests, with_inputs
from pipelines.declarations.feature_table import FeatureTable, Lookup
from pipelines.declarations.lineage import users_of
from pipelines.declarations.source import Corrections
from pipelines.declarations.use_case import UseCase
from pipelines.declared_code.mistakes import code_mistakes
from pipelines.doctor.diagnosis import without_features
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.lakehouse.engines.embedded import session
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.tasks.data.ingest import BEGINNING, delivered_until
from tests.pipelines.own_data_guide import parcels_module
from tests.pipelines.use_case_runs import rows_of, run_job

BEGUN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
FIFTH, TENTH = (BEGUN + dt.timedelta(days=days) for days in (5, 10))
Rows = Sequence[tuple[str, dt.datetime, str, str]]


@pytest.fixture(scope="module")
def parcels() -> Iterator[ModuleType]:
    """The examples of the guide."""
    with parcels_module() as module:
        yield module


def declared_with(parcels: ModuleType, feature: FeatureTable) -> UseCase:
    """Return the use case of the guide with one feature table, whose only column is an input."""
    spine, deliveries = parcels.USE_CASE.sources
    column = feature.table.columns[-1].name
    lookup = Lookup(table=feature.table, keys={"depot": "depot"}, columns={column: column}, lookback_hours=24 * 28)
    return replace(
        parcels.USE_CASE, sources=(spine, replace(deliveries, corrections=Corrections.NEWER_ROW)), features=(feature,),
        lookups=(lookup,), numeric_inputs=("hour", "kilograms", column),
    )  # fmt: skip


@pytest.fixture
def declared(parcels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> UseCase:
    """The use case with the parcels that wait in a depot, a feature table of two feeds."""
    found = declared_with(parcels, replace(parcels.BACKLOG_FEATURES, available_after_minutes=0))
    monkeypatch.setattr(jobs, "use_case", lambda _name: found)
    return found


def drawn_feeds() -> tuple[Rows, Rows]:
    """Return what is accepted and delivered in ten days, in their order."""
    drawn = np.random.default_rng(4)
    accepted = [
        (f"p{n}", BEGUN + dt.timedelta(hours=4.0 * n), f"d{n % 2}", f"{drawn.uniform(1, 20):.1f}") for n in range(60)
    ]
    spent = drawn.uniform(3, 50, 60)
    delivered = [
        (p, at + dt.timedelta(hours=float(h)), depot, f"{h:.2f}")
        for (p, at, depot, _), h in zip(accepted, spent, strict=True)
    ]
    return accepted, sorted(delivered, key=lambda row: row[1])


def write(folder: Path, accepted: Rows, delivered: Rows) -> str:
    """Write both files and return their folder."""
    folder.mkdir(exist_ok=True)
    for name, header, rows in (
        ("parcels.csv", "parcel,accepted_at,depot,kilograms", accepted),
        ("deliveries.csv", "parcel,delivered_at,depot,hours", delivered),
    ):
        lines = [",".join((row[0], row[1].isoformat(timespec="microseconds"), *row[2:])) for row in rows]
        (folder / name).write_text("\n".join([header, *lines]) + "\n")
    return str(folder)


def waiting(accepted: Rows, delivered: Rows) -> dict[tuple[str, dt.datetime], float]:
    """Return what the feature table must have, by counting at each moment."""
    return {
        (depot, at): float(
            sum(a <= at for _, a, d, _ in accepted if d == depot)
            - sum(a <= at for _, a, d, _ in delivered if d == depot)
        )
        for _, at, depot, _ in (*accepted, *delivered)
    }


def stored(lakehouse: Lakehouse, declared: UseCase) -> dict[tuple[str, dt.datetime], float]:
    """Return what the feature table has."""
    rows = rows_of(lakehouse, declared, declared.features[0].table.name)
    return {(row["depot"], row["known_at"].astimezone(dt.UTC)): row["waiting"] for row in rows}


def before(rows: Rows, end: dt.datetime) -> Rows:
    """Return the rows of a feed before an instant."""
    return [row for row in rows if row[1] < end]


def refreshed(lakehouse: Lakehouse, declared: UseCase, folder: str, until: dt.datetime, **given: str) -> None:
    """Run the features job."""
    run = run_job(lakehouse, declared, "features", {"until": until.isoformat(), "location": folder, **given})
    assert run.succeeded, [attempt.error for attempt in run.attempts]


def test_rows_are_built_from_both_feeds_on_every_engine(
    engine: str, request: pytest.FixtureRequest, parcels: ModuleType
) -> None:
    """The builder of the guide on a data frame of each feed, against counting."""
    accepted, delivered = drawn_feeds()
    spark = request.getfixturevalue("jvm_spark" if engine == "spark" else "embedded_spark")
    frames = [
        spark.createDataFrame(pa.Table.from_pylist([{"depot": depot, name: at} for _, at, depot, _ in rows]))
        for name, rows in (("accepted_at", accepted), ("delivered_at", delivered))
    ]
    built = parcels.backlog(*frames).toArrow().to_pylist()
    found = {(row["depot"], row["known_at"].astimezone(dt.UTC)): row["waiting"] for row in built}
    assert found == waiting(accepted, delivered)
    assert len(built) == len(found)


@pytest.mark.proof_on_jvm
def test_the_rows_are_those_of_all_that_both_feeds_have_delivered(
    lakehouse: Lakehouse, declared: UseCase, tmp_path: Path
) -> None:
    """Through the job: one feed late, both together, the same again; and each request finds the newest row before it."""
    accepted, delivered = drawn_feeds()
    folder = write(tmp_path / "feeds", before(accepted, FIFTH), [])
    refreshed(lakehouse, declared, folder, FIFTH)
    write(tmp_path / "feeds", accepted, delivered)
    refreshed(lakehouse, declared, folder, TENTH)
    expected = waiting(before(accepted, TENTH), before(delivered, TENTH))
    assert stored(lakehouse, declared) == expected
    context = Context(lakehouse=lakehouse, use_case=declared, run_id="r", now=TENTH, say=lambda _: None)
    for row in with_inputs(context, requests(context, None, TENTH)).toArrow().to_pylist():
        at = row["prediction_at"].astimezone(dt.UTC)
        known = [moment for moment in expected if moment[0] == row["depot"] and moment[1] < at]
        assert row["waiting"] == (expected[max(known)] if known else None)
    refreshed(lakehouse, declared, folder, TENTH, since=BEGUN.isoformat())
    assert stored(lakehouse, declared) == expected


@pytest.mark.proof_on_jvm
def test_a_row_that_the_later_feed_takes_away_is_gone(
    parcels: ModuleType, lakehouse: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A builder may build fewer rows once another feed has come: what was built from one feed alone does not stay."""

    def undelivered(accepted: DataFrame, delivered: DataFrame) -> DataFrame:
        first = delivered.groupBy("depot").agg(F.min("delivered_at").alias("first"))
        left = accepted.join(first, on="depot", how="left")
        left = left.where(F.col("first").isNull() | (F.col("accepted_at") < F.col("first")))
        return left.select("depot", F.col("accepted_at").alias("known_at"), F.lit(1.0).alias("waiting"))

    monkeypatch.setattr(parcels, "undelivered", undelivered, raising=False)
    declared = declared_with(parcels, replace(parcels.BACKLOG_FEATURES, builder="parcels:undelivered"))
    monkeypatch.setattr(jobs, "use_case", lambda _name: declared)
    accepted, delivered = drawn_feeds()
    folder = write(tmp_path / "feeds", before(accepted, FIFTH), [])
    refreshed(lakehouse, declared, folder, FIFTH)
    assert len(stored(lakehouse, declared)) == 30
    write(tmp_path / "feeds", before(accepted, FIFTH), before(delivered, FIFTH))
    refreshed(lakehouse, declared, folder, FIFTH)
    first = {depot: min(at for _, at, other, _ in delivered if other == depot) for depot in ("d0", "d1")}
    assert set(stored(lakehouse, declared)) == {
        (depot, at) for _, at, depot, _ in before(accepted, FIFTH) if at < first[depot]
    }


@pytest.mark.proof_on_jvm
def test_labels_are_complete_until_where_all_their_feeds_have_delivered(
    lakehouse: Lakehouse, declared: UseCase, tmp_path: Path
) -> None:
    """One feed until the fifth day and one until the tenth; a feed that has delivered nothing completes nothing."""
    accepted, delivered = drawn_feeds()
    context = Context(lakehouse=lakehouse, use_case=declared, run_id="r", now=TENTH, say=lambda _: None)
    tables = [source.table for source in declared.sources]
    assert delivered_until(context, tables) is None
    folder = write(tmp_path / "feeds", before(accepted, FIFTH), [])
    refreshed(lakehouse, declared, folder, FIFTH)
    assert delivered_until(context, tables[:1]) == FIFTH
    assert delivered_until(context, tables) == BEGINNING
    write(tmp_path / "feeds", before(accepted, FIFTH), delivered)
    refreshed(lakehouse, declared, folder, TENTH)
    assert delivered_until(context, tables[1:]) == TENTH
    assert delivered_until(context, tables) == FIFTH


def test_a_batch_of_either_feed_that_is_not_taken_in_is_found(declared: UseCase) -> None:
    """The doctor misses batches of the further feed too."""
    ingests: list[dict[str, Any]] = [{"source": name, "batch_id": f"{name}/1"} for name in ("parcels", "deliveries")]
    found = without_features(declared, ingests, [])
    about = {residue.where: residue.what for residue in found}
    assert about["parcels_features.backlog"].startswith("2 ingested batches not taken in")
    assert about["parcels_features.labels"].startswith("1 ingested batch not taken in")


def test_lineage_and_check_know_every_feed(parcels: ModuleType, declared: UseCase) -> None:
    """The task reads both tables; a builder of one data frame, and sources that are not there, are mistakes."""
    for source in declared.sources:
        assert "features.build_features" in users_of(source.table.address, declared.jobs).readers
    assert code_mistakes(declared, session()) == []
    one = declared_with(parcels, replace(parcels.BACKLOG_FEATURES, builder="parcels:labels"))
    (mistake,) = [found for found in code_mistakes(one, session()) if "'backlog'" in found]
    assert "takes deliveries; it is called with rows, rows2, by position" in mistake
    feature, stranger = parcels.BACKLOG_FEATURES, replace(parcels.PARCELS, name="parcel")
    with pytest.raises(DeclarationError, match=r"unknown source table 'parcels_bronze\.parcel': did you mean"):
        declared_with(parcels, replace(feature, further_sources=(stranger,)))
    with pytest.raises(DeclarationError, match=r"parcels_bronze\.parcels is named more than once"):
        replace(feature, further_sources=(parcels.PARCELS,))
    with pytest.raises(DeclarationError, match="need a primary key and a time key"):
        replace(feature, further_sources=(replace(parcels.DELIVERIES, time_key=None),))
