"""What an integration run must have written: each check can fail, and states what it found."""

from dataclasses import replace
from typing import Any

import pytest

from ml.spec.estimator import Problem
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.integration.checks import Ingested, MetricSummary, RunContents, check_contents

FLIGHT_DELAY, AIR_TIME = use_case("flight_delay"), use_case("air_time")


def good(declared: UseCase) -> RunContents:
    """Return what the tables hold after a run in which everything succeeded."""
    metric = declared.gate.metric
    return RunContents(
        ingested=tuple(Ingested(source=one.name, read=10, kept=9, quarantined=1) for one in declared.sources),
        predictions=5, prediction_keys=5, verdicts=1,
        measured=(MetricSummary(metric=metric, rows=2, without_value=0, minimum=0.4, maximum=0.8),),
        columns={table.address: tuple((c.name, c.type) for c in table.columns) for table in declared.tables},
    )  # fmt: skip


def wrong(declared: UseCase, contents: RunContents) -> dict[str, str]:
    """Return what does not hold, by what it is about."""
    return {check.about: check.found for check in check_contents(declared, contents) if not check.held}


@pytest.mark.parametrize("declared", [FLIGHT_DELAY, AIR_TIME])
def test_every_check_holds_after_a_run_that_succeeded(declared: UseCase) -> None:
    """There is one check for each source and each table, and for the verdict, the predictions and the gate's metric."""
    checks = check_contents(declared, good(declared))
    assert all(check.held for check in checks)
    assert len(checks) == len(declared.sources) + len(declared.tables) + 4


def measured(**changed: Any) -> dict[str, Any]:
    """Return the gate's metric of flight_delay with some changes."""
    return {"measured": (replace(good(FLIGHT_DELAY).measured[0], **changed),)}


BREAKS: dict[str, tuple[dict[str, Any], str]] = {
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
def test_each_mistake_fails_its_own_check(name: str) -> None:
    """Exactly one check does not hold, and it names what is wrong."""
    change, about = BREAKS[name]
    found = wrong(FLIGHT_DELAY, replace(good(FLIGHT_DELAY), **change))
    assert about in found
    if "ingested" not in change:
        assert set(found) == {about}


def test_bounds_are_those_of_the_metric() -> None:
    """A calibration error in minutes may exceed 1; an r2_score may be negative, and is at most 1."""
    for metric, minimum, maximum, holds in (
        ("expected_calibration_error", 0.2, 5.7, True), ("r2_score", -2.0, 0.9, True), ("r2_score", 0.1, 1.5, False),
        ("bias_error", -3.0, 3.0, True), ("mean_absolute_error", 8.0, 11.0, True),
    ):  # fmt: skip
        own = MetricSummary(metric=AIR_TIME.gate.metric, rows=1, without_value=0, minimum=1.0, maximum=1.0)
        one = MetricSummary(metric=metric, rows=1, without_value=0, minimum=minimum, maximum=maximum)
        found = wrong(AIR_TIME, replace(good(AIR_TIME), measured=(own, one) if metric != own.metric else (one,)))
        assert (found == {}) is holds, metric
    share = MetricSummary(metric="expected_calibration_error", rows=1, without_value=0, minimum=0.2, maximum=5.7)
    assert FLIGHT_DELAY.problem is Problem.BINARY
    assert wrong(FLIGHT_DELAY, replace(good(FLIGHT_DELAY), measured=(*good(FLIGHT_DELAY).measured, share)))


def test_a_table_must_exist_with_its_declared_columns() -> None:
    """Missing, undeclared and wrongly typed columns are reported together."""
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
