"""An endpoint publishes what its store lacks; a store that was too far behind is a finding of the day that says which table."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.serving import online_upkeep
from pipelines.serving.online_upkeep import OnlineUpkeep
from tests.pipelines.online_store import started

FLIGHTS = use_case("flight_delay")
NOON = dt.datetime(2013, 2, 20, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
FEATURES = next(feature.table for feature in FLIGHTS.features)
PLAIN: dict[str, Any] = {"string": "a", "boolean": True, "int": 1, "bigint": 1, "double": 1.0}


class Clock:
    """A clock that stands where it is put."""

    now = NOON

    def __call__(self) -> dt.datetime:
        """The instant at which it stands."""
        return self.now


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an online store."""
    yield from started(tmp_path_factory.mktemp("store"))


@pytest.fixture
def said() -> list[str]:
    """What the endpoint says."""
    return []


@pytest.fixture
def context(tmp_path: Path, said: list[str]) -> Iterator[Context]:
    """An environment whose first feature table has a row from an hour before noon."""
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        found = Context(lakehouse=lakehouse, use_case=FLIGHTS, run_id="serve", now=NOON, say=said.append)
        for feature in FLIGHTS.features:
            lakehouse.tables.merge(feature.table, pa.schema([
                (c.name, ARROW_TYPES[c.type]) for c in feature.table.columns]).empty_table())  # fmt: skip
        refresh(found, NOON - HOUR)
        yield found


def refresh(context: Context, *instants: dt.datetime) -> None:
    """Write feature rows that were known at some instants, as a refresh does."""
    tables, refreshes = context.lakehouse.tables, FLIGHTS.table("refreshes")
    rows = [{c.name: at if c.type == "timestamp" else PLAIN[c.type] for c in FEATURES.columns} for at in instants]
    tables.merge(FEATURES, records(FEATURES, rows))
    noted = {
        c.name: min(instants) if c.type == "timestamp" else f"{min(instants)}" if c.type == "string" else PLAIN[c.type]
        for c in refreshes.columns
    }
    tables.merge(refreshes, records(refreshes, [noted | {"feature_table": FEATURES.address}]))


def findings(context: Context) -> list[dict[str, Any]]:
    """The findings that stand."""
    return list(context.lakehouse.tables.read(FLIGHTS.table("findings")).toArrow().to_pylist())


def online(store: str) -> list[dt.datetime]:
    """The instants of the rows in the store."""
    with psycopg.connect(store) as opened:
        schema, name = FEATURES.address.split(".")
        return [row[0] for row in opened.execute(f'SELECT "{FEATURES.time_key}" FROM "{schema}"."{name}"').fetchall()]  # noqa: S608 - declared names


def test_a_store_that_was_too_far_behind_is_a_finding_of_the_day(context: Context, store: str, said: list[str]) -> None:
    """Which table, how many hours, how many rows; the rows are published, and half an hour is no finding."""
    clock = Clock()
    upkeep = OnlineUpkeep(context, store, until=None, lag_limit_hours=1.0, clock=clock)
    upkeep.publish()
    assert (online(store), findings(context)) == ([NOON - HOUR], [])
    clock.now = NOON + HOUR
    refresh(context, NOON + HOUR / 2)
    upkeep.publish()
    assert (online(store), findings(context)) == ([NOON + HOUR / 2], [])
    clock.now = NOON + 6 * HOUR
    refresh(context, NOON + 3 * HOUR)
    upkeep.publish()
    assert online(store) == [NOON + 3 * HOUR]
    (found,) = findings(context)
    assert (found["kind"], found["statistic"], found["value"], found["threshold"]) == (
        "features_stale", FEATURES.address, 2.0, 1.0,
    )  # fmt: skip
    assert f"the online store was 2.0 hours behind {FEATURES.address}: 1 rows were waiting to be published" in said[-1]
    assert "2.0 hours behind" in upkeep.facts()["features_were_behind"][0]


def test_a_publication_that_fails_is_noted_as_well_and_made_up_for(
    context: Context, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is when features are stale; what cannot be noted keeps nothing from being published."""
    clock = Clock()
    upkeep = OnlineUpkeep(context, store, until=None, lag_limit_hours=1.0, clock=clock)
    upkeep.publish()
    clock.now = NOON + 6 * HOUR
    refresh(context, NOON + 3 * HOUR)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(online_upkeep, "publish_features", fails)
        with pytest.raises(OSError, match="the disk is full"):
            upkeep.publish()
    assert [found["kind"] for found in findings(context)] == ["features_stale"]
    with monkeypatch.context() as patched:
        patched.setattr(online_upkeep, "keep_finding", fails)
        with pytest.raises(OSError, match="the disk is full"):
            upkeep.publish()
    assert online(store) == [NOON + 3 * HOUR]
    upkeep.publish()
    assert len(findings(context)) == 1
