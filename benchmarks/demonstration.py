"""Times the demonstration as a whole and tells the peak memory of all its processes: ``python -m benchmarks.demonstration``."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_SECONDS, LIMIT_GIB = 120, 4
SAMPLED_SECONDS = 0.25


def main() -> None:
    """Print what the demonstration took and what it may take."""
    with tempfile.TemporaryDirectory() as folder:
        begun, peak = time.perf_counter(), 0
        command = [sys.executable, "-m", "pipelines", "demo", "--root", str(Path(folder, "demo"))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:  # noqa: S603 - our own command
            while running.poll() is None:
                peak = max(peak, resident(running.pid))
                time.sleep(SAMPLED_SECONDS)
        seconds = time.perf_counter() - begun
    if running.returncode:
        raise SystemExit(running.returncode)
    memory = f"{peak / 2**30:.1f} GiB at its peak" if peak else "memory not measured: there is no /proc here"
    print(f"demonstration: {seconds:.0f} s (at most {LIMIT_SECONDS}), {memory} (at most {LIMIT_GIB})")


def resident(root: int) -> int:
    """Return the bytes that a process and all processes below it hold in memory; 0 where there is no ``/proc``."""
    parents, pages = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)], pages[int(folder.name)] = int(stat[1]), int(stat[21])
        except OSError:  # it has ended meanwhile
            continue
    below, grown = {root}, True
    while grown:
        more = {process for process, parent in parents.items() if parent in below} - below
        below, grown = below | more, bool(more)
    return sum(pages.get(process, 0) for process in below) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
