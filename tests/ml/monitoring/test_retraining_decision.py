"""Findings that last cause a retraining; nothing retrains within the cooldown."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.monitoring.findings import Finding
from ml.monitoring.retraining_decision import NOT_NEEDED, RetrainingDecision, decide_retraining
from ml.spec.monitoring_policy import RetrainingPolicy

START = datetime(2013, 4, 1, tzinfo=UTC)
POLICY = RetrainingPolicy(cooldown_days=45)


def finding(month: int, kind: str = "drift", column: str = "x", since: int | None = None) -> Finding:
    """Return a finding of one of a row of windows of thirty days."""
    start = START + timedelta(days=30 * month)
    first = START + timedelta(days=30 * (month if since is None else since))
    return Finding(
        window_start=start,
        window_end=start + timedelta(days=30),
        kind=kind,
        column_name=column,
        slice_key=":all",
        slice_value=":all",
        statistic="s",
        value=1.0,
        threshold=0.5,
        since=first,
        message=f"{column} {kind} {month}.",
    )


def decided(
    *current: Finding,
    history: tuple[Finding, ...] = (),
    retrained: tuple[datetime, ...] = (),
    policy: RetrainingPolicy = POLICY,
) -> RetrainingDecision:
    """Decide at the end of the window of the current findings."""
    now = max((f.window_end for f in current), default=START)
    return decide_retraining(current, history, champion=4, retrained_at=retrained, now=now, policy=policy)


def test_without_findings_there_is_no_retraining() -> None:
    """The first run ever included."""
    assert decided() == RetrainingDecision(
        retrain=False, cause=NOT_NEEDED, reasons=("no finding calls for a retraining.",)
    )


def test_one_window_with_a_fallen_metric_is_enough() -> None:
    """The reason is the finding's own sentence."""
    decision = decided(finding(0, "metric_fell"))
    assert decision == RetrainingDecision(retrain=True, cause="metric_fell", reasons=("x metric_fell 0.",))


def test_drift_must_last() -> None:
    """One window does not retrain, two in a row do, and a gap starts a new run."""
    assert not decided(finding(0)).retrain
    assert "lasted long enough" in decided(finding(0)).reasons[0]
    assert decided(finding(1, since=0), history=(finding(0),)).cause == "drift"
    assert decided(finding(1, since=0), history=(finding(0),)).retrain
    assert not decided(finding(2), history=(finding(0),)).retrain


def test_drift_of_one_column_does_not_prolong_that_of_another() -> None:
    """Each column has its own run."""
    assert not decided(finding(1, column="y"), history=(finding(0, column="x"),)).retrain


def test_findings_of_the_current_window_may_also_be_in_the_history() -> None:
    """They are counted once."""
    once = finding(0)
    assert not decided(once, history=(once, once)).retrain


def test_a_policy_may_demand_drift_in_several_columns() -> None:
    """A single broken feed then does not retrain."""
    policy = RetrainingPolicy(drift_columns=2)
    x, y = (finding(1, column=c, since=0) for c in "xy")
    history = (finding(0, column="x"), finding(0, column="y"))
    assert not decided(x, history=history, policy=policy).retrain
    assert decided(x, y, history=history, policy=policy).retrain


def test_other_kinds_of_finding_never_retrain() -> None:
    """Missing labels and missing values call for a repair, not for a retraining."""
    kinds = ("labels_missing", "missing_rate", "no_predictions")
    assert not decided(*(finding(5, kind, since=0) for kind in kinds)).retrain


def test_the_cooldown_prevents_a_retraining_and_states_its_end() -> None:
    """The decision still records the cause."""
    decision = decided(finding(1, "metric_fell"), retrained=(START + timedelta(days=30),))
    assert (decision.retrain, decision.cause) == (False, "metric_fell")
    assert "none before 2013-06-15" in decision.reasons[0]
    assert decision.reasons[1:] == ("x metric_fell 1.",)


def test_findings_about_an_earlier_model_do_not_count() -> None:
    """After a retraining drift must last again, even if the column drifts without a break."""
    history = tuple(finding(m, since=0) for m in range(3))
    retrained = (START + timedelta(days=90),)
    after = finding(3, since=0)
    policy = RetrainingPolicy(cooldown_days=10)
    too_few = decided(after, history=history, retrained=retrained, policy=policy)
    assert not too_few.retrain
    assert (
        "none has lasted long enough since the last one, on 2013-06-30: a fall of a metric has to last 1 window"
        in too_few.reasons[0]
    )
    assert decided(finding(4, since=0), history=(*history, after), retrained=retrained, policy=policy).retrain


def test_findings_about_a_former_champion_cause_no_retraining() -> None:
    """Its metric fell in the first half of the window and it was replaced; its successor needs no retraining."""
    before, now = (replace(finding(1, "metric_fell", since=0), model_version=version) for version in (3, 4))
    assert decided(before) == decided()
    assert decided(now).cause == "metric_fell"
    lasting = RetrainingPolicy(metric_windows=2)
    earlier = replace(finding(0, "metric_fell"), model_version=3)
    assert not decided(now, history=(earlier,), policy=lasting).retrain
    assert decided(now, history=(replace(earlier, model_version=4),), policy=lasting).retrain


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["drift", "metric_fell", "missing_rate"]), st.sampled_from("xyz"), st.integers(0, 4)
            ),
            max_size=6,
        ),
        max_size=30,
    ),
    st.floats(1, 200),
    st.integers(1, 3),
    st.integers(1, 40),
)
def test_a_storm_of_findings_never_causes_a_storm_of_retrainings(
    storm: list[list[tuple[str, str, int]]], cooldown: float, windows: int, step: int
) -> None:
    """Whatever is found, whenever it is decided: never two retrainings within the cooldown."""
    policy = RetrainingPolicy(cooldown_days=cooldown, drift_windows=windows)
    history: list[Finding] = []
    retrained: list[datetime] = []
    for month, kinds in enumerate(storm):
        current = [finding(month, kind, column, since=max(0, month - run)) for kind, column, run in kinds]
        history += current
        now = START + timedelta(days=step * month)
        if decide_retraining(current, history, champion=None, retrained_at=retrained, now=now, policy=policy).retrain:
            retrained.append(now)
    assert all(b - a >= timedelta(days=cooldown) for a, b in itertools.pairwise(retrained))


def test_lasting_drift_retrains_again_once_the_cooldown_is_over() -> None:
    """The cooldown delays a retraining and does not cancel it."""
    policy = RetrainingPolicy(cooldown_days=80)
    retrained: list[datetime] = []
    history: list[Finding] = []
    for month in range(8):
        current = [finding(month, since=0)]
        history += current
        now = current[0].window_end
        if decide_retraining(current, history, champion=None, retrained_at=retrained, now=now, policy=policy).retrain:
            retrained.append(now)
    assert [(at - START).days // 30 for at in retrained] == [2, 5, 8]


def test_every_mistake_in_a_policy_is_reported_at_once() -> None:
    """By field, with what is allowed."""
    with pytest.raises(ValueError, match=r"drift_windows is 0.*cooldown_days is 0.*kind 'missing_rate' never causes"):
        RetrainingPolicy(drift_windows=0, cooldown_days=0, kinds=("missing_rate",))
