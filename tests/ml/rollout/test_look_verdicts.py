"""At a look the gate promotes, shows a fault or shows the champion to be better, each at a level that many looks share."""

from dataclasses import replace

import numpy as np
import pytest

from ml.evaluation.contender import Contender
from ml.evaluation.record import Evaluation
from ml.metrics.standard_errors import delong
from ml.rollout.decision import RolloutMove
from ml.rollout.look_verdicts import LookVerdicts, verdicts_of_look
from ml.spec.gate_policy import NON_INFERIOR_BINARY, GatePolicy
from tests.ml.gate.test_decision import BETTER, CHAMPION, DRAWN, EQUAL, POLICY, contender, evaluated
from tests.ml.rollout.test_decision import decided

DAY = np.unique(DRAWN.times.floor("D"), return_inverse=True)[1]
GATE = replace(POLICY, guard_rails=(), calibration_limit=None)


def looked(own: Contender, *, gate: GatePolicy = GATE, look: int = 1) -> LookVerdicts:
    """What the gate says of a challenger against version 1."""

    def measured(policy: GatePolicy, exchanged: bool) -> Evaluation:
        return evaluated(CHAMPION, own, champion=own.version if exchanged else 1, policy=policy)

    return verdicts_of_look(gate, look, measured=measured, costs=None)


def move(found: LookVerdicts) -> tuple[RolloutMove, tuple[str, ...]]:
    """What becomes of the challenger, and the rules by which it is returned."""
    decision = decided(verdict=found.verdict, fault_verdict=found.faults, reversed_verdict=found.exchanged)
    return decision.move, decision.returning


def test_a_better_challenger_goes_on() -> None:
    """At the first look."""
    assert move(looked(BETTER)) == (RolloutMove.ADVANCE, ())


def test_a_challenger_that_is_as_good_goes_on_where_the_gate_accepts_it() -> None:
    """With the roles exchanged the champion is as good, too: that makes the challenger no worse."""
    noise = np.random.default_rng(0).normal(scale=0.001, size=DRAWN.labels.size)
    alike = contender(2, np.clip(DRAWN.champion + noise, 0, 1))
    gate = replace(GATE, name=NON_INFERIOR_BINARY.name, margin=NON_INFERIOR_BINARY.margin)
    assert move(looked(alike, gate=gate)) == (RolloutMove.ADVANCE, ())
    worse = contender(2, 1 - DRAWN.champion)
    assert "worse" in move(looked(worse, gate=replace(gate, slice_tolerance=None)))[1]


def fallen_on_a_slice(share: float) -> Contender:
    """The better challenger with scores of its own for a share of the rows of slice 3."""
    rng = np.random.default_rng(1)
    chosen = (DRAWN.slices == "3") & (rng.random(DRAWN.labels.size) < share)
    return contender(2, np.where(chosen, rng.permutation(BETTER.scores), BETTER.scores))


@pytest.mark.parametrize(("look", "expected"), [(1, RolloutMove.RETURN), (12, RolloutMove.WAIT)])
def test_a_fall_on_a_slice_returns_at_the_level_of_the_look_and_stops_at_the_whole_one(
    look: int, expected: RolloutMove
) -> None:
    """By a p-value that one look shows and one of many does not; it is taken from DeLong's test on the slice itself."""
    own = fallen_on_a_slice(0.25)
    assert isinstance(own.scores, np.ndarray)
    rows = DRAWN.slices == "3"
    tested = delong(DRAWN.labels[rows], own.scores[rows], DRAWN.champion[rows], groups=DAY[rows])
    corrected = 4 * tested.p_below(-GATE.slice_tolerance * 0.5)  # type: ignore[operator]  # Holm's smallest of four
    assert 0.05 / (12 * 13) < corrected < 0.05 / 2
    found = looked(own, look=look)
    assert "slices" in {reason.rule for reason in found.verdict.failed}
    assert move(found)[0] is expected


def test_too_few_rows_are_no_look() -> None:
    """Nothing but the rows is judged."""
    found = looked(replace(EQUAL, version=2), gate=replace(GATE, minimum_rows=10_000))
    assert (found.decides, found.faults, found.exchanged) == (False, None, None)
