"""The noise canary: a use case's estimators and gate on labels of pure noise, whose value decides when they are known.

Nothing predicts such labels, so no model may become champion more often than the gate's level allows. The rows pass
through what training and evaluation use: `ml.labels` chooses them, `ml.models` fits and scores, `ml.evaluation` and
`ml.gate` decide. No engine, table or registry is needed.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.gate.decision import decide
from ml.gate.verdict import Verdict
from ml.labels.maturity import LabelCounts, standings
from ml.labels.windows import TrainingWindows, training_windows
from ml.models.prediction import predict
from ml.spec.errors import sentence_of
from ml.spec.estimator import EstimatorSpec, Problem
from ml.spec.target import MULTI_CLASS, MultiClass, Target
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.declarations.use_case import UseCase
from pipelines.tasks.versions.fitting import fit_rows, metric_weights, searched

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

END = dt.datetime(2024, 6, 1)  # noqa: DTZ001 - numpy's instants have no zone; all are in UTC
REQUESTS_A_DAY, EVALUATION_DAYS, TRAINING_DAYS = 150, 21, 60
"""At least so many; more where the gate demands more, or outcomes take longer."""
HIGH_SHARE: Mapping[str, float] = MappingProxyType({Problem.BINARY: 0.3, Problem.REGRESSION: 0.5, MULTI_CLASS: 0.6})
"""The share of labels that are high: 1 for a binary problem, any but the first of several classes, above the median for a
regression."""
BLUR_DAYS = 1
CATEGORIES = ("a", "b", "c")
ENTITIES = 200
"""Of each declared kind; more than the gate demands."""
NEVER = np.inf
SEARCH_TRIALS = 4
"""A search makes no more of them here: noise is noise for every one."""
SMALLEST_CHANCE = 0.001
"""So many promotions or more must have at least this probability at the gate's level."""


@dataclass(frozen=True, kw_only=True)
class DecidingRule:
    """Which requests decide.

    Attributes
    ----------
    choose
        Called as `ml.labels.maturity.standings`.
    waits
        Whether the windows end where outcomes are due.
    """

    choose: Callable[..., tuple[NDArray[np.object_], Floats]]
    waits: bool


WHEN_DUE = DecidingRule(choose=standings, waits=True)
"""The rule of training, evaluation and monitoring."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How labels become known.

    Attributes
    ----------
    delays
        From random numbers, which labels are high and the days until an outcome is due, to the days until each is known;
        infinite for never.
    without_outcome
        What the use case states for no outcome, in place of its own statement.
    """

    delays: Callable[[np.random.Generator, Mask, float], Floats]
    without_outcome: float | None = None


def _at_once(random: np.random.Generator, high: Mask, due: float) -> Floats:
    return np.where(high, random.uniform(0, due, high.size), due)


def _reverse(random: np.random.Generator, high: Mask, due: float) -> Floats:
    return _at_once(random, ~high, due)


def _exponential(random: np.random.Generator, high: Mask, due: float) -> Floats:
    return random.exponential(np.where(high, due / 4, due), high.size)


def _some_never(random: np.random.Generator, high: Mask, due: float) -> Floats:
    return np.where(~high & (random.random(high.size) < 0.5), NEVER, _at_once(random, high, due))


def _low_never(random: np.random.Generator, high: Mask, due: float) -> Floats:
    return np.where(high, random.uniform(0, due, high.size), NEVER)


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "high labels at once, low ones when due": Shape(delays=_at_once),
        "low labels at once, high ones when due": Shape(delays=_reverse),
        "exponential delays, low labels four times as slow": Shape(delays=_exponential),
        "half of the low labels never": Shape(delays=_some_never),
        "no low label ever, and no outcome counts as 0": Shape(delays=_low_never, without_outcome=0.0),
    }
)


@dataclass(frozen=True, kw_only=True)
class NoiseVerdict:
    """What the gate decided about models of noise.

    Attributes
    ----------
    against
        ``constant`` for a first champion; ``champion`` for a candidate against a model that learned from other noise.
    counts
        Of the requests of the evaluation window.
    """

    shape: str
    against: str
    counts: LabelCounts
    verdict: Verdict

    @property
    def promoted(self) -> bool:
        """Whether a model of noise became champion."""
        return self.verdict.promoted is not None


@dataclass(frozen=True, kw_only=True)
class CanaryRecord:
    """The result of a use case's canary.

    Attributes
    ----------
    level
        Largest probability with which the gate states to promote without a difference.
    """

    use_case: str
    seed: int
    level: float
    verdicts: tuple[NoiseVerdict, ...]

    @property
    def false_promotions(self) -> int:
        """How many of the verdicts promoted."""
        return sum(one.promoted for one in self.verdicts)

    @property
    def held(self) -> bool:
        """Whether chance at the gate's level explains so many promotions."""
        chance = stats.binom.sf(self.false_promotions - 1, len(self.verdicts), self.level)
        return bool(chance >= SMALLEST_CHANCE)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        shapes = ", ".join(dict.fromkeys(f"{one.shape!r}" for one in self.verdicts if one.promoted))
        where = f" (labels known: {shapes})" if shapes else ""
        judged = "as chance allows" if self.held else "more than chance allows"
        return (
            f"{self.false_promotions} of {len(self.verdicts)} evaluations on pure noise promoted a model{where}: {judged} at "
            f"the gate's level of {self.level:.1%}."
        )


def run_canary(
    use_case: UseCase, *, seed: int, shapes: Sequence[str] = tuple(SHAPES), rule: DecidingRule = WHEN_DUE
) -> CanaryRecord:
    """Evaluate the use case's estimators on noise, twice for each shape: against a constant and against a champion.

    Parameters
    ----------
    shapes
        Names of `SHAPES`.
    rule
        Another one than the product's shows what it would do.
    """
    verdicts = [
        verdict
        for number, name in enumerate(shapes)
        for verdict in noise_verdicts(use_case, name, np.random.default_rng([seed, number]), rule=rule)
    ]
    alpha = use_case.gate.alpha
    level = alpha if alpha is not None else 1 - (use_case.gate.minimum_win_share or 0.0)
    return CanaryRecord(use_case=use_case.name, seed=seed, level=level, verdicts=tuple(verdicts))


def noise_verdicts(
    use_case: UseCase, shape: str, random: np.random.Generator, *, rule: DecidingRule = WHEN_DUE
) -> Iterator[NoiseVerdict]:
    """Yield the verdicts on one drawing of requests and labels."""
    stated = use_case.without_outcome if SHAPES[shape].without_outcome is None else SHAPES[shape].without_outcome
    windows = _windows(use_case, waits=rule.waits)
    rows = _drawn(use_case, SHAPES[shape], random, windows.training_from)
    split = windows.evaluation_from
    trained, _ = _part(use_case, rows, (windows.training_from, split, split), rule, stated)
    evaluated, counts = _part(use_case, rows, (split, windows.end, windows.end), rule, stated)
    other = trained.assign(label=random.permutation(trained["label"].to_numpy(np.float64)))
    champion = _contender(use_case, 0, use_case.estimators[0], other, evaluated)
    candidates = [
        _contender(use_case, number, spec, trained, evaluated)
        for number, spec in enumerate(use_case.estimators, start=1)
    ]
    for against, contenders in (("constant", candidates), ("champion", [champion, *candidates])):
        evaluation = evaluate(
            evaluation_id="canary", model=use_case.model.address, labels=evaluated["label"].to_numpy(np.float64),
            times=evaluated["prediction_at"], keys=evaluated["request_key"].tolist(), contenders=contenders,
            champion=0 if against == "champion" else None, problem=use_case.problem, policy=use_case.gate, seed=1,
            slices={name: evaluated[name].to_numpy(object) for name in use_case.slices}, label_counts=counts,
            clusters=use_case.clusters,
            entities={name: evaluated[name].to_numpy(object) for name in use_case.clusters.columns},
            weights=metric_weights(use_case, evaluated), weight_column=use_case.weight.column if use_case.weight else "",
            costs=use_case.costs,
        )  # fmt: skip
        yield NoiseVerdict(
            shape=shape, against=against, counts=counts, verdict=decide(evaluation, use_case.gate, use_case.costs)
        )


def _windows(use_case: UseCase, *, waits: bool) -> TrainingWindows:
    """Return windows of which the days until an outcome is due are a large part: there a wrong rule shows most."""
    due, gate = use_case.label_due_days, use_case.gate
    demanded = gate.least_days(use_case.clusters.day_memory)
    return training_windows(
        END,
        due_days=due if waits else 0,
        evaluation_days=max(EVALUATION_DAYS, demanded + 1 if gate.method.by_day else 0),
        training_days=max(TRAINING_DAYS, 4 * due),
    )


def _drawn(use_case: UseCase, shape: Shape, random: np.random.Generator, since: dt.datetime) -> pd.DataFrame:
    """Return requests whose labels have nothing to do with their inputs. Every number is the day, blurred.

    A rule that takes labels as they come lets the share of high labels change over the last days, and a model can learn
    that from the day.
    """
    days = (END - since).total_seconds() / 86_400
    count = round(days * max(REQUESTS_A_DAY, _demanded(use_case)))
    age = np.sort(random.uniform(0, days, count))
    rows = pd.DataFrame({name: age + random.normal(0, BLUR_DAYS, count) for name in use_case.numeric_inputs})
    for name in use_case.categorical_inputs:
        rows[name] = random.choice(np.array(CATEGORIES, dtype=object), count)
    for name in use_case.clusters.columns:
        rows[name] = random.integers(0, ENTITIES, count).astype(str).astype(object)
    if use_case.weight is not None:
        rows[SAMPLE_WEIGHT] = random.uniform(0.5, 1.5, count)
    high = random.random(count) < HIGH_SHARE[str(use_case.problem)]
    known_after = shape.delays(random, high, use_case.label_due_days)
    known_at = pd.Timestamp(since) + pd.to_timedelta(
        np.where(np.isinf(known_after), np.nan, age + known_after), unit="D"
    )
    return rows.assign(
        request_key=[str(number) for number in range(count)],
        prediction_at=pd.Timestamp(since) + pd.to_timedelta(age, unit="D"),
        drawn_known_at=known_at,
        drawn_label=_labels(random, high, use_case.problem),
    )


def _demanded(use_case: UseCase) -> float:
    """Return how many requests a day meet the gate's minimums, with a reserve for labels that never come."""
    gate, days = use_case.gate, _windows(use_case, waits=True)
    evaluated = (days.end - days.evaluation_from).days - use_case.label_due_days
    rarest = HIGH_SHARE[str(use_case.problem)] / max(1, len(use_case.problem.classes) - 1)
    return max(2 * gate.minimum_rows, 2 * gate.minimum_positives / rarest) / evaluated


def _labels(random: np.random.Generator, high: Mask, problem: Target) -> Floats:
    """Return labels, high where they are to be: 0 and 1, the first class and any other, or quantities."""
    if isinstance(problem, MultiClass):
        return np.where(high, random.integers(1, len(problem.classes), high.size), 0).astype(np.float64)
    return high.astype(np.float64) if problem.classes else _quantities(random, high)


def _quantities(random: np.random.Generator, high: Mask) -> Floats:
    """Return draws of a normal distribution, positive where they are to be high."""
    drawn = np.abs(random.normal(size=high.size))
    return np.where(high, drawn, -drawn)


def _part(
    use_case: UseCase, rows: pd.DataFrame, window: tuple[dt.datetime, dt.datetime, dt.datetime], rule: DecidingRule,
    without_outcome: float | None,
) -> tuple[pd.DataFrame, LabelCounts]:  # fmt: skip
    """Return the rows of a window that decide at its instant, with their label, and the counts of all of them."""
    since, until, at = window
    asked = rows[(rows["prediction_at"] >= since) & (rows["prediction_at"] < until)]
    standing, labels = rule.choose(
        asked["prediction_at"].to_numpy("datetime64[us]"), asked["drawn_known_at"].to_numpy("datetime64[us]"),
        asked["drawn_label"].to_numpy(np.float64), at=np.datetime64(at, "us"), due_days=use_case.label_due_days,
        without_outcome=without_outcome,
    )  # fmt: skip
    names, numbers = np.unique(standing.astype(str), return_counts=True)
    counts = LabelCounts.of(dict(zip(names.tolist(), numbers.tolist(), strict=True)))
    return asked.assign(label=labels)[~np.isnan(labels)], counts


def _contender(
    use_case: UseCase, version: int, spec: EstimatorSpec, trained: pd.DataFrame, evaluated: pd.DataFrame
) -> Contender:
    inputs = list(use_case.fitted_inputs)
    scores, failure = None, None
    try:
        if spec.search is not None:
            few = replace(spec, search=replace(spec.search, trials=min(spec.search.trials, SEARCH_TRIALS)))
            found = searched(use_case, few, trained, seed=1)
            spec = found.spec if found else spec
        model = fit_rows(use_case, spec, trained, seed=1)
        scores = predict(model, evaluated[inputs], problem=use_case.problem)
    except Exception as error:  # noqa: BLE001 - a model that fails is recorded, as in an evaluation
        failure = sentence_of(error)
    return Contender(
        version=version, estimator=spec.name, scores=scores, trained_until=trained["prediction_at"].max(),
        overlap_rows=0, seconds_per_1000_rows=0.001, failure=failure,
    )  # fmt: skip
