"""The gate's and the monitors' figures from summaries against the exact computation: ``python -m benchmarks.scale``.

Two models scored requests of 30 days and 2,000 stores. Both ways give ROC AUC and log loss of either model and of their
difference, with variances by day (which may depend on the day before), by store and by both, on all rows and on five
slices. The exact computation reads the rows; summaries are computed by the engine. Each runs in a process of its own.

``--rows 50000000`` is the proof that memory does not grow with the rows: the exact way runs on at most ``--exact`` rows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.demonstration import resident
from benchmarks.limits import Figure, Limit, judge
from ml.metrics.addends import segment_name
from ml.metrics.clusters import Units, codes_of
from ml.metrics.days import days_of
from ml.metrics.metric_table import METRICS
from ml.metrics.score_grid import ROC_AUC_BOUND
from ml.metrics.segment_sums import Layout
from ml.metrics.standard_errors import delong, paired_mean
from ml.spec.clusters import DAY_MEMORY
from ml.spec.estimator import Problem
from pipelines.dataframes.segment_sums import Asked, summarise
from pipelines.lakehouse.engines.embedded import session

ROWS, EXACT_ROWS = 5_000_000, 2_000_000
FILE_ROWS = 500_000
DAYS, STORES = 30, 2_000
KINDS = ("a", "b", "c", "d", "e")
COMPARED = ("roc_auc_score", "log_loss")
EACH_ROW = Limit(
    what="summaries of a row, both models with slices", alternative="the exact computation of a row", at_most=4
)
LIMITS = (EACH_ROW,)
LIMIT_GIB = 8
"""Memory at the peak, whatever the number of rows."""
SAMPLED_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one way printed, with its seconds and its peak of memory in bytes."""

    found: dict[str, list[float]]
    rows: int
    seconds: float
    peak: int

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.rows:,} rows in {self.seconds:.0f} s, {self.peak / 2**30:.1f} GiB at the peak"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both ways; return 1 if errors, memory or time are above what is stated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows that are summarised (default %(default)s)")
    parser.add_argument("--exact", type=int, default=EXACT_ROWS, help="rows of the exact way (default %(default)s)")
    parser.add_argument("--run", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        way, folder = options.run
        print(json.dumps({"exact": exact, "summaries": summaries}[way](Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few"), Path(folder, "many")
        store(few, min(options.exact, options.rows))
        store(many, options.rows)
        alone, same, large = ran("exact", few), ran("summaries", few), ran("summaries", many)
    print(f"  exact: {alone.line}\n  summaries: {same.line}\n  summaries: {large.line}; at most {LIMIT_GIB} GiB")
    wrong = _errors(alone.found, same.found)
    per_row = Figure(limit=EACH_ROW, seconds=large.seconds, alternative_seconds=alone.seconds * large.rows / alone.rows)
    return judge([per_row]) | int(wrong or large.peak > LIMIT_GIB * 2**30)


def ran(way: str, folder: Path) -> Ran:
    """Run one way in a process of its own and watch its memory."""
    command = [sys.executable, "-m", "benchmarks.scale", "--run", way, str(folder)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603 - our own module
        while running.poll() is None:
            peak = max(peak, resident(running.pid))
            time.sleep(SAMPLED_SECONDS)
        assert running.stdout is not None  # noqa: S101 - narrows the type for mypy
        printed = running.stdout.read()
    if running.returncode:
        raise RuntimeError(f"{way} ended with {running.returncode}")
    found = json.loads(printed)
    return Ran(found=found["found"], rows=found["rows"], seconds=found["seconds"], peak=peak)


def exact(folder: Path) -> dict[str, Any]:
    """Read the rows and compute as the tasks do below their limit."""
    begun = time.perf_counter()
    rows = pq.read_table(folder).to_pandas()
    labels, days = rows["label"].to_numpy(np.float64), days_of(rows["prediction_at"])
    units = Units(days=days, entities={"store": codes_of(rows["store"])}, day_memory=DAY_MEMORY)
    found = {}
    kinds = rows["kind"].to_numpy(object)
    for kind in (None, *KINDS):
        chosen = np.flatnonzero(np.ones(len(rows), dtype=np.bool_) if kind is None else kinds == kind)
        own, truth = units.take(chosen), labels[chosen]
        scores = [rows[name].to_numpy(np.float64)[chosen] for name in ("first", "second")]
        for name in COMPARED:
            loss = METRICS[name].row_loss
            compared = (
                delong(truth, *scores, groups=own)
                if loss is None
                else paired_mean(*(loss(truth, one) for one in scores), groups=own)
            )
            found[f"{name} {kind}"] = [compared.first, compared.second, compared.standard_error]
    return {"found": found, "rows": len(rows), "seconds": time.perf_counter() - begun}


def summaries(folder: Path) -> dict[str, Any]:
    """Let the engine summarise the rows."""
    spark = session()
    begun = time.perf_counter()
    frame = spark.read.parquet(str(folder))
    rows = frame.count()
    layout = Layout(
        problem=Problem.BINARY, scores=("first", "second"), slices=("kind",), entities=("store",), day_memory=DAY_MEMORY
    )
    asked = tuple((name, "first", "second") for name in COMPARED)
    summary = summarise(
        frame, layout, key="request_key", count=rows, asked=lambda found: Asked(segments=found, quantities=asked)
    )
    found = {}
    for kind in (None, *KINDS):
        errors = summary.errors[segment_name(()) if kind is None else segment_name((), "kind", kind)]
        for quantity in asked:
            compared = errors.difference(quantity, by_unit=True)
            found[f"{quantity[0]} {kind}"] = [compared.first, compared.second, compared.standard_error]
    return {"found": found, "rows": rows, "seconds": time.perf_counter() - begun}


def store(folder: Path, rows: int) -> None:
    """Write rows as files of a bounded size."""
    folder.mkdir()
    for number, first in enumerate(range(0, rows, FILE_ROWS)):
        pq.write_table(made(first, min(FILE_ROWS, rows - first), number), folder / f"{number:05}.parquet")


def made(first: int, count: int, seed: int) -> pa.Table:
    """Return scored requests; days and stores have effects of their own, and the second model is a little worse."""
    random = np.random.default_rng(seed)
    effects = np.random.default_rng(0)
    by_day, by_store = effects.normal(0, 0.2, DAYS), effects.normal(0, 0.3, STORES)
    day, store_of = random.integers(0, DAYS, count), random.integers(0, STORES, count)
    seen = random.normal(size=count)
    chance = 1 / (1 + np.exp(1.5 - seen - by_day[day] - by_store[store_of]))
    instants = pd.DatetimeIndex(np.datetime64("2024-03-01") + day, tz="UTC")
    return pa.table({
        "request_key": [f"request-{number}" for number in range(first, first + count)],
        "prediction_at": pa.array(instants, pa.timestamp("us", "UTC")),
        "label": (random.random(count) < chance).astype(np.float64),
        "first": 1 / (1 + np.exp(1.5 - seen)),
        "second": 1 / (1 + np.exp(1.5 - seen - random.normal(0, 0.2, count))),
        "store": np.char.add("store-", store_of.astype(str)),
        "kind": np.array(KINDS)[random.integers(0, len(KINDS), count)],
    })  # fmt: skip


def _errors(exactly: dict[str, list[float]], found: dict[str, list[float]]) -> bool:
    """Print the largest errors; return whether one is above what is stated."""
    ranking = [name for name in exactly if name.startswith("roc_auc_score None")]
    values = max(abs(a - b) for name in ranking for a, b in zip(exactly[name][:2], found[name][:2], strict=True))
    others = max(
        abs(a - b) / abs(a)
        for name in exactly
        if name not in ranking
        for a, b in zip(exactly[name][:2], found[name][:2], strict=True)
    )
    errors = max(abs(exactly[name][2] - found[name][2]) / exactly[name][2] for name in exactly)
    print(
        f"  largest errors of summaries: ROC AUC of all rows {values:.2g} (at most {ROC_AUC_BOUND:g}), other values "
        f"{others:.2g} of their size, standard errors {errors:.2g} of their size (at most 0.01)"
    )
    return values > ROC_AUC_BOUND or errors > 0.01 or others > 8 * ROC_AUC_BOUND


if __name__ == "__main__":
    sys.exit(main())
