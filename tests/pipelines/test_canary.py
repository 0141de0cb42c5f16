"""The noise canary: labels of pure noise promote no model, however their value decides when they become known."""

from dataclasses import replace

import pytest

from benchmarks.simulation.label_timing import AS_SOON_AS_KNOWN
from pipelines.canary import SHAPES, CanaryRecord, run_canary
from pipelines.declarations.registry import use_case, use_cases
from pipelines.declarations.use_case import UseCase


def lean(declared: UseCase) -> UseCase:
    """The use case with its first estimator only, which is linear and quick."""
    return replace(declared, estimators=declared.estimators[:1])


@pytest.fixture(scope="module", params=[declared.name for declared in use_cases()])
def record(request: pytest.FixtureRequest) -> CanaryRecord:
    """The canary of each declared use case."""
    return run_canary(lean(use_case(request.param)), seed=1)


def test_noise_promotes_no_more_models_than_the_gates_level_allows(record: CanaryRecord) -> None:
    """In every shape, against a constant and against a champion."""
    assert [(one.shape, one.against) for one in record.verdicts] == [
        (shape, against) for shape in SHAPES for against in ("constant", "champion")
    ]
    assert record.held, record.sentence
    assert record.false_promotions <= 1


def test_every_request_of_the_evaluation_is_counted_and_only_those_that_decide_are_evaluated(
    record: CanaryRecord,
) -> None:
    """A seventh of the window is not due yet; late and missing outcomes are counted where the shape has them."""
    counts = {one.shape: one.counts for one in record.verdicts}
    for found in counts.values():
        assert 0 < found.not_due < found.requests - found.deciding + 1
        assert found.requests == found.deciding + found.not_due + found.late + found.without_outcome
    at_once, _, exponential, some_never, low_never = (counts[name] for name in SHAPES)
    assert (at_once.late, at_once.without_outcome, at_once.assumed) == (0, 0, 0)
    if use_case(record.use_case).without_outcome is None:
        assert exponential.late > 0
        assert some_never.without_outcome > some_never.labelled / 4
    else:  # what is late or never comes has the stated value
        assert exponential.assumed > 0
        assert some_never.assumed > some_never.labelled / 4
    assert (low_never.without_outcome, low_never.labelled > 0, low_never.assumed > 0) == (0, True, True)


def test_labels_taken_as_soon_as_they_are_known_promote_noise() -> None:
    """The canary notices the rule that it is there to find."""
    shapes = list(SHAPES)[:3]
    found = run_canary(lean(use_case("flight_delay")), seed=1, shapes=shapes, rule=AS_SOON_AS_KNOWN)
    assert not found.held, found.sentence
    assert "pure noise promoted a model (labels known: " in found.sentence
    assert "more than chance allows" in found.sentence
