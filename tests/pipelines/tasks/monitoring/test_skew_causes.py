"""Why an input differs between scoring and training is told apart by what scoring and training had read.

Each scenario has a route and a day of its own: one request, one row of the route's history six hours before it. Days are
the windows, and there are two training sets: one of feeds that declare no corrections, one of feeds that do.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import functions as F  # noqa: N812 - its usual name
from sklearn.linear_model import LinearRegression

from ml.monitoring.findings import WHOLE_TABLE
from pipelines.dataframes.input_comparison import ComparedInputs
from pipelines.dataframes.training_rows import feature_tables, requests, versions_read, with_inputs
from pipelines.declarations.registry import use_case
from pipelines.declarations.source import Corrections
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.monitoring import skew as skew_task
from pipelines.tasks.monitoring.skew import skew
from pipelines.tasks.versions.candidates import sidecar
from tests.pipelines.use_case_runs import rows_of

AIR_TIME = use_case("air_time")
DECLARED = replace(AIR_TIME, monitoring=replace(AIR_TIME.monitoring, window="day"))
CORRECTING = replace(
    DECLARED, sources=tuple(replace(source, corrections=Corrections.NEWER_ROW) for source in DECLARED.sources)
)  # fmt: skip
SCHEDULE, HISTORY = DECLARED.spine.table, DECLARED.lookups[0].table
NOON = dt.datetime(2013, 3, 4, 12, tzinfo=dt.UTC)
NOW = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
SCENARIOS = ("same", "late", "replaced", "corrected", "request", "moved", "old", "first_row", "withdrawn", "earlier")
NEVER = ("late", "replaced")
"""The scenarios whose feeds declare no corrections."""
ROUTE_INPUTS = {"route_air_time_7d", "route_air_time_21d"}


def due(scenario: str) -> dt.datetime:
    """When the scenario's request is due."""
    return NOON + dt.timedelta(days=SCENARIOS.index(scenario))


def flight(scenario: str, *, at: dt.datetime | None = None, minutes: float = 90.0) -> dict[str, Any]:
    """The scenario's request."""
    return {
        "flight_id": scenario, "prediction_at": at or due(scenario), "departure_hour": 14, "carrier": "UA",
        "origin": "EWR", "destination": scenario, "scheduled_minutes": minutes,
    }  # fmt: skip


def history(scenario: str, hours: float, mean: float) -> dict[str, Any]:
    """A row of the route's history, so many hours before the request."""
    known = due(scenario) - dt.timedelta(hours=hours)
    return {
        "origin": "EWR", "destination": scenario, "known_at": known, "mean_air_time_7d": mean, "mean_air_time_21d": mean
    }  # fmt: skip


def context_of(lakehouse: Lakehouse, run_id: str, declared: Any = DECLARED) -> Context:
    """A context at the end of March."""
    return Context(lakehouse=lakehouse, use_case=declared, run_id=run_id, now=NOW, say=lambda _: None)


def joined(context: Context, scenarios: Collection[str]) -> Any:
    """The requests of scenarios with their inputs as known now."""
    begin, end = NOON - dt.timedelta(days=1), NOW
    asked = requests(context, begin, end).where(F.col("flight_id").isin(*scenarios))
    return with_inputs(context, asked, begin, end)


def read_from(context: Context) -> str:
    """The versions that were read, as scoring and training record them."""
    return versions_read(context, [SCHEDULE, *feature_tables(context)])


def score(lakehouse: Lakehouse, scenarios: Collection[str]) -> None:
    """Store predictions with the inputs as known now; that of one scenario was made long ago."""
    context, table = context_of(lakehouse, "scoring"), DECLARED.table("predictions")
    long_ago, lately = (NOW - dt.timedelta(days=days) for days in (DECLARED.history_days + 1, 20))
    made = joined(context, scenarios).withColumns({
        "alias": F.lit(CHAMPION), "model_version": F.lit(1).cast("bigint"), "batch_id": F.lit("b"), "score": F.lit(0.0),
        "scored_at": F.when(F.col("request_key") == "old", F.lit(long_ago)).otherwise(F.lit(lately)),
        "hindsight": F.lit(False), "features_version": versions_of(context),
    })  # fmt: skip
    lakehouse.tables.append_once(table, made.select(*[c.name for c in table.columns]), batch_id="scored")


def versions_of(context: Context) -> Any:
    """The versions that scoring recorded: an earlier release did not record the spine's, and some may be gone."""
    lookups_only = versions_read(context, feature_tables(context))
    key = F.col("request_key")
    return (
        F.when(key == "old", F.lit("{}"))
        .when(key == "earlier", F.lit(lookups_only))
        .otherwise(F.lit(read_from(context)))
    )


def assemble(lakehouse: Lakehouse, training_set_id: str, scenarios: Collection[str]) -> None:
    """Store a training set with the inputs as known now."""
    context, table = context_of(lakehouse, training_set_id), DECLARED.table("training_set")
    made = joined(context, scenarios).withColumns({
        "training_set_id": F.lit(training_set_id), "part": F.lit("training"), "label": F.lit(90.0),
        "label_known_at": F.col("prediction_at"), "table_versions": F.lit(read_from(context)),
        "label_counts": F.lit(None).cast("string"),
    })  # fmt: skip
    lakehouse.tables.append_once(table, made.select(*[c.name for c in table.columns]), batch_id=training_set_id)


@pytest.fixture(scope="module")
def lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Every request is scored, then its scenario happens, then it is trained on, then all sets are compared."""
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("causes")) as opened:
        tables = opened.tables
        tables.append_once(SCHEDULE, records(SCHEDULE, [flight(name) for name in SCENARIOS]), batch_id="asked")
        known = [history(name, 6, 100.0) for name in SCENARIOS if name != "first_row"]
        tables.append_once(HISTORY, records(HISTORY, known), batch_id="known")
        score(opened, SCENARIOS)
        changed = [history(name, 6, 130.0) for name in ("replaced", "corrected", "old")]
        come = [history("late", 2, 140.0), history("first_row", 3, 150.0)]
        tables.merge(HISTORY, records(HISTORY, [*changed, *come]))
        gone = due("withdrawn") - dt.timedelta(hours=6)
        tables.overwrite_window(
            HISTORY, records(HISTORY, []), column="known_at", start=gone, end=gone + dt.timedelta(minutes=1)
        )
        later = due("moved") + dt.timedelta(hours=4)
        tables.merge(
            SCHEDULE,
            records(
                SCHEDULE, [flight("request", minutes=95.0), flight("earlier", minutes=95.0), flight("moved", at=later)]
            ),
        )
        for name, scenarios, declared in (
            ("never", NEVER, DECLARED),
            ("newer", sorted(set(SCENARIOS) - set(NEVER)), CORRECTING),
        ):
            assemble(opened, name, scenarios)
            skew(context_of(opened, "skew", declared), until=None)
        yield opened


def compared(lakehouse: Lakehouse, scenario: str) -> dict[str, dict[str, Any]]:
    """The rows of a scenario's day, by input."""
    day = due(scenario).replace(hour=0)
    return {row["column_name"]: row for row in rows_of(lakehouse, DECLARED, "skew") if row["window_start"] == day}


@pytest.mark.parametrize(
    ("scenario", "inputs", "cause"),
    [
        ("late", ROUTE_INPUTS, "late"),
        ("first_row", ROUTE_INPUTS, "late"),
        ("replaced", ROUTE_INPUTS, "replaced"),
        ("corrected", ROUTE_INPUTS, "corrected"),
        ("withdrawn", ROUTE_INPUTS, "corrected"),
        ("request", {"scheduled_minutes"}, "corrected"),
        ("old", ROUTE_INPUTS, None),
        ("earlier", {"scheduled_minutes"}, None),
    ],
)
def test_an_input_that_differs_has_the_cause_of_its_scenario(
    lakehouse: Lakehouse, scenario: str, inputs: set[str], cause: str | None
) -> None:
    """That cause alone; what was scored longer ago than versions are kept, or from versions not recorded, has none."""
    rows = compared(lakehouse, scenario)
    assert {name for name, row in rows.items() if row["differing"] and name != WHOLE_TABLE} == inputs
    for name in inputs:
        found = {each for each in ("late", "replaced", "corrected", "changed") if rows[name][each]}
        assert found == ({cause} if cause else set())


def test_equal_inputs_and_moved_requests_do_not_differ(lakehouse: Lakehouse) -> None:
    """A moved request is counted and not compared."""
    assert {row["differing"] for row in compared(lakehouse, "same").values()} == {0}
    (row,) = compared(lakehouse, "moved").values()
    assert (row["trained"], row["requests"], row["moved"], row["differing"]) == (1, 0, 1, 0)


def test_only_what_is_no_declared_correction_is_a_finding(lakehouse: Lakehouse) -> None:
    """Corrections are in the table alone."""
    found = [row for row in rows_of(lakehouse, DECLARED, "findings") if row["kind"] == "skew"]
    expected = {(due(name).day, column) for name in ("late", "replaced", "first_row", "old") for column in ROUTE_INPUTS}
    expected |= {(due("earlier").day, "scheduled_minutes")}
    assert {(row["window_start"].day, row["column_name"]) for row in found} == expected


def test_an_input_that_the_version_that_scored_was_trained_without_is_not_compared(tmp_path: Path) -> None:
    """It was declared later: the champion of yesterday did not have it, and nobody can repair that."""
    rows = pd.DataFrame({name: np.arange(60.0) for name in DECLARED.numeric_inputs if name != "scheduled_minutes"})
    rows = rows.assign(
        request_key=[f"r{n}" for n in range(60)], prediction_at=pd.date_range(NOON, periods=60, freq="h")
    )
    inputs = rows.drop(columns=["request_key", "prediction_at"])
    model = LinearRegression().fit(inputs, np.arange(60.0))
    with open_lakehouse("dev", root=tmp_path) as opened:
        with opened.models.start_run(DECLARED.name, name="champion") as run:
            opened.models.register(
                DECLARED.model, model, run=run, input_example=inputs.head(5), output_example=np.arange(5.0),
                pip_requirements=[], sidecar=sidecar(rows, inputs.assign(score=1.0)),
            )  # fmt: skip
        opened.tables.append_once(SCHEDULE, records(SCHEDULE, [flight("request")]), batch_id="asked")
        opened.tables.append_once(HISTORY, records(HISTORY, [history("request", 6, 100.0)]), batch_id="known")
        score(opened, ["request"])
        opened.tables.merge(SCHEDULE, records(SCHEDULE, [flight("request", minutes=95.0)]))
        assemble(opened, "set", ["request"])
        skew(context_of(opened, "skew"), until=None)
        assert {row["differing"] for row in compared(opened, "request").values()} == {0}
        assert not rows_of(opened, DECLARED, "findings")


def test_nothing_is_compared_twice(lakehouse: Lakehouse) -> None:
    """A later run has no new training set."""
    before = rows_of(lakehouse, DECLARED, "skew"), rows_of(lakehouse, DECLARED, "findings_history")
    assert skew(context_of(lakehouse, "again"), until=None).rows == 0
    assert (rows_of(lakehouse, DECLARED, "skew"), rows_of(lakehouse, DECLARED, "findings_history")) == before


def test_a_comparison_that_was_cut_off_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding was written, the mark was not: the second run ends as one undisturbed run."""
    with open_lakehouse("dev", root=tmp_path) as opened:
        tables = opened.tables
        tables.append_once(SCHEDULE, records(SCHEDULE, [flight("late")]), batch_id="asked")
        tables.append_once(HISTORY, records(HISTORY, [history("late", 6, 100.0)]), batch_id="known")
        score(opened, ["late"])
        tables.merge(HISTORY, records(HISTORY, [history("late", 2, 140.0)]))
        assemble(opened, "late", ["late"])
        assert skew(context_of(opened, "late"), until=None).rows == 0, "the run that made the set leaves it to the next"
        merge = tables.merge

        def cut_off(table: Any, rows: Any, **options: Any) -> Any:
            if table.name == "skew":
                raise OSError(28, "no space left on device")
            return merge(table, rows, **options)

        monkeypatch.setattr(tables, "merge", cut_off)
        with pytest.raises(OSError, match="no space"):
            skew(context_of(opened, "first"), until=None)
        monkeypatch.undo()
        told = rows_of(opened, DECLARED, "findings")
        assert len(told) == len(ROUTE_INPUTS)
        assert skew(context_of(opened, "second"), until=None).rows == 1
        assert rows_of(opened, DECLARED, "findings") == told
        assert len(rows_of(opened, DECLARED, "findings_history")) == len(told)


def test_values_differ_as_numbers_and_texts_do(lakehouse: Lakehouse) -> None:
    """Missing and NaN are one, and the last digits of a sum do not count."""
    nan = float("nan")
    numbers = [
        (None, None, False), (None, nan, False), (nan, nan, False), (None, 0.0, True), (nan, 1.0, True), (0.0, -0.0, False),
        (1.0, 1.0 + 1e-12, False), (1.0, 1.0 + 1e-6, True), (0.0, 1e-30, True), (-2.0, 2.0, True), (1e300, 1e300, False),
        (float("inf"), float("inf"), False), (float("inf"), 1.0, True),
    ]  # fmt: skip
    inputs = ComparedInputs(numeric=("x",), categorical=("c",))
    texts = [(None, None, False), ("a", None, True), ("a", "b", True), ("a", "a", False), ("", None, True)]
    pairs = [(a, b, None, None, e) for a, b, e in numbers] + [(0.0, 0.0, a, b, e) for a, b, e in texts]
    table = pa.table({
        "l__x": pa.array([p[0] for p in pairs], pa.float64(), from_pandas=False),
        "r__x": pa.array([p[1] for p in pairs], pa.float64(), from_pandas=False),
        "l__c": pa.array([p[2] for p in pairs], pa.string()), "r__c": pa.array([p[3] for p in pairs], pa.string()),
        "place": pa.array(range(len(pairs)), pa.int64()),
    })  # fmt: skip
    frame = lakehouse.spark.createDataFrame(table)
    rows = frame.select("place", inputs.any_differ("l__", "r__").alias("differs")).toArrow().to_pylist()
    assert {row["place"]: row["differs"] for row in rows} == {place: pair[4] for place, pair in enumerate(pairs)}


def test_each_input_has_one_origin() -> None:
    """A lookup, by its keys, or the request with its builder."""
    assert skew_task.origin_of(DECLARED, "route_air_time_7d") == (
        "the lookup of air_time_features.route_history by origin, destination"
    )
    assert skew_task.origin_of(DECLARED, "carrier").startswith("the request itself (air_time_bronze.schedule, ")
    weather = use_case("flight_delay")
    origins = {skew_task.origin_of(weather, name) for name in weather.inputs}
    assert len([origin for origin in origins if origin.startswith("the lookup of ")]) == len(weather.lookups)
