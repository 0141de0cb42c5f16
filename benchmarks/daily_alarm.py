"""What the daily alarm costs, how often it errs, and what it sees: ``python -m benchmarks.daily_alarm``.

Prints a time and two tables. The time is that of profiling one day of 50 columns and testing it against a history of 90
days, on one thread. The first table counts alarms in months without change, with days that depend on the day before
and a pattern of weekdays, and gives Clopper and Pearson's 95% interval of the rate; the benchmark fails if the stated
rate lies below that interval for a stream of the kind that the test is made for. The second counts on how many single
days a change is seen. Both are the evidence shown in ``ml/README.md``.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from benchmarks.simulation.daily_streams import (
    DAILY_CHANGES,
    HISTORY_DAYS,
    alarmed_months,
    columns_of,
    quiet,
    seen_on_the_day,
)
from benchmarks.simulation.drift_streams import Stream
from benchmarks.simulation.intervals import exact_interval
from ml.drift.daily_test import daily_moves, histories
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import profile
from ml.spec.monitoring_policy import MonitoringPolicy

# The calibration takes 0.77 s on the machine of docs/figures.md, where the alarm may take 1 s.
OWN = Limit(what="a daily alarm of 50 columns x 100,000 rows on one thread", alternative=CALIBRATION, at_most=1.3)
LIMITS = (OWN,)
COLUMNS, ROWS, DAYS = 50, 100_000, 90
POLICY = MonitoringPolicy()
STREAMS = {
    "days alike": Stream(day_effect=0.0),
    "days differ by 0.2 sd and remember 0.6": Stream(),
    "the same, 1,000 rows a day": Stream(rows_per_day=1_000),
    "the same, 30 rows a day": Stream(rows_per_day=30),
    "days differ by 0.8 sd and remember 0.7": Stream(day_effect=0.8, memory=0.7),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the time and the tables; return 1 if the time is above its limit or a rate is above the stated one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--streams", type=int, default=60, help="streams of a kind, three months each (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    before = calibrate()
    seconds = cost()
    code = judge([Figure(limit=OWN, seconds=seconds, alternative_seconds=unit(before, calibrate()))])
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        code |= print_false_alarms(pool, options.streams)
        print_seen(pool, options.streams)
    return code


def cost() -> float:
    """Return the processor seconds of one daily alarm: profile the day, test every column."""
    random = np.random.default_rng(0)
    names = [f"number_{i}" for i in range(COLUMNS - COLUMNS // 10)]
    letters = np.array(list("abcdefgh"))
    categorical = [f"name_{i}" for i in range(COLUMNS // 10)]

    def rows(count: int) -> dict[str, np.ndarray]:
        # A fifth of the numbers are whole, whose single values have places of their own.
        numbers = {
            n: random.normal(size=count) if i % 5 else random.integers(0, 24, count) for i, n in enumerate(names)
        }
        return {**numbers, **{n: letters[random.integers(0, 8, count)] for n in categorical}}

    spec = ProfileSpec.from_sample(rows(20_000))
    history = columns_of([profile(rows(1_000), spec) for _ in range(DAYS)])
    day = rows(ROWS)
    begun = time.process_time()
    daily_moves(
        histories(history), columns_of([profile(day, spec)]),
        false_alarms_per_month=POLICY.daily_false_alarms_per_month, negligible=POLICY.daily_negligible,
    )  # fmt: skip
    return time.process_time() - begun


def print_false_alarms(pool: ProcessPoolExecutor, streams: int) -> int:
    """Count months without change in which any of 15 columns alarms; return 1 if the stated rate is below an interval."""
    stated = POLICY.daily_false_alarms_per_month
    print(
        f"\nMonths without change that alarm, stated {stated:.1%}; {HISTORY_DAYS} days of history, 15 columns, weekdays differ"
    )
    code = 0
    for name, stream in STREAMS.items():
        months = np.concatenate(list(pool.map(partial(_months, quiet(stream)), range(streams))))
        alarmed, count = int(months.sum()), len(months)
        low, high = exact_interval(alarmed, count)
        within = low <= stated
        code |= int(not within)
        word = "within" if within else "ABOVE"
        print(
            f"  {word}  {name:<42} {alarmed} of {count} ({alarmed / count:.1%}, 95% {low:.1%} to {high:.1%})",
            flush=True,
        )
    return code


def print_seen(pool: ProcessPoolExecutor, streams: int) -> None:
    """Count on how many days a sudden change of one column is seen on that day."""
    print(f"\nSudden changes seen on their first day, {streams} streams of a kind")
    for change in DAILY_CHANGES:
        cells = []
        for name, stream in STREAMS.items():
            seen = list(pool.map(partial(_seen, quiet(stream), change), range(streams)))
            cells.append(f"{name}: {np.mean(seen):.0%}")
        print(f"  {change:<38} {'; '.join(cells)}", flush=True)


def _months(stream: Stream, seed: int) -> list[bool]:
    return alarmed_months(stream, seed, POLICY)


def _seen(stream: Stream, change: str, seed: int) -> bool:
    return seen_on_the_day(stream, seed, change, POLICY)


if __name__ == "__main__":
    sys.exit(main())
