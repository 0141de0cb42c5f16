"""What an integration run must have written: each check can fail, and says what it found."""

import datetime as dt
from dataclasses import replace

import pytest

from ml.spec.estimator import Problem
from pipelines.declarations.registry import use_case
from pipelines.integration.judgement import Ingested, Measured, Written, judge
from pipelines.integration.steps import SHIFT_MILLISECONDS, slice_steps

FLIGHT_DELAY, AIR_TIME = use_case("flight_delay"), use_case("air_time")


def good(declared):
    """What a run of a use case that went well has written."""
    metric = declared.gate.metric
    return Written(
        ingested=tuple(Ingested(source=one.name, read=10, kept=9, quarantined=1) for one in declared.sources),
        predictions=5, prediction_keys=5, verdicts=1,
        measured=(Measured(metric=metric, rows=2, without_value=0, minimum=0.4, maximum=0.8),),
        columns={table.address: tuple((c.name, c.type) for c in table.columns) for table in declared.tables},
    )  # fmt: skip


def wrong(declared, written):
    """What does not hold, by what it is about."""
    return {check.about: check.found for check in judge(declared, written) if not check.held}


@pytest.mark.parametrize("declared", [FLIGHT_DELAY, AIR_TIME])
def test_a_run_that_went_well_holds(declared):
    """Every source, every table, the verdict, the predictions, the metric of the gate."""
    checks = judge(declared, good(declared))
    assert all(check.held for check in checks)
    assert len(checks) == len(declared.sources) + len(declared.tables) + 4


def measured(**changed):
    """The gate's metric of flight_delay with some changes."""
    return {"measured": (replace(good(FLIGHT_DELAY).measured[0], **changed),)}


BREAKS = {
    "rows got lost": ({"ingested": (Ingested(source="weather", read=10, kept=8, quarantined=1),)}, "source weather"),
    "all rows quarantined": (
        {"ingested": (Ingested(source="weather", read=3, kept=0, quarantined=3),)},
        "source weather",
    ),
    "a source without rows": ({"ingested": ()}, "source weather"),
    "a request predicted twice": ({"predictions": 6}, "predictions"),
    "no predictions": ({"predictions": 0, "prediction_keys": 0}, "predictions"),
    "no verdict": ({"verdicts": 0}, "verdict"),
    "two verdicts": ({"verdicts": 2}, "verdict"),
    "nothing measured": ({"measured": ()}, "measurements"),
    "only without labels": (measured(rows=0, minimum=None, maximum=None), "measurements"),
    "a share above 1": (measured(maximum=1.01), "metric roc_auc_score"),
    "a share below 0": (measured(minimum=-0.01), "metric roc_auc_score"),
    "no number": (measured(without_value=1), "metric roc_auc_score"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_thing_that_is_wrong_is_found(name):
    """One check that does not hold, and it is the right one."""
    change, about = BREAKS[name]
    found = wrong(FLIGHT_DELAY, replace(good(FLIGHT_DELAY), **change))
    assert about in found
    if "ingested" not in change:
        assert set(found) == {about}


def test_bounds_are_those_of_the_metric():
    """A calibration error of minutes is no share; an r2_score may be negative, and no higher than 1."""
    for metric, minimum, maximum, holds in (
        ("expected_calibration_error", 0.2, 5.7, True), ("r2_score", -2.0, 0.9, True), ("r2_score", 0.1, 1.5, False),
        ("bias_error", -3.0, 3.0, True), ("mean_absolute_error", 8.0, 11.0, True),
    ):  # fmt: skip
        own = Measured(metric=AIR_TIME.gate.metric, rows=1, without_value=0, minimum=1.0, maximum=1.0)
        one = Measured(metric=metric, rows=1, without_value=0, minimum=minimum, maximum=maximum)
        found = wrong(AIR_TIME, replace(good(AIR_TIME), measured=(own, one) if metric != own.metric else (one,)))
        assert (found == {}) is holds, metric
    share = Measured(metric="expected_calibration_error", rows=1, without_value=0, minimum=0.2, maximum=5.7)
    assert FLIGHT_DELAY.problem is Problem.BINARY
    assert wrong(FLIGHT_DELAY, replace(good(FLIGHT_DELAY), measured=(*good(FLIGHT_DELAY).measured, share)))


def test_a_table_is_there_with_its_declared_columns():
    """Missing, undeclared and wrongly typed columns are told together."""
    table = FLIGHT_DELAY.table("flight_delay_bronze.weather")
    stored = [(c.name, "string" if c.name == "humidity" else c.type) for c in table.columns if c.name != "pressure"]
    columns = {**good(FLIGHT_DELAY).columns, table.address: (*stored, ("snow", "double"))}
    found = wrong(FLIGHT_DELAY, replace(good(FLIGHT_DELAY), columns=columns))
    assert found == {
        f"table {table.address}": "column pressure is missing; column snow is not declared; column humidity is string, "
        "declared double"
    }
    absent = wrong(FLIGHT_DELAY, replace(good(FLIGHT_DELAY), columns={**columns, table.address: None}))
    assert absent == {f"table {table.address}": "not there, though it is declared"}


def test_two_runs_have_windows_of_their_own():
    """A batch is written once per window, so a second run needs another one; the shift is less than an hour."""
    begun = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    one, two = (slice_steps(AIR_TIME, begun + dt.timedelta(milliseconds=n)) for n in (0, 1))
    assert [step.job.name for step in one] == ["features", "training", "features", "scoring", "monitoring"]
    assert all(a.parameters["until"] != b.parameters["until"] for a, b in zip(one, two, strict=True))
    assert one[2].parameters["since"] == one[0].parameters["until"]
    assert dt.timedelta(microseconds=SHIFT_MILLISECONDS) == dt.timedelta(hours=1)
    assert all(step.now.minute + step.now.hour * 60 <= 60 for step in (*one, *two))
    assert one[1].skip == ("serve",)
    assert set(one[4].skip) == {"retrain", "deliver"}
