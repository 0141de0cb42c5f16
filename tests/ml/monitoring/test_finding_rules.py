"""Findings name what fell, drifted or is missing, and are absent where chance explains the difference."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.drift.thresholds import Threshold, Thresholds
from ml.monitoring.finding_rules import window_findings
from ml.monitoring.findings import ALL_ROWS, WHOLE_TABLE, Finding, Window
from ml.monitoring.measurements import EvaluatedMetric, Measurement
from ml.monitoring.metric_findings import direction
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, empty, profile
from ml.spec.monitoring_policy import MonitoringPolicy

START = datetime(2013, 4, 1, tzinfo=UTC)
POLICY = MonitoringPolicy()
SPEC = ProfileSpec.from_sample({"x": np.random.default_rng(0).normal(size=5_000)})
THRESHOLDS = Thresholds(
    method="by hand",
    false_alarms_per_month=None,
    window_days=30,
    thresholds=(
        Threshold(column="x", statistic="js_distance", value=0.1),
        Threshold(column="x", statistic="missing_rate_difference", value=0.05),
    ),
)
EVALUATED = EvaluatedMetric(model_version=3, metric="roc_auc_score", value=0.75, standard_error=0.004, days=28)
MEASURED = Measurement(
    model_version=3,
    metric="roc_auc_score",
    value=0.75,
    standard_error=0.003,
    predictions=9_000,
    labelled=8_900,
    days=30,
)


def window(month: int = 0) -> Window:
    """Return one of a row of windows of thirty days."""
    return Window(start=START + timedelta(days=30 * month), end=START + timedelta(days=30 * month + 30))


def values(shift: float = 0.0, missing: float = 0.0, rows: int = 3_000) -> Profile:
    """Profile a window that is shifted or holes of it."""
    drawn = np.random.default_rng(1).normal(shift, 1, rows)
    drawn[: int(rows * missing)] = np.nan
    return profile({"x": drawn}, SPEC)


def found(
    *measurements: Measurement,
    evaluated: tuple[EvaluatedMetric, ...] = (EVALUATED,),
    current: Profile | None = None,
    policy: MonitoringPolicy = POLICY,
    previous: tuple[Finding, ...] = (),
    month: int = 0,
    until: datetime | None = None,
    champion: int | None = None,
) -> tuple[Finding, ...]:
    """Look for findings in one window; by default an unremarkable one that has just ended."""
    return window_findings(
        window(month),
        measurements=measurements or (MEASURED,),
        evaluated=evaluated,
        reference=values(),
        current=current or values(),
        thresholds=THRESHOLDS,
        policy=policy,
        until=until or window(month).end,
        previous=previous,
        champion=champion,
    )


def test_an_unremarkable_window_has_no_finding() -> None:
    """The metric is as evaluated, there is no drift, and labels have arrived."""
    assert found() == ()


def test_a_fallen_metric_is_a_finding_with_every_detail() -> None:
    """What, how much, threshold, since when, in one sentence."""
    (finding,) = found(replace(MEASURED, value=0.70))
    assert (finding.kind, finding.column_name, finding.slice_key) == ("metric_fell", WHOLE_TABLE, ALL_ROWS)
    assert (finding.statistic, finding.value, finding.since) == ("roc_auc_score", 0.70, START)
    assert 0.70 < finding.threshold < 0.74
    assert "0.7000 on 8,900 labels" in finding.message
    assert "0.7500 (-0.05, 95% interval -0.0603 to -0.0397)" in finding.message
    assert "0.7500" in finding.message


def test_a_fall_in_a_unit_states_the_unit() -> None:
    """A person can weigh minutes."""
    minutes = MonitoringPolicy(metric_unit="minutes")
    worse = replace(MEASURED, metric="mean_absolute_error", value=14.9, standard_error=0.2)
    base = replace(EVALUATED, metric="mean_absolute_error", value=12.1, standard_error=0.3)
    (finding,) = found(worse, evaluated=(base,), policy=minutes)
    assert "12.1000 (+2.8 minutes, 95% interval +2.06 to +3.54)" in finding.message


def test_a_window_without_requests_is_no_fault_of_the_scoring() -> None:
    """The words say where to look."""
    for requests, in_hindsight, words in (
        (0, 0, "check the source of the requests"), (3, 0, "check the scoring job"), (3, 3, "its 3 were made in hindsight"),
    ):  # fmt: skip
        (silent,) = window_findings(
            window(), measurements=[], evaluated=[], reference=None, current=None, thresholds=None, policy=POLICY,
            until=window().end, requests=requests, in_hindsight=in_hindsight,
        )  # fmt: skip
        assert words in silent.message


def test_a_metric_below_its_evaluation_by_chance_is_no_finding() -> None:
    """Two standard errors and the tolerance are not enough at an alpha of one percent."""
    assert found(replace(MEASURED, value=0.75 - 0.01 - 2 * 0.005)) == ()


def test_a_metric_on_few_labels_raises_no_finding() -> None:
    """Nor does a metric without value, without standard error or without evaluation."""
    fell = replace(MEASURED, value=0.5)
    assert found(replace(fell, labelled=POLICY.minimum_labelled - 1)) == ()
    for lacking in (replace(fell, value=None), replace(fell, value=math.nan), replace(fell, standard_error=None)):
        assert found(lacking) == ()
    assert found(fell, evaluated=()) == ()
    assert found(replace(fell, model_version=4)) == ()


def test_the_direction_is_in_the_name() -> None:
    """A loss that rose and a score that fell are findings, not the reverse."""
    loss = replace(MEASURED, metric="log_loss", value=0.9)
    base = replace(EVALUATED, metric="log_loss", value=0.4)
    (finding,) = found(loss, evaluated=(base,))
    assert 0.4 < finding.threshold < 0.9
    assert found(replace(loss, value=0.1), evaluated=(base,)) == ()
    assert found(replace(MEASURED, value=0.99)) == ()
    assert [direction(name) for name in ("roc_auc_score", "log_loss", "mean_absolute_error")] == [1, -1, -1]
    with pytest.raises(ValueError, match="'accuracy' does not say its direction"):
        direction("accuracy")


def test_more_slices_need_more_evidence() -> None:
    """The error rate holds for all metrics and slices of a window together."""
    barely = replace(MEASURED, value=0.75 - 0.01 - 2.6 * 0.005)
    assert len(found(barely)) == 1
    slices = [replace(MEASURED, slice_key="carrier", slice_value=str(i)) for i in range(20)]
    bases = tuple(replace(EVALUATED, slice_key=m.slice_key, slice_value=m.slice_value) for m in slices)
    assert found(barely, *slices, evaluated=(EVALUATED, *bases)) == ()
    fell = replace(MEASURED, value=0.75 - 0.01 - 2.8 * 0.005)
    assert len(found(fell, *slices, evaluated=(EVALUATED, *bases))) == 1, "slices take half of the level, not all of it"
    one = replace(slices[0], value=fell.value)
    assert found(MEASURED, one, *slices[1:], evaluated=(EVALUATED, *bases)) == ()


def test_false_alarms_on_metrics_keep_their_rate() -> None:
    """A thousand windows of an unchanged model: about one percent at the edge of the tolerance, far fewer within."""
    random = np.random.default_rng(5)
    edge = [found(replace(MEASURED, value=0.74 + random.normal(0, 0.005))) for _ in range(1_000)]
    assert 1 <= sum(map(len, edge)) <= 22
    assert sum(len(found(replace(MEASURED, value=0.75 + random.normal(0, 0.005)))) for _ in range(300)) == 0


def test_a_slice_that_fell_is_named() -> None:
    """The finding and its message name the slice."""
    fell = replace(MEASURED, value=0.6, slice_key="carrier", slice_value="UA")
    (finding,) = found(MEASURED, fell, evaluated=(EVALUATED, replace(EVALUATED, slice_key="carrier", slice_value="UA")))
    assert (finding.slice_key, finding.slice_value) == ("carrier", "UA")
    assert "for carrier = UA" in finding.message


def test_drift_and_missing_values_are_found_by_column() -> None:
    """Each with its own kind, statistic and threshold."""
    (drifted,) = found(current=values(shift=1.0))
    assert (drifted.kind, drifted.column_name, drifted.statistic) == ("drift", "x", "js_distance")
    assert drifted.value > drifted.threshold == 0.1
    assert "of the rows would have to move back, most visibly values up to" in drifted.message
    assert "; median " in drifted.message
    (missing,) = found(current=values(missing=0.2))
    assert (missing.kind, missing.value) == ("missing_rate", pytest.approx(0.2))
    assert "missing in 20.0% of the rows, 0.0% in the reference" in missing.message


def test_a_small_window_raises_no_drift_finding() -> None:
    """Nor does a window without rows, or one without a reference."""
    assert found(current=values(shift=3.0, rows=POLICY.minimum_rows - 1)) == ()
    assert found(current=empty(SPEC)) == ()
    assert (
        window_findings(
            window(),
            measurements=[MEASURED],
            evaluated=[EVALUATED],
            reference=None,
            current=values(shift=3.0),
            thresholds=None,
            policy=POLICY,
            until=window().end,
        )
        == ()
    )


def test_labels_past_their_due_date_are_found() -> None:
    """Above the tolerated share, counted once however many metrics there are."""
    late = replace(MEASURED, missing_labels=900)
    (finding,) = found(late, replace(late, metric="log_loss"))
    assert (finding.kind, finding.value, finding.threshold) == ("labels_missing", pytest.approx(0.1), 0.05)
    assert "900 of 9,000" in finding.message
    assert found(replace(MEASURED, missing_labels=400)) == ()


def test_labels_that_come_later_than_declared_are_found_with_their_share_and_age() -> None:
    """Above the tolerated share, and once so many are due that a share says something."""
    late = replace(MEASURED, predictions=9_000, not_due=1_000, late_labels=400, late_days=11.25)
    (finding,) = found(late, replace(late, metric="log_loss"))
    assert (finding.kind, finding.value, finding.threshold) == ("labels_late", pytest.approx(0.05), 0.02)
    assert finding.message == (
        "400 of 8,000 outcomes that were due (5.0%) became known later than declared, nine in ten of these within 11.2 days "
        "of the prediction; 2.0% are tolerated. They do not decide: declare label_due_days that cover them."
    )
    assert found(replace(late, late_labels=160)) == ()
    assert found(replace(late, predictions=150, not_due=0, late_labels=50)) == ()


@pytest.mark.parametrize(
    ("hours", "kinds"), [(6, []), (23, []), (24, ["no_predictions"]), (30 * 24, ["no_predictions"])]
)
def test_a_window_without_predictions_is_a_finding(hours: int, kinds: list[str]) -> None:
    """It is a finding once a day has passed since the window began."""
    silent = window_findings(
        window(), measurements=[], evaluated=[], reference=None, current=None, thresholds=None, policy=POLICY,
        until=START + timedelta(hours=hours),
    )  # fmt: skip
    assert [finding.kind for finding in silent] == kinds


def test_metrics_and_drift_are_judged_only_after_the_window_has_ended() -> None:
    """Missing labels are found at once."""
    worst = replace(MEASURED, value=0.5, missing_labels=900)
    every = {"metric_fell", "drift", "missing_rate", "labels_missing"}
    broken = values(shift=1.0, missing=0.2)
    for until, kinds in ((window().end, every), (window().end - timedelta(seconds=1), {"labels_missing"})):
        assert {finding.kind for finding in found(worst, current=broken, until=until)} == kinds


def test_few_days_widen_the_margin_of_a_metric() -> None:
    """The side with fewer days decides; one day has no error, and unrecorded days count as none."""
    (many,) = found(replace(MEASURED, value=0.5))
    (few,) = found(replace(MEASURED, value=0.5, days=3))
    assert many.threshold == pytest.approx(0.75 - 0.01 - stats.t.isf(0.01, 27) * 0.005)
    assert few.threshold == pytest.approx(0.75 - 0.01 - stats.t.isf(0.01, 2) * 0.005)
    for days in (1, None):
        assert found(replace(MEASURED, value=0.5, days=days)) == ()
        assert found(replace(MEASURED, value=0.5), evaluated=(replace(EVALUATED, days=days),)) == ()


@pytest.mark.parametrize("days", [2, 3, 5, 30])
def test_false_alarms_keep_their_rate_for_any_number_of_days(days: int) -> None:
    """A thousand quiet windows at the edge of the tolerance, errors estimated from as many days as there are."""
    random = np.random.default_rng(days)
    alarms = 0
    for _ in range(1_000):
        measured, evaluated = random.normal(0.74, 0.02, days), random.normal(0.75, 0.02, 28)
        base = replace(EVALUATED, value=evaluated.mean(), standard_error=evaluated.std(ddof=1) / math.sqrt(28))
        error = measured.std(ddof=1) / math.sqrt(days)
        alarms += len(
            found(replace(MEASURED, value=measured.mean(), standard_error=error, days=days), evaluated=(base,))
        )
    assert alarms <= 20


def test_a_metric_is_judged_when_most_outcomes_are_known_or_overdue() -> None:
    """Otherwise it would be judged every morning while labels arrive."""
    fell = replace(MEASURED, value=0.5, predictions=10_000)
    assert found(replace(fell, labelled=7_000)) == ()
    for settled in ({"labelled": 8_000}, {"labelled": 7_000, "without_label": 1_000}):
        assert [finding.kind for finding in found(replace(fell, **settled))] == ["metric_fell"]
    late = found(replace(fell, labelled=7_000, missing_labels=1_000))
    assert {finding.kind for finding in late} == {"metric_fell", "labels_missing"}


def test_a_metric_waits_for_outcomes_to_be_due_and_not_for_their_arrival() -> None:
    """What is not due yet is counted apart from what is due without a label."""
    fell = replace(MEASURED, value=0.5, predictions=10_000, labelled=5_000)
    assert found(replace(fell, not_due=2_600)) == ()
    assert [finding.kind for finding in found(replace(fell, not_due=2_400))] == ["metric_fell"]


@pytest.mark.parametrize(("champion", "about"), [(None, 4), (4, 4), (3, 3), (9, 4)])
def test_a_metric_that_fell_for_both_champions_of_a_window_is_one_finding(champion: int | None, about: int) -> None:
    """Findings have one row for each metric and slice: two would be refused, and the monitor would fail every morning."""
    fell = [replace(MEASURED, model_version=version, value=0.6) for version in (3, 4)]
    known = tuple(replace(EVALUATED, model_version=version) for version in (3, 4))
    (finding,) = found(*fell, evaluated=known, champion=champion)
    assert finding.model_version == about
    assert all(f"of version {version} is 0.6000" in finding.message for version in (3, 4))
    assert finding.message.index(f"version {about}") < finding.message.index(f"version {7 - about}")


def test_a_finding_on_a_metric_names_the_version() -> None:
    """A retraining cannot repair a former champion."""
    assert [finding.model_version for finding in found(replace(MEASURED, value=0.5))] == [3]
    assert [finding.model_version for finding in found(current=values(shift=1.0))] == [None]


def test_since_is_the_first_window_of_an_unbroken_run() -> None:
    """A gap of one window begins a new run."""
    first = found(current=values(shift=1.0))
    second = found(current=values(shift=1.0), previous=first, month=1)
    third = found(current=values(shift=1.0), previous=(*first, *second), month=2)
    assert [f.since for f in (*first, *second, *third)] == [START] * 3
    later = found(current=values(shift=1.0), previous=(*first, *second), month=3)
    assert later[0].since == window(3).start


def test_a_finding_of_another_kind_does_not_continue_a_run() -> None:
    """Earlier missing values do not date drift back."""
    before = found(current=values(missing=0.2))
    (after,) = found(current=values(shift=1.0), previous=before, month=1)
    assert after.since == window(1).start


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 1), st.floats(0.001, 0.05), st.integers(0, 9_000))
def test_every_finding_is_a_complete_row(value: float, error: float, missing: int) -> None:
    """Every finding fits the findings table; only the version may be missing, if the finding is not about one."""
    for finding in found(replace(MEASURED, value=value, standard_error=error, missing_labels=missing)):
        row = finding.as_row()
        assert (row.pop("model_version") is None) is (finding.kind != "metric_fell")
        assert all(field is not None for field in row.values())
        assert finding.message.endswith(".")


def test_the_name_of_a_monitored_metric_must_state_its_direction() -> None:
    """Without a direction a fall is not defined."""
    with pytest.raises(ValueError, match=r"metric 'minutes' does not say its direction; name metrics \*_score"):
        MonitoringPolicy(metrics=("mean_absolute_error", "minutes"))


def test_every_mistake_in_a_policy_is_reported_at_once() -> None:
    """By field, with what is allowed."""
    with pytest.raises(
        ValueError, match=r"thresholds is 'psi'.*metric_alpha is 0.*minimum_rows is 0.*statistics is empty"
    ):
        MonitoringPolicy(thresholds="psi", metric_alpha=0, minimum_rows=0, statistics=())


def test_few_entities_explain_more_than_many_days() -> None:
    """The degrees of freedom of the error decide, those of the days only where none are recorded."""
    fallen = replace(MEASURED, value=0.75 - POLICY.metric_tolerance - 2.7 * 0.005)
    assert [finding.kind for finding in found(fallen)] == ["metric_fell"]
    assert found(replace(fallen, degrees_of_freedom=7.0)) == ()
    assert found(fallen, evaluated=(replace(EVALUATED, degrees_of_freedom=7.0),)) == ()
    assert [finding.kind for finding in found(replace(fallen, days=2, degrees_of_freedom=27.0))] == ["metric_fell"]
