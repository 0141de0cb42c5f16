"""How often noise becomes champion where a label's value decides when it is known: by the rule of today and the one before.

``python -m benchmarks labels``. Each drawing is judged against a constant and against a champion that learned from other
noise. The command fails if, with the rule of today, the lower limit of a rate lies above the gate's level plus a point.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from benchmarks.simulation.gate_test_sets import Rate
from benchmarks.simulation.label_timing import RULES
from pipelines.canary import SHAPES, noise_verdicts
from pipelines.declarations.registry import use_case

TEST_SETS = 100
ALLOWED_ABOVE = 0.01
"""How far the lower confidence limit of a rate may lie above the gate's level."""
Cell = tuple[str, str, str]
"""The shape, what it is judged against, and the rule."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a rate of today's rule is too high."""
    parser = argparse.ArgumentParser(description="False promotions on labels whose value decides when they are known.")
    parser.add_argument("--test-sets", type=int, default=TEST_SETS, help="drawings for each shape and rule")
    parser.add_argument("--use-case", default="flight_delay", help="whose gate and first estimator judge")
    options = parser.parse_args(arguments)
    level = use_case(options.use_case).gate.alpha or 0.0
    rates = measure(options.use_case, options.test_sets)
    print(f"Noise promoted, {options.use_case}, {options.test_sets} drawings each; the gate's level is {level:.1%}")
    print(table(rates))
    wrong = [cell for cell, rate in rates.items() if cell[2] == "when due" and too_often(rate, level)]
    for shape, against, _ in wrong:
        print(f"too often: {shape}, against a {against}", file=sys.stderr)
    return int(bool(wrong))


def measure(name: str, test_sets: int) -> dict[Cell, Rate]:
    """Return the rates of all shapes and rules, shared out over the processors."""
    jobs = [(name, shape, rule, number) for shape in SHAPES for rule in RULES for number in range(test_sets)]
    with ProcessPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        promoted = Counter(cell for cells in pool.map(_promoted, jobs, chunksize=5) for cell in cells)
    cells = [(shape, against, rule) for shape in SHAPES for rule in RULES for against in ("constant", "champion")]
    return {cell: Rate(promoted=promoted[cell], test_sets=test_sets) for cell in cells}


def table(rates: dict[Cell, Rate]) -> str:
    """Return the rates as lines of Markdown, each with its 95% interval."""
    heads = [f"{against}, {rule}" for rule in RULES for against in ("constant", "champion")]
    lines = [f"| labels become known | {' | '.join(heads)} |", "|" + "---|" * (len(heads) + 1)]
    for shape in SHAPES:
        cells = [rates[shape, against, rule] for rule in RULES for against in ("constant", "champion")]
        texts = ("{:.0%} ({:.0%} to {:.0%})".format(rate.share, *rate.interval()) for rate in cells)
        lines.append(f"| {shape} | {' | '.join(texts)} |")
    return "\n".join(lines)


def too_often(rate: Rate, level: float) -> bool:
    """Return whether chance does not explain a rate above the level and a point."""
    return rate.interval()[0] > level + ALLOWED_ABOVE


def _promoted(job: tuple[str, str, str, int]) -> list[Cell]:
    name, shape, rule, number = job
    declared = use_case(name)
    lean = replace(declared, estimators=declared.estimators[:1])
    random = np.random.default_rng([number, list(SHAPES).index(shape)])
    verdicts = noise_verdicts(lean, shape, random, rule=RULES[rule])
    return [(shape, one.against, rule) for one in verdicts if one.promoted]


if __name__ == "__main__":
    sys.exit(main())
