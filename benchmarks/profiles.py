"""What profiles and drift statistics cost, and how often the thresholds err: ``python -m benchmarks.profiles``.

Prints three tables. The first times two profiles and all drift statistics on the embedded engine, from Delta tables on
disk, and compares them with Evidently's default report and NannyML's univariate drift on the same rows already in
memory; the two are skipped if the interpreter of ``requirements/peers.txt`` does not exist. The second counts alarms on
streams whose change is known, for calibrated thresholds and for rules of thumb. The third finds falls of the ROC AUC in
streams of labelled predictions, with days and with rows as units. Both are the evidence shown in ``ml/README.md``.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import WriterProperties, write_deltalake
from numpy.typing import NDArray

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from benchmarks.simulation.drift_streams import WINDOW_DAYS, Change, Stream, alarms
from benchmarks.simulation.metric_streams import UNITS, MetricStream, metric_alarms
from ml.drift.statistics import drift
from ml.spec.monitoring_policy import MonitoringPolicy

OURS = "two profiles and every statistic"
OWN = Limit(what=OURS, alternative=CALIBRATION, at_most=3)
PEERS = {
    "evidently": Limit(what=OURS, alternative="Evidently's default report", at_most=1 / 50),
    "nannyml": Limit(what=OURS, alternative="NannyML's univariate drift", at_most=1 / 10),
}
LIMITS = (OWN, *PEERS.values())
ENGINE_THREADS = 2
LIMIT_MIB = 400
"""Memory above that of the idle engine; it does not depend on how fast the machine is."""
SIDES = ("reference", "current")
RULES = ("calibrated", "psi_0_10", "psi_0_25", "p_value")
STREAMS = {
    "no change": Stream(),
    "no change, days differ as weather does": Stream(day_effect=0.8, memory=0.7),
    "no change, 10 rows a day": Stream(rows_per_day=10),
    "sudden, 0.3 sd": Stream(change=Change.SUDDEN, size=0.3),
    "sudden, 0.5 sd": Stream(change=Change.SUDDEN, size=0.5),
    "gradual, to 0.5 sd in half a year": Stream(change=Change.GRADUAL, size=0.5),
    "seasonal, +-0.3 sd over the year": Stream(change=Change.SEASONAL, size=0.3),
}

METRIC_STREAMS = {
    "no change": MetricStream(),
    "no change, days differ": MetricStream(day_effect=0.6),
    "no change, days differ and remember the day before": MetricStream(day_effect=0.6, memory=0.5),
    "fell by 0.03": MetricStream(fall=0.03),
    "fell by 0.05": MetricStream(fall=0.05),
    "fell by 0.05, days differ": MetricStream(fall=0.05, day_effect=0.6),
    "fell by 0.10, days differ": MetricStream(fall=0.10, day_effect=0.6),
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds, and the peak memory above the memory before the start, in MiB."""

    seconds: float
    peak_mib: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; return 1 if time or memory is above a limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each side (default %(default)s)")
    parser.add_argument(
        "--columns", type=int, default=50, help="columns, a tenth of them categorical (default %(default)s)"
    )
    parser.add_argument("--streams", type=int, default=40, help="streams per kind of change (default %(default)s)")
    parser.add_argument(
        "--peers", type=Path, default=Path(".venv-peers/bin/python"), help="interpreter that has the peers"
    )
    parser.add_argument("--only-ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only_ours:
        print(json.dumps(ours(options.only_ours).__dict__))
        return 0
    code = print_costs(options.rows, options.columns, options.peers)
    print_alarms(options.streams)
    print_metric_alarms(options.streams)
    return code


def print_costs(rows: int, columns: int, peers: Path) -> int:
    """Time ours and the peers on the same rows, each in a process of its own; return 1 if ours is above a limit."""
    print(f"Drift of {columns} columns x {rows:,} rows against as many")
    with tempfile.TemporaryDirectory() as folder:
        _in_child(
            [sys.executable, "-c", f"from benchmarks.profiles import write; write({folder!r}, {rows}, {columns})"]
        )
        before = calibrate(side_by_side=ENGINE_THREADS)
        own = _cost([sys.executable, "-m", "benchmarks.profiles", "--only-ours", folder])
        print(f"  {OURS}: {own.peak_mib:,.0f} MiB above the idle engine, at most {LIMIT_MIB}")
        code = int(own.peak_mib > LIMIT_MIB)
        now = unit(before, calibrate(side_by_side=ENGINE_THREADS))
        code |= judge([Figure(limit=OWN, seconds=own.seconds, alternative_seconds=now)])
        if not peers.exists():
            print(f"  Evidently and NannyML are not measured: {peers} does not exist (requirements/peers.txt).")
            return code
        script = str(Path(__file__).with_name("profile_peers.py"))
        for name, limit in PEERS.items():
            cost = _cost([str(peers), script, name, *(f"{folder}/{side}" for side in SIDES)])
            print(f"  {name}: {cost.peak_mib:,.0f} MiB")
            code |= judge([Figure(limit=limit, seconds=own.seconds, alternative_seconds=cost.seconds)])
        return code


def print_alarms(streams: int) -> None:
    """Count alarms on simulated streams of 15 columns, three of which change four months after the reference."""
    print(f"\nDrift alarms on {streams} streams of 15 columns, 90 days of reference, then 9 months; 3 columns change")
    print(f"  {'':<40}" + "".join(f"{rule:>24}" for rule in RULES))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, stream in STREAMS.items():
            runs = list(pool.map(_alarms, [(stream, seed) for seed in range(streams)]))
            cells = (_cell(np.array([run[rule] for run in runs]), stream) for rule in RULES)
            print(f"  {name:<40}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def print_metric_alarms(streams: int) -> None:
    """Count months in which the ROC AUC is found to have fallen."""
    print(f"\nFalls of the ROC AUC found on {streams} streams of 300 rows a day, 28 days of evaluation, then 9 months")
    print(f"  {'':<50}" + "".join(f"{f'{unit} as units':>16}" for unit in UNITS))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, stream in METRIC_STREAMS.items():
            runs = list(pool.map(_metric_alarms, [(stream, seed) for seed in range(streams)]))
            cells = (f"{np.mean([run[unit] for run in runs]):.1%}" for unit in UNITS)
            print(f"  {name:<50}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def write(folder: str, rows: int, columns: int) -> None:
    """Write both sides as Delta tables: normal numbers and a tenth of categorical columns."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefgh"))
    for side in SIDES:
        numbers = {f"number_{i}": random.normal(size=rows) for i in range(columns - columns // 10)}
        names = {f"name_{i}": letters[random.integers(0, 8, rows)] for i in range(columns // 10)}
        write_deltalake(
            f"{folder}/{side}",
            pa.table({**numbers, **names}),
            writer_properties=WriterProperties(max_row_group_size=131_072),
        )


def ours(folder: Path) -> Cost:
    """Time specification, two profiles and all statistics on a running engine; its start is not timed."""
    from pipelines.dataframes.profiling import profile_frame, reference_spec
    from pipelines.lakehouse.engines.embedded import session  # the other modes of this module need no engine

    spark = session()
    spark.range(1).collect()
    reference, current = (spark.read.format("delta").load(f"{folder}/{side}") for side in SIDES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    kinds = {kind: [name for name in reference.columns if name.startswith(kind)] for kind in ("number", "name")}
    spec = reference_spec(reference, numeric=kinds["number"], categorical=kinds["name"], seed=0)
    drift(profile_frame(reference, spec), profile_frame(current, spec))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Cost(seconds=seconds, peak_mib=peak / 1024)


def _alarms(stream_and_seed: tuple[Stream, int]) -> dict[str, list[bool]]:
    return alarms(*stream_and_seed, MonitoringPolicy())


def _metric_alarms(stream_and_seed: tuple[MetricStream, int]) -> dict[str, list[bool]]:
    return metric_alarms(*stream_and_seed, MonitoringPolicy())


def _cell(alarmed: NDArray[np.bool_], stream: Stream) -> str:
    """Summarise alarms of shape (streams, months): their rate, or the share seen and the median delay."""
    if stream.change in (Change.NONE, Change.SEASONAL):
        return f"{alarmed.mean():.0%} of months"
    after = alarmed[:, (stream.change_day - stream.reference_days) // WINDOW_DAYS :]
    seen = after.any(axis=1)
    delay = np.median(after.argmax(axis=1)[seen]) + 1 if seen.any() else np.nan
    return f"{seen.mean():.0%} seen, month {delay:.0f}" if seen.any() else "never seen"


def _cost(command: Sequence[str]) -> Cost:
    return Cost(**json.loads(_in_child(command).splitlines()[-1]))


def _in_child(command: Sequence[str]) -> str:
    silent = {
        "DO_NOT_TRACK": "1",
        "NML_DISABLE_USAGE_LOGGING": "1",
    }  # the peers send usage data to their vendors by default
    done = subprocess.run(command, env={**os.environ, **silent}, capture_output=True, text=True, check=False)  # noqa: S603 # our own commands
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
