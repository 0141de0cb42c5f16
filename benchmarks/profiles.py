"""What profiles and drift statistics cost, and how often the thresholds err: ``python -m benchmarks.profiles``.

Prints four tables. The first times two profiles and all drift statistics on the embedded engine, from Delta tables on
disk, and compares them with Evidently's default report and NannyML's univariate drift on the same rows already in
memory; the two are skipped if the interpreter of ``requirements/peers.txt`` does not exist. The second counts alarms on
streams whose change is known, for calibrated thresholds and for rules of thumb. The third finds falls of the ROC AUC in
labelled predictions without a fall, where rows depend on each other by day and by entity, with the units that are declared
and with days or rows alone; the fourth with a fall. They are the evidence shown in ``ml/README.md``. Ends with 1 if a
figure is above its limit or a fall is found too often where there is none.
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
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import WriterProperties, write_deltalake
from numpy.typing import NDArray

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from benchmarks.simulation.drift_streams import WINDOW_DAYS, Change, Stream, alarms
from benchmarks.simulation.intervals import exact_interval
from benchmarks.simulation.metric_streams import ALONE, DECLARED, MetricStream, metric_alarms
from benchmarks.units import ALLOWED
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
ENTITIES = (20, 50, 200, 1_000)
COMPARED = 4
"""One quiet month in so many is also judged with days and with rows as units."""
_DAYS = MetricStream(day_effect=0.6)
_REMEMBERING = replace(_DAYS, memory=0.5, declared_memory=0.5)
_ACCOUNTS = MetricStream(entity_effect=0.6, renewed=True)
QUIET_STREAMS = {
    "all rows alike": MetricStream(),
    "days differ": _DAYS,
    "days remember 0.5": _REMEMBERING,
    "days remember 0.5, nothing declared": replace(_REMEMBERING, declared_memory=0.0),
    **{f"{count:,} entities, others each month": replace(_ACCOUNTS, entities=count) for count in ENTITIES},
    "50 entities, the same each month": replace(_ACCOUNTS, entities=50, renewed=False),
    **{
        f"both, {count:,} entities": replace(_REMEMBERING, entities=count, entity_effect=0.6, renewed=True)
        for count in ENTITIES
    },
}
BEYOND = frozenset({"days remember 0.5, nothing declared"})
"""More than is declared: measured, so that the limit is known, and not judged."""
FALLING_STREAMS = {
    "fell by 0.03": MetricStream(fall=0.03),
    "fell by 0.05": MetricStream(fall=0.05),
    "fell by 0.05, days differ": replace(_DAYS, fall=0.05),
    "fell by 0.10, days differ": replace(_DAYS, fall=0.10),
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
    parser.add_argument("--months", type=int, default=1_000, help="quiet months of each kind (default %(default)s)")
    parser.add_argument("--only-falls", action="store_true", help="print the tables of the ROC AUC alone")
    parser.add_argument(
        "--peers", type=Path, default=Path(".venv-peers/bin/python"), help="interpreter that has the peers"
    )
    parser.add_argument("--only-ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only_ours:
        print(json.dumps(ours(options.only_ours).__dict__))
        return 0
    code = 0
    if not options.only_falls:
        code |= print_costs(options.rows, options.columns, options.peers)
        print_alarms(options.streams)
    code |= print_false_falls(options.months)
    print_falls(options.streams)
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


def print_false_falls(streams: int) -> int:
    """Count months in which the ROC AUC is found to have fallen although it has not; return 1 if too often.

    That is the case if the lower limit of the exact 95% interval lies more than `ALLOWED` above the stated level. Every
    month has an evaluation of its own, so that months are independent of each other.
    """
    stated = MonitoringPolicy().metric_alpha
    print(f"\nFalls of the ROC AUC found where it has not fallen, stated at most {stated:.1%}")
    print(
        f"  {streams:,} evaluations of 28 days and a month each, 300 rows a day; by days and rows alone a quarter of them"
    )
    print(f"  {'':<40}{'as declared':>14}{'95%':>16}{'by day':>10}{'by row':>10}")
    code = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, stream in QUIET_STREAMS.items():
            quiet = replace(stream, months=1)
            declared = sum(pool.map(partial(_false_fall, quiet, DECLARED), range(streams), chunksize=16))
            low, high = exact_interval(declared, streams)
            code |= int(low > stated + ALLOWED and name not in BEYOND)
            few = max(1, streams // COMPARED)
            others = [
                sum(pool.map(partial(_false_fall, quiet, unit), range(few), chunksize=16)) / few for unit in ALONE
            ]
            print(
                f"  {name:<40}{declared / streams:>14.1%}{f'{low:.1%} to {high:.1%}':>16}"
                + "".join(f"{rate:>10.1%}" for rate in others),
                flush=True,
            )
    return code


def print_falls(streams: int) -> None:
    """Count months in which it is found that the ROC AUC has fallen."""
    print(f"\nFalls of the ROC AUC found on {streams} streams, nine months after each evaluation")
    print(f"  {'':<40}" + "".join(f"{f'{unit} as units':>18}" for unit in ALONE))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, stream in FALLING_STREAMS.items():
            runs = list(pool.map(partial(_falls, stream), range(streams)))
            cells = (f"{np.mean([run[unit] for run in runs]):.1%}" for unit in ALONE)
            print(f"  {name:<40}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


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


def _false_fall(stream: MetricStream, unit: str, seed: int) -> bool:
    return metric_alarms(stream, seed, MonitoringPolicy(), [unit])[unit][0]


def _falls(stream: MetricStream, seed: int) -> dict[str, list[bool]]:
    return metric_alarms(stream, seed, MonitoringPolicy(), ALONE)


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
