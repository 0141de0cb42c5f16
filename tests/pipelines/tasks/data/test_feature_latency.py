"""Training uses no row that scoring could not have had: what the jobs stored at scoring is what is joined months later."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ml.spec.errors import DeclarationError
from pipelines.dataframes.training_rows import requests, with_inputs
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from tests.pipelines.own_data_guide import parcels_module
from tests.pipelines.use_case_runs import rows_of, run_job

BEGUN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
TRAINED = BEGUN + dt.timedelta(days=50)
ROUNDS = [TRAINED + dt.timedelta(hours=hours) for hours in (5, 10)]
LATE = dt.timedelta(minutes=130)
"""So long after a delivery the feed has it; five minutes more are declared."""


class Feeds:
    """What both feeds hold at an instant: parcels at once, deliveries two hours and more late."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        drawn = np.random.default_rng(5)
        self.parcels, self.deliveries = [], []
        for number in range(2_500):
            accepted = BEGUN + dt.timedelta(minutes=30.0 * number)
            depot, hours = f"d{drawn.integers(2)}", float(drawn.uniform(2, 60))
            self.parcels.append((f"p{number}", accepted, depot, f"{drawn.uniform(1, 20):.1f}"))
            self.deliveries.append((f"p{number}", accepted + dt.timedelta(hours=hours), depot, f"{hours:.2f}"))

    def write(self, now: dt.datetime) -> None:
        """Write the files as they are at an instant."""
        for name, header, rows in (
            ("parcels.csv", "parcel,accepted_at,depot,kilograms", [row for row in self.parcels if row[1] < now]),
            (
                "deliveries.csv",
                "parcel,delivered_at,depot,hours",
                [row for row in self.deliveries if row[1] + LATE < now],
            ),
        ):
            lines = [",".join((row[0], row[1].isoformat(timespec="seconds"), *row[2:])) for row in rows]
            (self.folder / name).write_text("\n".join([header, *lines]) + "\n")


@pytest.fixture(scope="module")
def parcels() -> Iterator[ModuleType]:
    """The examples of the guide."""
    with parcels_module() as module:
        yield module


@pytest.fixture(scope="module")
def declared(parcels: ModuleType) -> UseCase:
    """The use case of the guide with the feature table that says how late its rows come; late rows are read again."""
    spine, deliveries = parcels.USE_CASE.sources
    return replace(
        parcels.USE_CASE, sources=(spine, replace(deliveries, late_days=1)), features=(parcels.DEPOT_FEATURES,)
    )


def joined(lakehouse: Lakehouse, use_case: UseCase, since: dt.datetime, until: dt.datetime) -> Mapping[str, Any]:
    """Return what the lookup gives to each request of a window now."""
    context = Context(lakehouse=lakehouse, use_case=use_case, run_id="r", now=until, say=lambda _: None)
    rows = with_inputs(context, requests(context, since, until), since, until).toArrow().to_pylist()
    return {row["request_key"]: row["depot_hours"] for row in rows}


@pytest.fixture(scope="module")
def life(
    declared: UseCase, life_engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lakehouse, dict[str, Any]]]:
    """Trained, then refreshed and scored every five hours; with what a lookup without a latency gave each time."""
    folder = tmp_path_factory.mktemp("feeds")
    feeds = Feeds(folder)
    at_once = replace(declared, features=(replace(declared.features[0], available_after_minutes=0),))
    without: dict[str, Any] = {}
    with (
        open_lakehouse("dev", engine=life_engine, root=tmp_path_factory.mktemp("lakehouse")) as lakehouse,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda _name: declared)
        for now in (TRAINED, *ROUNDS):
            feeds.write(now)
            until = {"until": now.isoformat()}
            features = run_job(lakehouse, declared, "features", {**until, "location": str(folder)})
            assert features.succeeded, [attempt.error for attempt in features.attempts]
            if now == TRAINED:
                training = run_job(
                    lakehouse, declared, "training", {**until, "training_days": "15", "evaluation_days": "7"}
                )
                assert training.succeeded, [attempt.error for attempt in training.attempts]
                lakehouse.models.set_alias(lakehouse.models.version(declared.model, 1), CHAMPION)
                continue
            begun = now - dt.timedelta(hours=5)
            scoring = run_job(lakehouse, declared, "scoring", {**until, "since": begun.isoformat()})
            assert scoring.succeeded, [attempt.error for attempt in scoring.attempts]
            without |= joined(lakehouse, at_once, begun, now)
        yield lakehouse, without


def test_what_was_scored_is_what_is_joined_later(life: tuple[Lakehouse, dict[str, Any]], declared: UseCase) -> None:
    """By key; without the latency, rows that came later would be joined, so the test can fail."""
    lakehouse, without = life
    scored = {row["request_key"]: row["depot_hours"] for row in rows_of(lakehouse, declared, "predictions")}
    assert len(scored) == 20
    assert None not in scored.values()
    later = joined(lakehouse, declared, TRAINED, ROUNDS[-1])
    assert scored == later
    at_once = replace(declared, features=(replace(declared.features[0], available_after_minutes=0),))
    assert joined(lakehouse, at_once, TRAINED, ROUNDS[-1]) != without


def test_the_training_set_has_the_newest_rows_that_had_arrived(
    life: tuple[Lakehouse, dict[str, Any]], declared: UseCase
) -> None:
    """For every row of the training set, by comparing all rows of the feature table."""
    lakehouse, _ = life
    wait = dt.timedelta(minutes=declared.features[0].available_after_minutes)
    depots = rows_of(lakehouse, declared, "depots")
    rows = rows_of(lakehouse, declared, "training_set")
    assert len(rows) > 400
    for row in rows:
        arrived = [
            one for one in depots if one["depot"] == row["depot"] and one["known_at"] + wait < row["prediction_at"]
        ]
        newest = max(arrived, key=lambda one: one["known_at"], default=None)
        assert row["depot_hours"] == (newest["mean_hours"] if newest else None)


def test_latencies_that_cannot_be_are_refused(parcels: ModuleType, declared: UseCase) -> None:
    """Below zero, longer than the look-back, or of labels."""
    with pytest.raises(DeclarationError, match=r"available_after_minutes is -1; give 0 or more\."):
        replace(parcels.DEPOT_FEATURES, available_after_minutes=-1)
    (lookup,) = declared.lookups
    with pytest.raises(DeclarationError, match=r"after 135 minutes .* for 2 hours .* none is ever found"):
        replace(declared, lookups=(replace(lookup, lookback_hours=2),))
    with pytest.raises(DeclarationError, match="labels: available_after_minutes is 5; leave it out"):
        replace(declared, labels=replace(declared.labels, available_after_minutes=5))
