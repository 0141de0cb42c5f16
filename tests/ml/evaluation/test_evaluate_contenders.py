"""All contenders are measured on the same rows; one that cannot count stays in the record with the reason."""

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulation.gate_test_sets import Setting, draw
from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import EvaluationError, evaluate, keys_digest
from ml.evaluation.record import Evaluation, FailureKind, RecordError
from ml.gate.decision import decide
from ml.metrics.metric_table import measure
from ml.metrics.standard_errors import delong
from ml.spec.clusters import DAY_MEMORY
from ml.spec.estimator import Problem
from ml.spec.gate_policy import ARTICLE, DEFAULT_BINARY, DEFAULT_REGRESSION, GuardRail, Method

DRAWN = draw(Setting(gains=(0.02, -0.02), rows=2_400, days=10, slices=3), np.random.default_rng(1))
KEYS = [f"flight-{number}" for number in range(DRAWN.labels.size)]
BEFORE = DRAWN.times.min() - pd.Timedelta(hours=1)


def contender(version: int, scores: np.ndarray, **changes: Any) -> Contender:
    """A valid contender, with changes."""
    sound = Contender(
        version=version,
        estimator="gradient_boosting",
        scores=scores,
        trained_until=BEFORE,
        overlap_rows=0,
        seconds_per_1000_rows=0.01,
    )
    return replace(sound, **changes)


CHAMPION, BETTER, WORSE = (
    contender(version, scores) for version, scores in enumerate((DRAWN.champion, *DRAWN.candidates), start=1)
)


def evaluated(*contenders: Contender, champion: int | None = 1, **changes: Any) -> Evaluation:
    """Evaluate on the drawn rows, with changes."""
    arguments = {
        "evaluation_id": "2020-02",
        "model": "flight_delay",
        "labels": DRAWN.labels,
        "times": DRAWN.times,
        "keys": KEYS,
        "champion": champion,
        "slices": {"origin": DRAWN.slices},
        "problem": Problem.BINARY,
        "policy": DEFAULT_BINARY,
        "seed": 5,
    }
    return evaluate(contenders=contenders, **{**arguments, **changes})


WHOLE = evaluated(CHAMPION, BETTER, WORSE)


def test_every_contender_is_measured_on_all_rows_and_every_slice() -> None:
    """Metrics equal those computed directly; slices add up to the whole."""
    assert WHOLE.complete
    assert WHOLE.keys_digest == keys_digest(KEYS)
    assert (WHOLE.rows, WHOLE.positives, WHOLE.days) == (2_400, int(DRAWN.labels.sum()), 10)
    for measured, scores in zip(WHOLE.contenders, (DRAWN.champion, *DRAWN.candidates), strict=True):
        assert measured.metrics == measure(DRAWN.labels, scores, Problem.BINARY)
        assert [s.slice_value for s in measured.slices] == ["0", "1", "2"]
        assert sum(s.rows for s in measured.slices) == 2_400
        chosen = DRAWN.slices == "1"
        assert measured.slices[1].metrics == measure(DRAWN.labels[chosen], scores[chosen], Problem.BINARY)


def test_each_candidate_is_compared_with_champion_and_constant() -> None:
    """In the deciding metric and the guard rails, on all rows and every slice; the champion is not compared."""
    found = {(c.candidate, c.against, c.metric, c.slice_value) for c in WHOLE.comparisons}
    champion = {(v, 1, m, s) for v in (2, 3) for m in ("roc_auc_score", "log_loss") for s in (None, "0", "1", "2")}
    assert found == champion | {(v, None, "roc_auc_score", None) for v in (2, 3)}


def test_a_comparison_is_the_test_of_the_policy_on_those_rows() -> None:
    """The difference by day in ROC AUC, on all rows and on one slice."""
    days = DRAWN.times.dayofyear.to_numpy()
    for chosen, value in ((np.ones(2_400, dtype=bool), None), (DRAWN.slices == "2", "2")):
        known = delong(DRAWN.labels[chosen], DRAWN.candidates[0][chosen], DRAWN.champion[chosen], groups=days[chosen])
        found = next(
            c
            for c in WHOLE.comparisons
            if (c.candidate, c.against, c.metric, c.slice_value) == (2, 1, "roc_auc_score", value)
        )
        assert found.difference == pytest.approx(known.value, abs=1e-12)
        assert found.standard_error == pytest.approx(known.standard_error, abs=1e-12)
        assert found.p_value == pytest.approx(known.p_above(0.0), abs=1e-12)
        assert (found.low, found.high) == pytest.approx(known.interval())
        assert found.rows == chosen.sum()


def test_a_positive_difference_is_better_for_losses_too() -> None:
    """A lower log loss is a positive difference, with an interval that holds it."""
    found = next(c for c in WHOLE.comparisons if (c.candidate, c.metric, c.slice_key) == (2, "log_loss", None))
    assert found.difference == pytest.approx(found.against_value - found.candidate_value)
    assert found.low < found.difference < found.high


def test_tolerances_are_shares_of_the_way_from_a_constant_to_perfection() -> None:
    """Two percent of 0.5 for ROC AUC, two percent of a constant's loss for log loss."""
    found = {c.metric: c.tolerance for c in WHOLE.comparisons if c.slice_key is not None}
    policy = replace(DEFAULT_BINARY, guard_rails=(GuardRail(metric="log_loss", tolerance=0.1),))
    guarded = evaluated(CHAMPION, BETTER, policy=policy).comparisons
    whole = next(c for c in guarded if c.metric == "log_loss" and c.slice_key is None)
    assert found["roc_auc_score"] == pytest.approx(0.02 * 0.5)
    assert whole.tolerance == pytest.approx(0.1 * WHOLE.constant["log_loss"])


@pytest.mark.parametrize("method", list(Method))
def test_every_method_of_a_policy_is_applied(method: Method) -> None:
    """Each gives the same difference with its own error, and the bootstraps count their wins."""
    changes = {"resamples": 60} if method.resamples_rows else {}
    policy = replace(DEFAULT_BINARY, method=method, slice_tolerance=None, **changes)
    found = next(c for c in evaluated(CHAMPION, BETTER, policy=policy, slices={}).comparisons if c.against == 1)
    reference = next(c for c in WHOLE.comparisons if (c.candidate, c.against) == (2, 1))
    assert found.method is method
    assert found.difference == pytest.approx(reference.difference, abs=1e-12)
    assert found.standard_error > 0
    assert found.low < found.high
    assert (0 < found.wins <= found.resamples == 60) if method.resamples_rows else found.resamples == 0


def test_a_metric_without_a_test_is_resampled() -> None:
    """R² has no analytic test here: by day, whole days are drawn instead."""
    policy = replace(DEFAULT_REGRESSION, metric="r2_score", guard_rails=(), resamples=50, slice_tolerance=None)
    labels = np.random.default_rng(0).normal(size=2_400)
    scores = [labels + np.random.default_rng(s).normal(size=2_400) for s in (1, 2)]
    found = evaluated(
        contender(1, scores[0]), contender(2, scores[1]), labels=labels, problem=Problem.REGRESSION, policy=policy
    )
    assert found.positives is None
    assert {c.method for c in found.comparisons} == {Method.DAY_BOOTSTRAP}


def test_a_seed_fixes_the_evaluation() -> None:
    """The same seed gives the same record, another one other resamples."""
    first, again, other = (evaluated(CHAMPION, BETTER, policy=ARTICLE, seed=seed) for seed in (1, 1, 2))
    assert first.digest == again.digest
    assert [c.wins for c in first.comparisons] != [c.wins for c in other.comparisons]


NAN = np.where(np.arange(2_400) == 7, np.nan, DRAWN.champion)
FAILING = {
    FailureKind.RAISED: ({"scores": None, "failure": "MlflowException: no such artifact"}, "MlflowException"),
    FailureKind.OTHER_ROWS: ({"scored_keys": keys_digest(KEYS[1:])}, "scored on other rows"),
    FailureKind.OVERLAP: ({"overlap_rows": 12}, "12 rows of the evaluation were in its training set"),
    FailureKind.OLDER_ROWS: ({"trained_until": DRAWN.times[100]}, "rows of the evaluation are not later than"),
    FailureKind.NOT_FINITE: ({"scores": NAN}, "1 of 2400 scores are NaN or infinite"),
    FailureKind.OUT_OF_RANGE: ({"scores": DRAWN.champion * 3 - 1}, "not from 0 to 1"),
    FailureKind.CONSTANT: ({"scores": np.full(2_400, 0.1)}, "every score is 0.1"),
    FailureKind.HARD_LABELS: ({"scores": (DRAWN.champion > 0.2).astype(float)}, "hard labels"),
}


def test_every_kind_of_failure_has_its_case() -> None:
    """A kind without a case fails here, by name."""
    assert set(FAILING) == set(FailureKind)


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_contender_that_does_not_count_stays_with_its_reason(kind: FailureKind) -> None:
    """As a candidate it is recorded and not compared; as the champion it makes the evaluation incomplete."""
    changes, message = FAILING[kind]
    broken = replace(BETTER, **changes)
    found = evaluated(CHAMPION, broken)
    assert found.complete
    assert found.contender(2).failure_kind is kind
    assert message in found.contender(2).failure
    assert found.contender(2).metrics == {}
    assert found.comparisons == ()
    upturned = evaluated(replace(BETTER, version=1, **changes), contender(2, DRAWN.champion))
    assert not upturned.complete
    assert message in upturned.incomplete_because[0]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"scores": None}, FailureKind.RAISED),
        ({"scores": DRAWN.champion[1:]}, FailureKind.OTHER_ROWS),
        ({"trained_until": None}, FailureKind.OLDER_ROWS),
        ({"trained_until": DRAWN.times.min()}, FailureKind.OLDER_ROWS),
        ({"overlap_rows": 1}, FailureKind.OVERLAP),
        ({"overlap_rows": None}, FailureKind.OVERLAP),
        ({"scores": np.where(DRAWN.champion > 0.1, np.inf, 0.5)}, FailureKind.NOT_FINITE),
        ({"scores": np.where(DRAWN.champion > 0.1, 0.6, 0.4)}, FailureKind.HARD_LABELS),
    ],
)
def test_a_contender_without_proven_provenance_does_not_count(changes: dict[str, Any], kind: FailureKind) -> None:
    """No scores and no error, one row short, unknown provenance, one row of overlap, two values."""
    assert evaluated(CHAMPION, replace(BETTER, **changes)).contender(2).failure_kind is kind


def test_a_champion_that_was_not_scored_makes_the_evaluation_incomplete() -> None:
    """No other version takes its place in comparisons."""
    found = evaluated(BETTER, champion=1)
    assert found.incomplete_because == ("champion version 1 was not scored",)
    assert found.comparisons == ()


def test_without_rows_the_evaluation_is_incomplete() -> None:
    """It is recorded, with no metric and no comparison."""
    found = evaluated(
        contender(1, np.empty(0)), labels=np.empty(0), times=DRAWN.times[:0], keys=[], slices={}, champion=None
    )
    assert found.incomplete_because == ("there are no rows to evaluate on",)
    assert found.window_start is None
    assert found.contenders[0].metrics == {}
    assert Evaluation.from_json(found.to_json()) == found


def test_without_a_champion_candidates_are_compared_with_a_constant_only() -> None:
    """The first evaluation ever."""
    found = evaluated(BETTER, WORSE, champion=None)
    assert {(c.candidate, c.against) for c in found.comparisons} == {(2, None), (3, None)}


def test_slices_too_small_are_measured_and_not_compared() -> None:
    """A slice of 50 rows has metrics and a count, and no comparison; a missing value is a slice of its own."""
    values = np.array([None] * 50 + ["JFK"] * 2_350, dtype=object)
    found = evaluated(CHAMPION, BETTER, slices={"origin": values})
    assert [(s.slice_value, s.rows) for s in found.contender(2).slices] == [("JFK", 2_350), ("missing", 50)]
    assert {c.slice_value for c in found.comparisons} == {None, "JFK"}


def test_a_slice_that_lies_on_one_day_is_compared_by_row() -> None:
    """It has no other days, but a regression on it must not be skipped silently."""
    values = np.where(DRAWN.times.day == DRAWN.times.day[0], "event", "other").astype(object)
    upside_down = np.where(values == "event", 1 - DRAWN.champion, BETTER.scores)
    policy = replace(DEFAULT_BINARY, minimum_days=2, minimum_slice_rows=100, minimum_slice_positives=5)
    found = evaluated(CHAMPION, replace(BETTER, scores=upside_down), slices={"event": values}, policy=policy)
    methods = {c.slice_value: c.method for c in found.comparisons if (c.metric, c.against) == ("roc_auc_score", 1)}
    assert methods == {None: "analytic_by_day", "event": "analytic", "other": "analytic_by_day"}
    (reason,) = [reason for reason in decide(found, policy).reasons if reason.rule == "slices"]
    assert not reason.passed
    assert "event = event" in reason.sentence


def test_instants_without_a_zone_are_in_utc() -> None:
    """On either side."""
    assert DRAWN.times.tz is None
    for until in (DRAWN.times.min(), DRAWN.times.min().tz_localize("UTC")):
        found = evaluated(CHAMPION, replace(BETTER, trained_until=until))
        assert found.contender(2).failure_kind is FailureKind.OLDER_ROWS


def test_labels_of_one_class_are_recorded_without_comparisons() -> None:
    """ROC AUC is not defined, so there is none, and nothing raises."""
    found = evaluated(CHAMPION, BETTER, labels=np.zeros(2_400))
    assert math.isnan(found.contender(1).metrics["roc_auc_score"])
    assert [c for c in found.comparisons if c.metric == "roc_auc_score"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": DRAWN.labels[1:]}, "2399 labels, but times has 2400, keys has 2400, slice 'origin' has 2400"),
        ({"keys": ["same"] * 2_400}, "2399 keys occur more than once"),
        ({"labels": np.where(np.arange(2_400) == 0, np.nan, DRAWN.labels)}, "1 labels are missing or infinite"),
        ({"labels": DRAWN.labels * 2}, "a binary problem has labels 0 and 1 only"),
        ({"times": DRAWN.times.where(np.arange(2_400) > 1)}, "2 rows have no time"),
    ],
)
def test_inconsistent_rows_cannot_be_evaluated(changes: dict[str, Any], message: str) -> None:
    """The caller's mistake is an error, not a record."""
    with pytest.raises(EvaluationError, match=message):
        evaluated(CHAMPION, BETTER, **changes)


def test_two_contenders_of_one_version_are_an_error() -> None:
    """A record must identify the version of every number."""
    with pytest.raises(EvaluationError, match="versions repeat"):
        evaluated(CHAMPION, CHAMPION)


def test_times_with_a_zone_are_counted_in_utc_days() -> None:
    """The same instants with and without a zone give the same days."""
    zoned = DRAWN.times.tz_localize("UTC").tz_convert("America/New_York")
    contenders = [replace(c, trained_until=BEFORE.tz_localize("UTC")) for c in (CHAMPION, BETTER)]
    found = evaluated(*contenders, times=zoned)
    assert found.days == WHOLE.days
    assert found.comparisons == tuple(c for c in WHOLE.comparisons if c.candidate == 2)


def test_a_record_survives_json() -> None:
    """What is read back equals what was written, NaN included."""
    whole = evaluated(
        CHAMPION, BETTER, contender(4, None, failure="broken"), slices={"day": DRAWN.times.day.to_numpy()}
    )
    text = whole.to_json()
    restored = Evaluation.from_json(text)
    assert restored.to_json() == text
    assert restored.digest == whole.digest
    assert restored.comparisons == whole.comparisons
    assert "NaN" not in text


def test_a_record_of_before_the_memory_of_days_could_be_declared_is_read() -> None:
    """Its days depended by what was allowed for then."""
    payload = json.loads(evaluated(CHAMPION, BETTER).to_json())["evaluation"] | {"days_depend": True}
    digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    assert Evaluation.from_json(json.dumps({"evaluation": payload, "digest": digest})).day_memory == DAY_MEMORY


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON document that holds a value."""
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [path]


def test_any_change_of_a_stored_record_is_evident() -> None:
    """Reading is refused after any value was edited, dropped or added."""
    text = evaluated(CHAMPION, BETTER, slices={}).to_json()
    for path in leaves(json.loads(text)["evaluation"]):
        tampered = json.loads(text)
        place = tampered["evaluation"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = "edited"
        with pytest.raises(RecordError, match=r"was changed after it was written|not a stored evaluation"):
            Evaluation.from_json(json.dumps(tampered))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"evaluation": {}}', "null", '{"evaluation": [], "digest": ""}'])
def test_a_text_that_is_not_a_record_is_refused(text: str) -> None:
    """An empty, truncated or foreign text."""
    with pytest.raises(RecordError):
        Evaluation.from_json(text)


def test_a_record_of_another_schema_is_refused() -> None:
    """A field that this version does not know is an error in one sentence, although the digest is right."""
    payload = {**json.loads(WHOLE.to_json())["evaluation"], "added_later": 1}
    digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    with pytest.raises(RecordError, match=r"stored by another version .*added_later"):
        Evaluation.from_json(json.dumps({"evaluation": payload, "digest": digest}))


def test_a_version_that_was_not_evaluated_is_named() -> None:
    """The error lists those that were."""
    with pytest.raises(KeyError, match=r"version 9 is not among the evaluated \[1, 2, 3\]"):
        WHOLE.contender(9)
