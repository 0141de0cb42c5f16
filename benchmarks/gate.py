"""What the gate costs and how often it errs: ``python -m benchmarks.gate [--test-sets N]``.

Prints two tables. The first compares the time of the bootstrap and of DeLong's test with resampling by scikit-learn's
``roc_auc_score`` in a loop, and of the test by day and by entity with the plain one, in the same run. The second gives the promotion rates of several policies on simulated test
sets whose truth is known: the evidence for the default policy in ``ml/README.md``.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from benchmarks.limits import Figure, Limit, judge
from benchmarks.simulation.gate_test_sets import BOTH_WAYS, ENTITY, Rate, Setting, promotion_rates
from ml.metrics.bootstrap import paired_bootstrap
from ml.metrics.clusters import Units, units_of
from ml.metrics.metric_table import metric
from ml.metrics.standard_errors import delong
from ml.spec.gate_policy import ARTICLE, ARTICLE_UNPAIRED, DEFAULT_BINARY, Correction, GatePolicy, Method

Floats = NDArray[np.float64]

ROWS = 1_000_000
MEASURED_RESAMPLES = 10
"""Resamples of the slow loop that are run; its time is extrapolated from them."""
LOOP = f"roc_auc_score in a loop (extrapolated from {MEASURED_RESAMPLES} resamples)"
BOOTSTRAP = Limit(what="paired bootstrap, 100 resamples", alternative=LOOP, at_most=1 / 50)
DELONG = Limit(what="DeLong's test instead of 1,000 resamples", alternative=LOOP, at_most=1 / 300)
CLUSTERED = Limit(what="DeLong's test by day and by entity", alternative="the plain test", at_most=3)
LIMITS = (BOOTSTRAP, DELONG, CLUSTERED)
"""For `ROWS` rows; with few rows the fixed cost of a call decides."""
ENTITIES = 5_000
DAYS = 28
TEST_SETS = 1_000
MONTHS = 12

_DELONG = GatePolicy(name="delong", metric="roc_auc_score", method=Method.ANALYTIC, alpha=0.05)
POLICIES: dict[str, GatePolicy] = {
    "article, unpaired (its code): 90% of 100": replace(ARTICLE_UNPAIRED, reported=()),
    "article, paired: 90% of 100": replace(ARTICLE, reported=()),
    "DeLong, one-sided 5%": _DELONG,
    "DeLong by day, one-sided 5%": replace(_DELONG, method=Method.ANALYTIC_BY_DAY),
    "DeLong by day, one-sided 2.5%": replace(_DELONG, method=Method.ANALYTIC_BY_DAY, alpha=0.025),
    "default: the same, with all guards": DEFAULT_BINARY,
}
SETTINGS: dict[str, Setting] = {
    "equal": Setting(),
    "+0.008": Setting(gains=(0.008,)),
    "+0.017": Setting(gains=(0.017,)),
    "-0.0085": Setting(gains=(-0.0085,)),
    "equal, days differ": Setting(day_spread=1.0),
}
MANY: dict[str, GatePolicy] = {
    "article, paired: 90% of 100": replace(ARTICLE, reported=()),
    "the same, share corrected for 10": replace(ARTICLE, reported=(), correction=Correction.BONFERRONI),
    "DeLong 5%, uncorrected": replace(_DELONG, correction=Correction.NONE),
    "DeLong 5%, Holm": _DELONG,
    "default (2.5%, Holm)": replace(DEFAULT_BINARY, slice_tolerance=None),
}
BEST_OF = Setting(gains=(0.0,) * 10, slices=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables; return 1 if a time is above its limit."""
    parser = argparse.ArgumentParser(description="Cost and error rates of the promotion gate.")
    parser.add_argument("--test-sets", type=int, default=TEST_SETS, help="simulated test sets for each rate")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the timed comparison")
    options = parser.parse_args(arguments)
    print(f"Two models' ROC AUC on the same {options.rows:,} rows")
    code = judge(timings(options.rows))
    print(f"\nPromotion rates, {options.test_sets:,} test sets of 5,000 rows, 10% positives, ROC AUC 0.75")
    print(rates_table(SETTINGS, POLICIES, test_sets=options.test_sets, yearly_of="equal"))
    print("\nThe best of 10 candidates, all equal to the champion")
    print(rates_table({"equal": BEST_OF}, MANY, test_sets=max(1, options.test_sets // 4), yearly_of="equal"))
    return code


def timings(rows: int) -> list[Figure]:
    """Return the times of the bootstrap and of DeLong's test, each with its alternative's in the same run."""
    labels, first, second = _scores(rows)
    auc = metric("roc_auc_score")
    one = _seconds(lambda: _loop(labels, first, second, MEASURED_RESAMPLES)) / MEASURED_RESAMPLES
    bootstrap = _seconds(lambda: paired_bootstrap(labels, first, second, metric=auc, resamples=100, seed=1))
    analytic = _seconds(lambda: delong(labels, first, second))
    units = _units(rows)
    clustered = _seconds(lambda: delong(labels, first, second, groups=units))
    return [
        Figure(limit=BOOTSTRAP, seconds=bootstrap, alternative_seconds=100 * one),
        Figure(limit=DELONG, seconds=analytic, alternative_seconds=1_000 * one),
        Figure(limit=CLUSTERED, seconds=clustered, alternative_seconds=analytic),
    ]


def rates_table(
    settings: dict[str, Setting], policies: dict[str, GatePolicy], *, test_sets: int, yearly_of: str
) -> str:
    """Return the promotion rates as lines of Markdown; the last column is for a year of monthly retrainings."""
    rates = measure_rates(settings, policies, test_sets=test_sets)
    head = f"| promoted when | {' | '.join(settings)} | {yearly_of}, {MONTHS} months |"
    lines = [head, "|" + "---|" * (len(settings) + 2)]
    for policy in policies:
        shares = " | ".join(f"{rates[name][policy].share:.1%}" for name in settings)
        lines.append(f"| {policy} | {shares} | {rates[yearly_of][policy].within(MONTHS):.0%} |")
    return "\n".join(lines)


def measure_rates(
    settings: dict[str, Setting], policies: dict[str, GatePolicy], *, test_sets: int
) -> dict[str, dict[str, Rate]]:
    """Return every policy's promotion rate in every setting, the settings shared out over the processors."""
    workers = max(1, os.cpu_count() or 1)
    parts = [
        size for size in (test_sets * (i + 1) // workers - test_sets * i // workers for i in range(workers)) if size
    ]
    with ProcessPoolExecutor(workers) as pool:
        pending = {
            name: [
                pool.submit(promotion_rates, setting, policies, test_sets=size, seed=seed)
                for seed, size in enumerate(parts)
            ]
            for name, setting in settings.items()
        }
        return {name: _together([future.result() for future in futures]) for name, futures in pending.items()}


def _together(parts: list[dict[str, Rate]]) -> dict[str, Rate]:
    return {
        policy: Rate(
            promoted=sum(part[policy].promoted for part in parts),
            test_sets=sum(part[policy].test_sets for part in parts),
        )
        for policy in parts[0]
    }


def _scores(rows: int) -> tuple[Floats, Floats, Floats]:
    generator = np.random.default_rng(7)
    labels = (generator.random(rows) < 0.1).astype(np.float64)
    shared = generator.normal(size=rows) + labels
    first, second = (expit(shared + 0.5 * generator.normal(size=rows)) for _ in range(2))
    return labels, first, second


def _units(rows: int) -> Units:
    """Return days and entities of the rows."""
    generator = np.random.default_rng(8)
    days = np.sort(generator.integers(18_000, 18_000 + DAYS, rows))
    entities = pd.DataFrame({ENTITY: generator.integers(0, ENTITIES, rows)})
    return units_of(days, entities, BOTH_WAYS)


def _loop(labels: Floats, first: Floats, second: Floats, resamples: int) -> list[float]:
    generator = np.random.default_rng(1)
    differences = []
    for _ in range(resamples):
        rows = generator.integers(0, labels.size, labels.size)
        differences.append(roc_auc_score(labels[rows], first[rows]) - roc_auc_score(labels[rows], second[rows]))
    return differences


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
