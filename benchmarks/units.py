"""How often the gate errs where rows share entities and days remember: ``python -m benchmarks.units [--sets N]``.

Prints one table: the share of simulated test sets, whose truth is known, on which the gate's comparison finds a candidate
better at its stated level, once with days as units and once with what a use case declares. The evidence for declared
clusters in ``ml/README.md``. Ends with 1 if a level is contradicted: the lower limit of the exact interval of false
promotions may lie at most `ALLOWED` above the stated level.

Only the test that decides is made, by the real `ml.metrics.standard_errors.delong`: the other rules of the gate can only
refuse, so they make no promotion more likely. ``python -m benchmarks.gate`` and the tests go through the whole gate.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.simulation.gate_test_sets import ENTITY, Drawn, Rate, Setting, draw
from ml.metrics.clusters import Units, effective_clusters
from ml.metrics.days import days_of
from ml.metrics.standard_errors import delong
from ml.spec.clusters import DAY_MEMORY, dependent_days
from ml.spec.gate_policy import DEFAULT_BINARY

SETS = 2_000
ALLOWED = 0.01
GAIN = 0.05
COMPARED = 4
"""One test set in so many is also judged with days as units, for comparison."""
WAYS = ("days", "declared")
"""Days that are independent of each other, as where nothing is declared; sampled entities and days that remember."""
_SHOPS = Setting(entity_spread=1.0, entity_error=1.0)
_MEMORY = Setting(day_quality=0.3, day_memory=0.5)
SETTINGS: Mapping[str, Setting] = {
    **{f"{count:,} entities": replace(_SHOPS, entities=count) for count in (20, 50, 200, 1_000)},
    "50 entities of unequal size": replace(_SHOPS, entities=50, size_spread=0.8),
    "days remember, 0.5": _MEMORY,
    "days remember, 0.7, 56 days": replace(_MEMORY, day_memory=0.7, days=56, rows=10_000),
    "days remember, 0.8, 90 days": replace(_MEMORY, day_memory=0.8, days=90, rows=16_000),
    "days remember, 0.7, declared as 0.5": replace(_MEMORY, day_memory=0.7),
    **{
        f"both, {count:,} entities": replace(_SHOPS, entities=count, day_quality=0.3, day_memory=0.5)
        for count in (20, 50, 200, 1_000)
    },
    "500 entities of very unequal size": replace(_SHOPS, entities=500, size_spread=1.2),
    "neither": Setting(entities=200),
}
"""All models are equal in expectation; 28 days, 5,000 rows, 10% positives, ROC AUC 0.75 within an entity and a day."""
DECLARED = {"days remember, 0.7, 56 days": 0.7, "days remember, 0.8, 90 days": 0.8}
"""What a use case declares of its days where they remember more than by the usual 0.5."""
BEYOND = frozenset({"days remember, 0.7, declared as 0.5"})
"""More memory than is declared: measured, so that the limit is known, and not judged."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a level is contradicted."""
    parser = argparse.ArgumentParser(description="Error rates of the gate on rows that depend on each other.")
    parser.add_argument(
        "--sets", type=int, default=SETS, help="simulated test sets for each level (default %(default)s)"
    )
    parser.add_argument("--power-sets", type=int, help="test sets for each power (default: a quarter)")
    parser.add_argument(
        "--settings", nargs="*", choices=list(SETTINGS), default=list(SETTINGS), help="rows of the table"
    )
    options = parser.parse_args(arguments)
    power_sets = options.power_sets or max(1, options.sets // 4)
    alpha = DEFAULT_BINARY.alpha or 0.0
    print(
        f"Promoted, {options.sets:,} test sets with equal models and {power_sets:,} with a gain of {GAIN}; stated {alpha:.1%}"
    )
    print(f"| stream | days as units | declared clusters | 95% from, to | gain of {GAIN}, days | declared | refused |")
    print("|" + "---|" * 7)
    held = True
    for name in options.settings:
        memory = DECLARED.get(name, DAY_MEMORY)
        level, refused = found_better(SETTINGS[name], sets=options.sets, seed=1, day_memory=memory)
        power, _ = found_better(replace(SETTINGS[name], gains=(GAIN,)), sets=power_sets, seed=2, day_memory=memory)
        low, high = level["declared"].interval()
        held &= low <= alpha + ALLOWED or name in BEYOND
        print(
            f"| {name} | {level['days'].share:.1%} | **{level['declared'].share:.1%}** | {low:.1%}, {high:.1%} "
            f"| {power['days'].share:.0%} | {power['declared'].share:.0%} | {refused.share:.0%} |",
            flush=True,
        )
    print(f"the stated level is {'held' if held else 'CONTRADICTED'}")
    return int(not held)


def found_better(setting: Setting, *, sets: int, seed: int, day_memory: float) -> tuple[dict[str, Rate], Rate]:
    """Return for each of `WAYS` how often the candidate is found better, and how often the declared way is refused.

    `day_memory` is what is declared, whatever `setting` draws. A refused test set counts as not promoted.
    """
    better, refused = dict.fromkeys(WAYS, 0), 0
    compared = max(1, sets // COMPARED)
    for number in range(sets):
        drawn = draw(setting, np.random.default_rng([seed, number]))
        days = Units(days=days_of(drawn.times))
        if number < compared:
            better["days"] += _is_better(drawn, days)
        sampled = {ENTITY: drawn.entities} if setting.entities else {}
        declared = replace(days, entities=sampled, day_memory=day_memory)
        few = np.unique(days.days).size < dependent_days(day_memory, DEFAULT_BINARY.minimum_dependent_days)
        few |= any(effective_clusters(codes) < DEFAULT_BINARY.minimum_entities for codes in sampled.values())
        refused += few
        better["declared"] += not few and _is_better(drawn, declared)
    made = {"days": compared, "declared": sets}
    rates = {way: Rate(promoted=better[way], test_sets=made[way]) for way in WAYS}
    return rates, Rate(promoted=refused, test_sets=sets)


def _is_better(drawn: Drawn, units: Units) -> bool:
    found = delong(drawn.labels, drawn.candidates[0], drawn.champion, groups=units)
    return found.p_above() <= (DEFAULT_BINARY.alpha or 0.0)


if __name__ == "__main__":
    sys.exit(main())
