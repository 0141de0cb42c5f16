"""A team trains and scores with features that another team has built, and is told when they are not fresh."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.dataframes.newest_row import newest_row
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.report.house.page import write_house
from tests.pipelines.flight_files import write_all
from tests.pipelines.teams_that_share import teams
from tests.pipelines.use_case_runs import rows_of, run_job

FIRST, TRAINED, SCORED, LATER = (
    dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((1, 1), (2, 20), (3, 1), (3, 12))
)
LATE_SHARES = {("EWR", "ORD"): 0.1, ("JFK", "LAX"): 0.7, ("LGA", "BOS"): 0.3, ("JFK", "MIA"): 0.9}
"""How many flights of a route are late: what the owner's table knows, and nothing else tells."""
FLIGHTS_A_DAY = 90
Teams = tuple[UseCase, UseCase]


def flight_rows() -> Iterator[dict[str, str]]:
    """Flights of January to March, late by their route alone."""
    random = np.random.default_rng(5)
    for day in range(80):
        date = FIRST + dt.timedelta(days=day)
        for number in range(FLIGHTS_A_DAY):
            origin, destination = list(LATE_SHARES)[random.integers(len(LATE_SHARES))]
            late = 40 if random.random() < LATE_SHARES[origin, destination] else -3
            yield {
                "month": str(date.month), "day": str(date.day), "flight": str(number), "origin": origin, "dest": destination,
                "dep_delay": str(late), "time_hour": f"{date:%Y-%m-%d}T14:00:00Z", "minute": str(number % 60),
            }  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    """Owner and reader, as jobs find them."""
    with teams(tmp_path_factory.mktemp("teams")) as pair, pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "use_case", lambda name: {one.name: one for one in pair}[name])
        yield pair


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of the flights that both teams' feeds deliver."""
    return str(write_all(tmp_path_factory.mktemp("flights"), *flight_rows()))


@pytest.fixture(scope="module")
def life(both: Teams, flights: str, tmp_path_factory: pytest.TempPathFactory, life_engine: str) -> Iterator[Lakehouse]:
    """The owner reads until March; the reader trains, scores, and monitors ten days after the owner's last job."""
    owner, reader = both
    with open_lakehouse("dev", engine=life_engine, root=tmp_path_factory.mktemp("shared")) as lakehouse:
        run(lakehouse, owner, "features", SCORED, location=flights)
        run(lakehouse, reader, "features", SCORED, location=flights)
        run(lakehouse, reader, "training", TRAINED, training_days="28", evaluation_days="16")
        run(lakehouse, reader, "scoring", SCORED, since=TRAINED.isoformat())
        yield lakehouse


def run(lakehouse: Lakehouse, use_case: UseCase, job: str, until: dt.datetime, **parameters: str) -> None:
    """Run a job that succeeds."""
    skip = ["retrain"] if job == "monitoring" else []
    done = run_job(lakehouse, use_case, job, {"until": until.isoformat(), **parameters}, skip=skip)
    said = [row["sentence"] for row in rows_of(lakehouse, use_case, "verdicts")]
    assert done.succeeded, (said, [one.error for one in done.attempts if one.error])


def test_the_reader_owns_no_feature_row(life: Lakehouse, both: Teams) -> None:
    """What it looks up is the owner's table; it has no copy of it."""
    owner, reader = both
    address = owner.features[0].table.address
    assert address == "routes_shared_route_history.route_history"
    assert address not in [table.address for table in reader.tables]
    assert life.tables.read(owner.features[0].table).count() > 200


def test_predictions_have_what_the_owner_knew_before_each(life: Lakehouse, both: Teams) -> None:
    """Each looked-up value is the newest row of the route from before the prediction, worked out again row by row."""
    owner, reader = both
    history = life.tables.read(owner.features[0].table).toArrow().to_pylist()
    known: dict[tuple[str, str], list[tuple[dt.datetime, float]]] = {}
    for row in history:
        known.setdefault((row["origin"], row["destination"]), []).append((row["known_at"], row["mean_minutes_7d"]))
    requests = {row["request_id"]: row for row in rows_of(life, reader, "requests")}
    made = [row for row in rows_of(life, reader, "predictions") if row["alias"] != "hindsight"]
    found = 0
    for row in made:
        asked = requests[row["request_key"]]
        at = asked["prediction_at"]
        earlier = [
            (when, value)
            for when, value in known.get((asked["origin"], asked["destination"]), [])
            if at - dt.timedelta(hours=24 * 28) <= when < at
        ]
        expected = max(earlier)[1] if earlier else None
        assert row["route_minutes_7d"] == (None if expected is None else pytest.approx(expected))
        found += expected is not None
    assert len(made) > 100
    assert found > len(made) / 2


def test_a_version_says_which_version_of_the_shared_table_it_was_trained_on(life: Lakehouse, both: Teams) -> None:
    """So that it can be reproduced, and the owner sees who depends on what."""
    owner, reader = both
    (first, *_) = life.models.versions(reader.model)
    read = json.loads(first.tags["table_versions"])
    address = owner.features[0].table.address
    assert read[address] == life.tables.version(owner.features[0].table)


def test_a_reader_is_told_when_the_owner_stops(life: Lakehouse, both: Teams, flights: str) -> None:
    """The reader's monitoring names the table, its owner and the hours; as long as it is fresh it says nothing."""
    owner, reader = both
    run(life, reader, "monitoring", SCORED)
    assert stale(life, reader) == []
    run(life, reader, "features", LATER, location=flights)
    run(life, reader, "monitoring", LATER)
    (found,) = stale(life, reader)
    newest = newest_row(life.tables, owner.features[0].table)
    assert newest is not None
    assert found["statistic"] == owner.features[0].table.address
    assert found["value"] == pytest.approx((LATER - newest) / dt.timedelta(hours=1))
    assert found["threshold"] == owner.features[0].fresh_within_hours
    assert found["message"].startswith("shared features of routes are not fresh: ")


def stale(lakehouse: Lakehouse, reader: UseCase) -> list[dict[str, Any]]:
    """The findings about shared features."""
    return [row for row in rows_of(lakehouse, reader, "findings") if row["kind"] == "shared_features_stale"]


def test_the_house_page_lists_the_table_with_owner_readers_and_newest_row(life: Lakehouse, both: Teams) -> None:
    """Who looks for features finds them there."""
    if life.engine != "embedded" or life.folder is None:
        pytest.skip("the page is made on the embedded engine")
    page = write_house(life.folder.parent, both, now=LATER, with_reports=False).read_text(encoding="utf-8")
    section = page.split('id="shared"')[1].split("</section>")[0]
    newest = newest_row(life.tables, both[0].features[0].table)
    for said in (
        "routes_shared_route_history.route_history", "routes (team operations)", "late_planes (team revenue)",
        "origin, destination, known_at", "mean_minutes_7d double", f"dev: {newest:%Y-%m-%d %H:%M}",
    ):  # fmt: skip
        assert said in section


def test_without_the_owners_job_training_says_which_to_run(both: Teams, flights: str, tmp_path: Path) -> None:
    """An empty table of somebody else is no training set of missing values."""
    _, reader = both
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        run(lakehouse, reader, "features", SCORED, location=flights)
        done = run_job(lakehouse, reader, "training", {"until": TRAINED.isoformat()})
        errors = [one.error for one in done.attempts if one.error]
        assert any("was never written in dev: run routes.features there first." in str(error) for error in errors)


def test_reading_leaves_the_shared_table_as_it_was(life: Lakehouse, both: Teams) -> None:
    """Only the owner's tasks have written it: one commit of its features job after the one that made it."""
    table = both[0].features[0].table
    rows = life.tables.read(table)
    assert len(life.tables.history(table)) <= 2
    assert rows.where(F.col("known_at") >= F.lit(SCORED)).count() == 0
