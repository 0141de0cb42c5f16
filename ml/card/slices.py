"""The section of a model card about slices: which the gate judged, and which it could not, with the power it had there."""

from collections.abc import Iterator

from ml.card.decided import basis_of
from ml.card.facts import CardFacts
from ml.card.record import CardSection, CardTable
from ml.card.texts import count, deciding, number, p_value, span
from ml.evaluation.comparison import Comparison
from ml.evaluation.record import SmallSlice
from ml.gate.slice_basis import ALONE, NO_RULE
from ml.gate.slice_rules import SHOWN_FALL, power_of_guard

SLICES = "Slices"


def slices_section(facts: CardFacts) -> CardSection:
    """Return every slice once: judged against the champion, too small for that, or only measured."""
    judged, small = judged_slices(facts), small_slices(facts)
    if facts.evaluation.champion is None:
        sentence = "No slice was judged: there was no champion to compare with."
        return CardSection(heading=SLICES, sentences=(sentence,), tables=tuple(_measured(facts)))
    if facts.policy is not None and facts.policy.slice_tolerance is None:
        sentence = f"No slice was judged: the policy {facts.evaluation.policy!r} has no rule for slices."
        return CardSection(heading=SLICES, sentences=(sentence,), tables=tuple(_measured(facts)))
    if not judged and not small:
        return CardSection(heading=SLICES, sentences=("No slice was compared.",), tables=tuple(_measured(facts)))
    alone = [one for one in small if not one.pooled]
    sentence = (
        f"{len(judged)} slices were judged against version {facts.evaluation.champion} in {facts.evaluation.metric}; "
        f"{len(small)} were too small to be judged alone, of which {len(small) - len(alone)} were judged together."
    )
    return CardSection(heading=SLICES, sentences=(sentence,), tables=(*_judged(facts), *_small(facts, small)))


def judged_slices(facts: CardFacts) -> list[Comparison]:
    """Return the comparisons with the champion on slices, in the deciding metric."""
    evaluation = facts.evaluation
    wanted = (facts.version, evaluation.metric, evaluation.champion)
    return [
        c
        for c in evaluation.comparisons
        if c.slice_key is not None and evaluation.champion is not None and (c.candidate, c.metric, c.against) == wanted
    ]


def small_slices(facts: CardFacts) -> list[SmallSlice]:
    """Return the slices that were too small to be judged alone."""
    return [one for one in facts.evaluation.small_slices if one.candidate == facts.version]


def _judged(facts: CardFacts) -> Iterator[CardTable]:
    found = [one for one in basis_of(facts).slices if one.judged in (ALONE, NO_RULE)]
    if found:
        yield CardTable(
            caption="Judged; positive differences mean better than the champion",
            columns=("slice", "rows", "value", "difference", "95% interval of this slice alone", "interval of the rule",
                     "p of a fall within tolerance"),
            rows=tuple(
                (one.name, count(one.rows), number(one.candidate_value), f"{one.difference:+.4f}",
                 span(one.low, one.high), "no rule" if one.judged == NO_RULE else deciding(one.interval),
                 p_value(None if one.interval is None else one.interval.p_value))
                for one in sorted(found, key=lambda one: one.name)
            ),
        )  # fmt: skip


def _small(facts: CardFacts, found: list[SmallSlice]) -> Iterator[CardTable]:
    if found:
        yield CardTable(
            caption="Too small to be judged alone; the power is that of the gate's guard, for the fall that is named",
            columns=("slice", "rows", "rows of the rarer class", "judged", "difference seen", "power"),
            rows=tuple(
                (f"{one.slice_key} = {one.slice_value}", count(one.rows),
                 "no classes" if one.rarer is None else count(one.rarer), "with other small slices" if one.pooled else "no",
                 "not defined" if one.difference is None else f"{one.difference:+.4f}", _power(facts, one))
                for one in found
            ),
        )  # fmt: skip


def _power(facts: CardFacts, one: SmallSlice) -> str:
    """Return how likely the guard sees a fall of a stated size, or why that cannot be said."""
    if one.standard_error is None or one.degrees_of_freedom is None:
        return "none: too few rows for a test"
    if facts.policy is None:
        return "not known: the policy has changed since"
    fall = SHOWN_FALL * one.unit
    power = power_of_guard(
        fall - one.tolerance, one.standard_error, one.degrees_of_freedom, level=facts.policy.small_slice_alpha
    )
    return f"a fall of {fall:.3g} is seen in {power:.0%}"


def _measured(facts: CardFacts) -> Iterator[CardTable]:
    """Yield the version's own values on slices."""
    found = [c for c in facts.evaluation.contenders if c.version == facts.version]
    metric = facts.evaluation.metric
    rows = [
        (f"{one.slice_key} = {one.slice_value}", count(one.rows), number(one.metrics.get(metric)))
        for contender in found
        for one in contender.slices
    ]
    if rows:
        yield CardTable(caption=f"Measured: {metric}", columns=("slice", "rows", "value"), rows=tuple(rows))
