"""How fast this machine is now: the time of a fixed piece of work, as the unit in which limits are stated.

The work is a mixture of what commands of this repository do: start Python, import numpy and pandas, build, encode and
sort plain objects, sort numbers. A machine half as fast, or one that does something else as well, takes twice as long
for the work and for the benchmark, so their ratio is the same. A benchmark that has a direct alternative compares
itself with that instead.

Take one calibration before and one after what is measured: `calibrate` returns the single times so that the median can
be taken over both.

How limits follow from seconds: on a machine where the plain import of the bindings (`benchmarks.synth`) takes 22.7 s,
the idle calibration takes 1.8 s, and two side by side take 2.06 s (medians of ten). On the machine of
docs/figures.md the import takes 9.7 s, so the calibration is 0.77 s there, and two side by side are 0.88 s. A limit that was
120 s on that machine is thus 120 / 0.88 = 136 calibrations.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

WORK = """
import json
import numpy as np
import pandas as pd

rows = [{"name": f"row {i}", "values": [i, 2 * i], "group": i % 7} for i in range(60_000)]
rows = json.loads(json.dumps(rows))
rows.sort(key=lambda row: (row["group"], row["name"]))
pd.DataFrame(rows).groupby("group")["name"].max()
np.sort(np.random.default_rng(0).random(2_000_000))
"""
REPEATS = 3


def calibrate(*, side_by_side: int = 1, repeats: int = REPEATS) -> list[float]:
    """Return the seconds that the work takes, once for each repetition.

    Parameters
    ----------
    side_by_side
        Number of processes that do the work at the same time: as many as the benchmark keeps busy. The time ends with
        the last of them.

    Raises
    ------
    subprocess.CalledProcessError
        If the work fails.
    """
    return [_seconds(side_by_side) for _ in range(repeats)]


def unit(*calibrations: Sequence[float]) -> float:
    """Return the median of all times, in seconds: the unit of the limits."""
    return statistics.median(second for calibration in calibrations for second in calibration)


def _seconds(processes: int) -> float:
    command = [sys.executable, "-c", WORK]
    begun = time.perf_counter()
    running = [subprocess.Popen(command) for _ in range(processes)]  # noqa: S603 - our own text
    codes = [process.wait() for process in running]
    seconds = time.perf_counter() - begun
    for code in codes:
        if code:
            raise subprocess.CalledProcessError(code, command)
    return seconds
