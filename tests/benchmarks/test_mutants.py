"""A share of the mutants of stacks, settings and legitimate changes; ``python -m benchmarks mutants`` draws them all."""

from collections.abc import Mapping

import pytest

from benchmarks.mutants.code import CHANGES, ROOT
from benchmarks.mutants.judging import judged_settings, judged_stacks, shipped
from benchmarks.mutants.mutant import CLASSES, draw
from benchmarks.mutants.settings import BAD, LEGITIMATE
from infra.config.loading import Settings
from infra.terraform_cli.synthesized import SynthesizedStack

Shipped = tuple[Mapping[str, SynthesizedStack], Settings]
FLOOR = 1.0
"""The share of harmful mutants that is stopped, in each class. It only rises, and cannot."""
EACH = 2


@pytest.fixture(scope="module")
def made() -> Shipped:
    """Return the stacks of the shipped settings, made once."""
    return shipped()


@pytest.mark.parametrize("of", CLASSES)
def test_every_harmful_mutant_of_a_class_is_stopped(of: str, made: Shipped) -> None:
    """Harm is fixed where a mutant is drawn; what survives is named with the seed that draws it again."""
    (tally,) = judged_stacks(*made, seed="suite", each=EACH, classes=(of,))
    assert (tally.survivors, tally.false_alarms) == ((), ())
    assert tally.harmful >= EACH * FLOOR - 1


def test_bad_settings_are_refused_and_legitimate_changes_pass() -> None:
    """GPU machines, public exposure with ranges, another region, groups that exist, serverless jobs and the rest pass."""
    bad, legitimate = judged_settings(every=5)
    assert bad.survivors == ()
    assert legitimate.false_alarms == ()
    assert bad.harmful == len(BAD[::5])
    assert len(BAD) >= 50
    assert len(LEGITIMATE) >= 25


def test_a_seed_draws_the_same_mutants_again(made: Shipped) -> None:
    """A survivor can be looked at; another seed draws others."""
    stacks, _ = made
    first, again, other = (
        [
            {name: stack.content for name, stack in mutant.stacks.items()}
            for mutant in draw(stacks, "federation", seed, 3)
        ]
        for seed in ("a", "a", "b")
    )
    assert first == again
    assert first != other


def test_mutants_of_code_fit_the_code() -> None:
    """Each text that is replaced is still there."""
    for change in CHANGES:
        assert change.old in (ROOT / change.module).read_text(encoding="utf-8"), change.name
    assert len({change.name for change in CHANGES}) == len(CHANGES) >= 20
