"""How often the gate errs where one of several classes is predicted: ``python -m benchmarks.classes [--sets N]``.

Prints one table: the share of simulated test sets, whose truth is known, on which the comparison finds a candidate better at
the stated level of the policy, where models are equal and where the candidate is better; in the metric of the default policy, the
mean of the ROC AUCs of every class against the rest, in the logarithmic loss, and in the cost of a request by several tables of
costs. Ends with 1 if a level is contradicted: the lower limit of the exact interval of false promotions may lie at most `ALLOWED`
above the stated level.

Only the test that decides is made, by the real `ml.evaluation.comparison.tested`: the other rules can only refuse.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.simulation.class_streams import ClassSetting, draw_classes
from benchmarks.simulation.gate_test_sets import Rate
from benchmarks.units import ALLOWED
from ml.evaluation.comparison import tested
from ml.metrics.metric_table import cost_metric, metric
from ml.metrics.quality_metrics import Metric
from ml.spec.costs import ClassCosts
from ml.spec.gate_policy import DEFAULT_MULTI_CLASS
from ml.spec.target import MultiClass

SETS = 2_000
GAIN = 0.2
CLASSES = MultiClass(classes=("rare", "middle", "frequent"))
PRICES: Mapping[str, ClassCosts] = {
    "every error 1": ClassCosts(amounts={a: {b: 1.0 for b in CLASSES.classes if b != a} for a in CLASSES.classes}),
    "1 or 2 by distance": ClassCosts(
        amounts={
            "rare": {"middle": 1.0, "frequent": 2.0},
            "middle": {"rare": 1.0, "frequent": 1.0},
            "frequent": {"rare": 2.0, "middle": 1.0},
        }
    ),
    "rare missed 9, else 1": ClassCosts(
        amounts={
            "rare": {"middle": 9.0, "frequent": 9.0},
            "middle": {"rare": 1.0, "frequent": 1.0},
            "frequent": {"rare": 1.0, "middle": 1.0},
        }
    ),
}
"""What errors cost: with the first table the rare class is hardly ever decided for, with the last one often."""
METRICS: Mapping[str, Metric] = {
    **{name: metric(name, CLASSES) for name in (DEFAULT_MULTI_CLASS.metric, "log_loss")},
    **{f"cost per request, {name}": cost_metric(costs, CLASSES) for name, costs in PRICES.items()},
}
"""What decides, by its name in the table."""
SETTINGS: Mapping[str, ClassSetting] = {
    "independent rows": ClassSetting(),
    "50 entities": ClassSetting(entities=50),
    "days remember, 0.5": ClassSetting(day_quality=0.1, day_memory=0.5),
    "both, 50 entities": ClassSetting(entities=50, day_quality=0.1, day_memory=0.5),
}
"""Both models are equal in expectation; 28 days, 5,000 rows, classes of 10%, 30% and 60%."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a level is contradicted."""
    parser = argparse.ArgumentParser(description="Error rates of the gate where one of several classes is predicted.")
    parser.add_argument(
        "--sets", type=int, default=SETS, help="simulated test sets for each level (default %(default)s)"
    )
    parser.add_argument("--power-sets", type=int, help="test sets for each power (default: a quarter)")
    options = parser.parse_args(arguments)
    alpha, held = DEFAULT_MULTI_CLASS.alpha or 0.0, True
    print(f"Promoted, of {options.sets:,} test sets with equal models; stated {alpha:.1%}")
    print(f"| stream | metric | equal models promoted | 95% from, to | evidence higher by {GAIN} |")
    print("|" + "---|" * 5)
    for stream, setting in SETTINGS.items():
        levels = found_better(setting, sets=options.sets, seed=1)
        better = replace(setting, gain=GAIN)
        powers = found_better(better, sets=options.power_sets or max(1, options.sets // 4), seed=2)
        for name, level in levels.items():
            low, high = level.interval()
            held &= low <= alpha + ALLOWED
            shown = f"| {stream} | {name} | **{level.share:.1%}** | {low:.1%}, {high:.1%} |"
            print(f"{shown} {powers[name].share:.0%} |", flush=True)
    print(f"the stated level is {'held' if held else 'CONTRADICTED'}")
    return int(not held)


def found_better(setting: ClassSetting, *, sets: int, seed: int) -> dict[str, Rate]:
    """Return how often the candidate is found to be better, in each metric on the same test sets."""
    promoted = dict.fromkeys(METRICS, 0)
    for number in range(sets):
        drawn = draw_classes(setting, np.random.default_rng([seed, number]))
        for name, judged in METRICS.items():
            found = tested(judged, drawn.labels, drawn.candidate, drawn.champion, drawn.units, None)
            oriented = replace(found, value=judged.sign * found.value)
            promoted[name] += oriented.p_above() <= (DEFAULT_MULTI_CLASS.alpha or 0.0)
    return {name: Rate(promoted=count, test_sets=sets) for name, count in promoted.items()}


if __name__ == "__main__":
    sys.exit(main())
