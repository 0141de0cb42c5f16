"""What was known at a decision stays: a measurement that differs is another row, one that does not is none."""

from datetime import UTC, datetime, timedelta

import pytest

from ml.monitoring.findings_history import measured_at, measurement_changes

START = datetime(2013, 5, 1, tzinfo=UTC)
KEY = ("window_start", "metric")


def row(value: float | None, metric: str = "log_loss", **more: object) -> dict[str, object]:
    """A measurement."""
    return {"window_start": START, "metric": metric, "value": value, "computed_at": START, **more}


@pytest.mark.parametrize("value", [0.5 * (1 + 1e-12), 0.5])
def test_an_equal_measurement_is_no_change(value: float) -> None:
    """Up to rounding, and whenever it was computed."""
    assert measurement_changes([row(0.5)], [row(value, computed_at=None)], key=KEY, recorded_at=START) == []


@pytest.mark.parametrize("before", [[], [row(0.4)], [row(None)], [row(0.5, metric="other")]])
def test_a_new_or_different_measurement_is_another_row(before: list[dict[str, object]]) -> None:
    """With the end of what was measured."""
    (change,) = measurement_changes(before, [row(0.5)], key=KEY, recorded_at=START)
    assert (change["value"], change["recorded_at"]) == (0.5, START)


def test_what_was_known_at_an_instant_is_the_newest_row_until_then() -> None:
    """A later measurement does not change what an earlier decision knew."""
    later = START + timedelta(days=40)
    history = [{**row(0.5), "recorded_at": START}, {**row(0.7), "recorded_at": later}]
    for instant, known in ((START, [0.5]), (later - timedelta(seconds=1), [0.5]), (later, [0.7])):
        assert [found["value"] for found in measured_at(history, instant, key=KEY)] == known
    assert measured_at(history, START - timedelta(seconds=1), key=KEY) == []
