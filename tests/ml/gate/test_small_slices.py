"""A slice that is too small to judge is named with what was seen there, and a clear fall on it is refused."""

import re

import numpy as np
import pytest
from scipy import special, stats

from benchmarks.simulation.gate_test_sets import Setting, draw
from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.evaluation.record import Evaluation
from ml.evaluation.slices import OTHERS
from ml.gate.decision import decide
from ml.gate.slice_rules import power_of_guard
from ml.gate.verdict import Reason, Verdict
from ml.spec.estimator import Problem
from ml.spec.gate_policy import DEFAULT_BINARY

ROWS = 8_000
DRAWN = draw(Setting(gains=(0.05,), rows=ROWS, positive_share=0.2), np.random.default_rng(7))


def evaluated(carriers: np.ndarray, scores: np.ndarray = DRAWN.candidates[0]) -> Evaluation:
    """Candidate 2 against champion 1, with carriers as slices."""
    contenders = [
        Contender(
            version=version, estimator="drawn", scores=values, overlap_rows=0, seconds_per_1000_rows=0.01,
            trained_until=DRAWN.times.min() - np.timedelta64(1, "D"),
        )
        for version, values in ((1, DRAWN.champion), (2, scores))
    ]  # fmt: skip
    return evaluate(
        evaluation_id="e", model="m", labels=DRAWN.labels, times=DRAWN.times, keys=[str(i) for i in range(ROWS)],
        contenders=contenders, champion=1, slices={"carrier": carriers}, problem=Problem.BINARY,
        policy=DEFAULT_BINARY, seed=0,
    )  # fmt: skip


def carriers_with(**shares: float) -> np.ndarray:
    """The carrier of each row: `AA`, and some with a share of the rows each."""
    found = np.full(ROWS, "AA", dtype=object)
    order, begin = np.random.default_rng(3).permutation(ROWS), 0
    for name, share in shares.items():
        end = begin + round(share * ROWS)
        found[order[begin:end]] = name
        begin = end
    return found


def reversed_on(rows: np.ndarray) -> np.ndarray:
    """The better candidate, with its order turned round on some rows."""
    centre = np.median(special.logit(DRAWN.candidates[0][rows]))
    turned = special.expit(2 * centre - special.logit(DRAWN.candidates[0]))
    return np.where(rows, turned, DRAWN.candidates[0])


def small(verdict: Verdict) -> Reason:
    """The reason about small slices."""
    return next(reason for reason in verdict.reasons if reason.rule == "small_slices")


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05])
def test_an_order_reversed_on_a_small_share_of_the_rows_is_refused_by_name(share: float) -> None:
    """On 1%, 2% and 5%: with the slice and what was observed there."""
    carriers = carriers_with(YV=share)
    verdict = decide(evaluated(carriers, reversed_on(carriers == "YV")), DEFAULT_BINARY)
    assert verdict.promoted is None
    broken = next(reason for reason in verdict.failed if reason.rule in ("slices", "small_slices"))
    assert "carrier = YV" in broken.sentence
    assert "carrier = YV" in verdict.sentence
    if broken.rule == "small_slices":
        assert re.search(rf"carrier = YV with {round(share * ROWS)} rows, worse by 0\.[3-9]", broken.sentence)


def test_a_sound_candidate_is_promoted_and_its_small_slices_are_named() -> None:
    """With what was observed and the power of the guard; the sentence of the verdict says it too."""
    evaluation = evaluated(carriers_with(YV=0.01, HA=0.0005))
    verdict = decide(evaluation, DEFAULT_BINARY)
    assert verdict.promoted == 2
    said = small(verdict).sentence
    assert said.startswith("2 of 3 slices not judged, and 0 only together with others: carrier = YV with 80 rows, ")
    assert "a fall of 0.1 would be seen in " in said
    assert "carrier = HA with 4 rows, too few" in said
    assert said in verdict.sentence
    assert {one.slice_value for one in evaluation.small_slices} == {"YV", "HA"}


def test_without_small_slices_the_verdict_says_that_all_were_judged() -> None:
    """Nothing is added to its sentence."""
    verdict = decide(evaluated(carriers_with(UA=0.4)), DEFAULT_BINARY)
    assert small(verdict).sentence == "all 2 slices of version 2 are large enough to be judged"
    assert "slices" not in verdict.sentence


def test_small_slices_of_a_column_are_judged_together() -> None:
    """Eight carriers of 100 rows each: reversed on all of them they are found as one slice."""
    names = {f"C{number}": 100 / ROWS for number in range(8)}
    carriers = carriers_with(**names)
    evaluation = evaluated(carriers, reversed_on(carriers != "AA"))
    judged = {c.slice_value: c.rows for c in evaluation.comparisons if c.slice_key == "carrier"}
    assert judged[OTHERS] == 800
    assert all(one.pooled for one in evaluation.small_slices)
    verdict = decide(evaluation, DEFAULT_BINARY)
    assert f"carrier = {OTHERS} by" in next(reason for reason in verdict.failed if reason.rule == "slices").sentence


def test_few_small_slices_are_not_large_enough_together() -> None:
    """Two of 60 rows stay apart."""
    evaluation = evaluated(carriers_with(A=60 / ROWS, B=60 / ROWS))
    assert {c.slice_value for c in evaluation.comparisons if c.slice_key} == {"AA"}
    assert not any(one.pooled for one in evaluation.small_slices)


def test_at_most_five_small_slices_are_named_the_most_suspicious_first() -> None:
    """The others are counted."""
    names = {f"C{number}": 40 / ROWS for number in range(7)}
    carriers = carriers_with(**names)
    scores = np.where(carriers == "C4", DRAWN.champion * 0.5 + 0.5 * reversed_on(carriers == "C4"), DRAWN.candidates[0])
    said = small(decide(evaluated(carriers, scores), DEFAULT_BINARY)).sentence
    assert said.count("carrier = ") <= 5
    assert "carrier = C4" in said


def test_the_power_of_the_guard_is_that_of_its_test() -> None:
    """Against draws from the distribution for which it is stated."""
    random = np.random.default_rng(0)
    error = np.sqrt(0.04**2 * random.chisquare(12, 40_000) / 12)
    seen = (random.normal(0.1, 0.04, 40_000) / error) > stats.t.isf(0.05, 12)
    assert power_of_guard(0.1, 0.04, 12, level=0.05) == pytest.approx(seen.mean(), abs=0.04)
    assert power_of_guard(0.0, 0.04, 12, level=0.05) == pytest.approx(0.05)


def test_records_with_and_without_small_slices_survive_json() -> None:
    """A record without them is written as releases wrote it that did not know them."""
    with_small, without = evaluated(carriers_with(YV=0.01)), evaluated(carriers_with(UA=0.4))
    for found in (with_small, without):
        restored = Evaluation.from_json(found.to_json())
        assert (restored.small_slices, restored.digest) == (found.small_slices, found.digest)
    assert '"small_slices"' not in without.to_json()
    assert '"entities"' not in without.to_json()
