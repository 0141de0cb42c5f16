"""How often the gate errs when it judges money: ``python -m benchmarks.costs [--sets N]``.

Prints one table: the share of simulated test sets, whose truth is known, on which the comparison in the cost of a request
finds a candidate better at its stated level, where models are equal and where the candidate is better. The evidence for the
policy ``least_cost`` in ``ml/README.md``. Ends with 1 if a level is contradicted: the lower limit of the exact interval of
false promotions may lie at most `ALLOWED` above the stated level.

Only the test that decides is made, by the real `ml.metrics.standard_errors.paired_mean`: the other rules can only refuse.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.simulation.gate_test_sets import BOTH_WAYS, ENTITY, Drawn, Rate, Setting, draw
from benchmarks.units import ALLOWED, GAIN
from benchmarks.units import SETTINGS as CLUSTERED
from ml.metrics.clusters import Units
from ml.metrics.days import days_of
from ml.metrics.metric_table import cost_metric
from ml.metrics.standard_errors import paired_mean
from ml.spec.costs import Costs
from ml.spec.gate_policy import LEAST_COST

SETS = 1_000
SETTINGS: Mapping[str, Setting] = {
    "independent rows": Setting(),
    "days differ": Setting(day_spread=0.3),
    **{name: CLUSTERED[name] for name in ("50 entities", "days remember, 0.5", "both, 50 entities")},
}
"""All models are equal in expectation; 28 days, 5,000 rows, 10% positives, ROC AUC 0.75."""
PRICES: Mapping[str, Costs] = {
    f"1 : {missed}": Costs(false_positive=1.0, false_negative=float(missed)) for missed in (1, 2, 9, 30)
}
"""What acting in vain costs, to what not acting does: with 1 : 1 hardly anybody acts, with 1 : 30 nearly all are acted on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a level is contradicted."""
    parser = argparse.ArgumentParser(description="Error rates of the gate when it judges the cost of a request.")
    parser.add_argument(
        "--sets", type=int, default=SETS, help="simulated test sets for each level (default %(default)s)"
    )
    parser.add_argument("--power-sets", type=int, help="test sets for each power (default: a quarter)")
    options = parser.parse_args(arguments)
    alpha, held = LEAST_COST.alpha or 0.0, True
    print(f"Promoted, of {options.sets:,} test sets with equal models; stated {alpha:.1%}")
    print(f"| stream | costs | threshold | promoted | 95% from, to | gain of {GAIN} |")
    print("|" + "---|" * 6)
    for stream, setting in SETTINGS.items():
        for prices, costs in PRICES.items():
            level = found_cheaper(setting, costs, sets=options.sets, seed=1)
            better = replace(setting, gains=(GAIN,))
            power = found_cheaper(better, costs, sets=options.power_sets or max(1, options.sets // 4), seed=2)
            low, high = level.interval()
            held &= low <= alpha + ALLOWED
            shown = f"| {stream} | {prices} | {costs.threshold:.3f} | **{level.share:.1%}** | {low:.1%}, {high:.1%} |"
            print(f"{shown} {power.share:.0%} |", flush=True)
    print(f"the stated level is {'held' if held else 'CONTRADICTED'}")
    return int(not held)


def found_cheaper(setting: Setting, costs: Costs, *, sets: int, seed: int) -> Rate:
    """Return how often the candidate is found to cost less."""
    drawn = (draw(setting, np.random.default_rng([seed, number])) for number in range(sets))
    return Rate(promoted=sum(_is_cheaper(one, setting, costs) for one in drawn), test_sets=sets)


def _is_cheaper(drawn: Drawn, setting: Setting, costs: Costs) -> bool:
    entities = {ENTITY: drawn.entities} if setting.entities else {}
    memory = BOTH_WAYS.day_memory if setting.entities or setting.day_memory else 0
    units = Units(days=days_of(drawn.times), entities=entities, day_memory=memory)
    losses = cost_metric(costs).row_loss
    assert losses is not None  # noqa: S101 -- a cost is a mean over rows
    found = paired_mean(losses(drawn.labels, drawn.champion), losses(drawn.labels, drawn.candidates[0]), groups=units)
    return found.p_above() <= (LEAST_COST.alpha or 0.0)


if __name__ == "__main__":
    sys.exit(main())
