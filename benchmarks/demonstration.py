"""Measures the time and the peak memory of the whole demonstration: ``python -m benchmarks.demonstration``."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge

PROCESSES = 2
"""Use cases that share no table run in parallel."""
WHOLE = Limit(what="the whole demonstration", alternative=CALIBRATION, at_most=136)
LIMITS = (WHOLE,)
"""120 s on the machine of docs/figures.md, see `benchmarks.calibration`."""
LIMIT_GIB = 4
"""Memory of all processes; it does not depend on how fast the machine is."""
SAMPLED_SECONDS = 0.25


def main() -> int:
    """Run the demonstration; return 1 if it fails, or if time or memory is above its limit."""
    before = calibrate(side_by_side=PROCESSES)
    with tempfile.TemporaryDirectory() as folder:
        begun, peak = time.perf_counter(), 0
        command = [sys.executable, "-m", "pipelines", "demo", "--root", str(Path(folder, "demo"))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:  # noqa: S603 - our own command
            while running.poll() is None:
                peak = max(peak, resident(running.pid))
                time.sleep(SAMPLED_SECONDS)
        seconds = time.perf_counter() - begun
    if running.returncode:
        return 1
    now = unit(before, calibrate(side_by_side=PROCESSES))
    memory = f"{peak / 2**30:.1f} GiB at its peak" if peak else "memory not measured: there is no /proc here"
    print(f"  the whole demonstration: {memory}, at most {LIMIT_GIB} GiB")
    return judge([Figure(limit=WHOLE, seconds=seconds, alternative_seconds=now)]) | int(peak > LIMIT_GIB * 2**30)


def resident(root: int) -> int:
    """Return the bytes of memory that a process and all its descendants hold; 0 where there is no ``/proc``."""
    parents, pages = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)], pages[int(folder.name)] = int(stat[1]), int(stat[21])
        except OSError:  # the process has ended
            continue
    below, grown = {root}, True
    while grown:
        more = {process for process, parent in parents.items() if parent in below} - below
        below, grown = below | more, bool(more)
    return sum(pages.get(process, 0) for process in below) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
