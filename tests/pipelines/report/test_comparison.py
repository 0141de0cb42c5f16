"""The effect of retraining is computed from the predictions of both models, month by month, and stated in words."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.metrics.clusters import Units
from ml.metrics.metric_table import METRICS
from ml.metrics.standard_errors import delong
from ml.spec.estimator import Problem
from ml.spec.gate_policy import DEFAULT_BINARY, DEFAULT_REGRESSION, GatePolicy
from pipelines.report.comparison import Judgement, MonthOutcome, mean_difference, month_outcomes
from pipelines.report.records import Scored
from pipelines.report.wording import retraining_sentences

ROWS = 2_000
SEED = 0


def month(
    number: int,
    *,
    champion: float = 0.0,
    baseline: float = 0.0,
    versions: tuple[int, int] = (2, 1),
    labels: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> Scored:
    """Return a month of requests whose scores contain so much of the truth; both models share most of their noise."""
    random = np.random.default_rng(100 * seed + number)
    truth = random.normal(size=ROWS)
    label = (truth + random.normal(size=ROWS) > 1).astype(float)
    shared = random.normal(size=ROWS)
    instants = np.datetime64(f"2013-{number:02d}-01") + random.integers(0, 28, ROWS).astype("timedelta64[D]")
    scores = [
        1 / (1 + np.exp(1 - (own * truth + shared + 0.2 * random.normal(size=ROWS)))) for own in (champion, baseline)
    ]
    if versions[0] == versions[1]:
        scores[1] = scores[0]
    return Scored(
        instants=instants.astype("datetime64[us]"), labels=label if labels is None else labels, champion=scores[0],
        baseline=scores[1], champion_version=np.full(ROWS, versions[0]), baseline_version=np.full(ROWS, versions[1]),
    )  # fmt: skip


OF_ROWS = [name for name in Scored.__dataclass_fields__ if name not in ("weights", "entities", "share", "day_memory")]
"""What every row has."""


def year(*parts: Scored) -> Scored:
    """Return several months as one record."""
    return Scored(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in OF_ROWS})


def outcomes(
    scored: Scored, policy: GatePolicy = DEFAULT_BINARY, secondary: str | None = "log_loss"
) -> tuple[MonthOutcome, ...]:
    """Return the outcomes of the months."""
    problem = Problem.BINARY if policy.metric == "roc_auc_score" else Problem.REGRESSION
    return month_outcomes(scored, policy, secondary, problem=problem)


def test_each_month_is_judged_as_it_was_constructed() -> None:
    """Better, worse, within chance and the same model are distinguished, each in its own month."""
    lived = outcomes(
        year(
            month(4, versions=(1, 1), champion=0.8),
            month(5, champion=1.2, baseline=0.5),
            month(6, champion=0.5, baseline=1.2),
            month(7, champion=0.8, baseline=0.8),
        )
    )
    assert [o.judgement for o in lived] == ["same model", "better", "worse", "within chance"]
    assert [o.month for o in lived] == [dt.datetime(2013, n, 1, tzinfo=dt.UTC) for n in (4, 5, 6, 7)]
    assert lived[0].difference is None
    assert lived[1].low > 0 > lived[2].high


def test_the_difference_is_delongs_with_days_as_units() -> None:
    """The report uses the test of the gate."""
    scored = month(5, champion=1.0, baseline=0.7)
    days = scored.instants.astype("datetime64[D]").astype(np.int64)
    expected = delong(scored.labels, scored.champion, scored.baseline, groups=days)
    found = outcomes(scored)[0]
    assert found.difference == pytest.approx(expected.value)
    assert found.standard_error == pytest.approx(expected.standard_error)
    assert (found.low, found.high) == pytest.approx(expected.interval())


def test_rows_that_share_entities_are_judged_by_them() -> None:
    """A difference that is one of a few entities is within chance where they are a sample: by rows and days it is shown."""
    scored = month(5, champion=0.8, baseline=0.8)
    entity = np.arange(scored.labels.size) % 20
    liking = np.where(entity < 6, 0.6, 0.0) * (2 * scored.labels - 1)
    logit = np.log(scored.champion / (1 - scored.champion))
    lucky = replace(scored, champion=1 / (1 + np.exp(-logit - liking)))
    assert outcomes(lucky)[0].judgement is Judgement.BETTER
    known = outcomes(replace(lucky, entities=entity[:, None].astype(np.int64)))[0]
    expected = delong(
        lucky.labels, lucky.champion, lucky.baseline,
        groups=Units(days=lucky.instants.astype("datetime64[D]").astype(np.int64), entities={"0": entity}),
    )  # fmt: skip
    assert known.standard_error == pytest.approx(expected.standard_error)
    assert known.standard_error > 2 * outcomes(lucky)[0].standard_error


def test_of_an_error_the_lower_one_is_better() -> None:
    """The direction comes from the metric's name: a champion with the smaller error has a positive difference."""
    scored = month(5)
    closer = replace(scored, champion=scored.labels + 0.1, baseline=scored.labels + 0.4 + 0.01 * scored.champion)
    found = outcomes(closer, DEFAULT_REGRESSION, "root_mean_squared_error")[0]
    assert found.judgement is Judgement.BETTER
    assert found.difference > 0
    said = " ".join(retraining_sentences([found], "mean_absolute_error"))
    assert "Retraining helped on average" in said
    assert "lower mean absolute error is better" in said


def test_the_largest_of_twelve_chance_differences_is_within_chance() -> None:
    """Holm's correction: a difference that would count alone does not count as the largest of several, nor is it shown as one."""
    largest = month(5, champion=0.85, baseline=0.8, seed=SEED)
    alone = outcomes(largest)[0]
    assert alone.judgement is Judgement.BETTER
    assert alone.low > 0
    others = [month(n, champion=0.8, baseline=0.8, seed=SEED) for n in range(6, 10)]
    together = outcomes(year(largest, *others))
    assert together[0].low <= 0 < together[0].difference
    assert together[0].high - together[0].low > alone.high - alone.low
    assert together[0].judgement is Judgement.WITHIN_CHANCE


def test_the_mean_difference_is_of_the_months_with_two_models() -> None:
    """A month in which both are the same model does not enter the mean."""
    lived = outcomes(
        year(month(4, versions=(1, 1)), month(5, champion=1.2, baseline=0.5), month(6, champion=1.0, baseline=0.5))
    )
    mean = mean_difference(lived)
    assert mean.months == 2
    assert mean.value == pytest.approx((lived[1].difference + lived[2].difference) / 2)
    error = np.hypot(lived[1].standard_error, lived[2].standard_error) / 2
    assert mean.high - mean.low == pytest.approx(2 * 1.959964 * error, rel=1e-5)


def test_a_month_without_an_effect_is_named() -> None:
    """Months that were better, within chance and worse are each named; so is the one with a single model."""
    lived = outcomes(
        year(
            month(4, versions=(1, 1)),
            month(5, champion=1.2, baseline=0.5),
            month(6, champion=0.5, baseline=1.2),
            month(7, champion=0.8, baseline=0.8),
        )
    )
    said = retraining_sentences(lived, "roc_auc_score")
    assert "It helped, beyond chance, in May." in said
    assert "No effect was shown in July: the difference is within chance." in said
    assert "In June the retrained model was worse than the first one, beyond chance." in said
    assert "In April the champion was still the first model, so there is no difference to measure." in said


@pytest.mark.parametrize(
    ("champion", "baseline", "verdict"),
    [
        (1.2, 0.5, "Retraining helped on average"),
        (0.5, 1.2, "Retraining made the model worse on average"),
        (0.8, 0.8, "On average, the effect of retraining is within chance"),
    ],
)
def test_the_first_sentence_follows_the_interval_of_the_mean(champion: float, baseline: float, verdict: str) -> None:
    """Above zero retraining helped, below it made the model worse, around zero nothing is claimed."""
    lived = outcomes(year(*(month(n, champion=champion, baseline=baseline) for n in (5, 6, 7))))
    assert retraining_sentences(lived, "roc_auc_score")[0].startswith(verdict)


def test_a_champion_that_was_never_replaced_leaves_nothing_to_compare() -> None:
    """With one model all year there is no mean, and a sentence says so."""
    lived = outcomes(year(month(4, versions=(1, 1)), month(5, versions=(1, 1))))
    assert mean_difference(lived) is None
    assert retraining_sentences(lived, "roc_auc_score") == (
        "The champion was never replaced, so the value of retraining cannot be stated.",
    )


@pytest.mark.parametrize("labels", [np.full(ROWS, np.nan), np.zeros(ROWS)], ids=["no labels", "one class only"])
def test_a_month_whose_labels_define_no_metric_is_not_comparable(labels: NDArray[np.float64]) -> None:
    """No labels yet, or one class only: the month is shown without a difference."""
    found = outcomes(month(5, labels=labels))[0]
    assert found.judgement is Judgement.UNKNOWN
    assert found.difference is None
    assert (found.mean_label is None) == bool(np.isnan(labels).all())


def test_no_rows_give_no_months() -> None:
    """No prediction gives no outcome."""
    none = Scored(**{name: getattr(month(5), name)[:0] for name in OF_ROWS})
    assert outcomes(none) == ()


def test_observed_predicted_top_tenth_and_constant_are_those_of_the_month() -> None:
    """They equal what plain numpy computes on the rows with a label."""
    scored = month(5, champion=1.0)
    labels = scored.labels.copy()
    labels[:700] = np.nan
    found = outcomes(replace(scored, labels=labels))[0]
    known = ~np.isnan(labels)
    order = np.argsort(-scored.champion[known])[: round(0.1 * known.sum())]
    rate = labels[known].mean()
    assert found.labelled == known.sum()
    assert found.mean_label == pytest.approx(rate)
    assert found.mean_score == pytest.approx(scored.champion[known].mean())
    assert found.top_label == pytest.approx(labels[known][order].mean())
    assert found.constant == pytest.approx(METRICS["log_loss"].function(labels[known], np.full(known.sum(), rate)))
