"""Measures the time from a clone to the first result, and the share spent downloading: ``python -m benchmarks.first_result``.

As a new user does it: an empty home without a cache, a path with a blank and a letter beyond ASCII, ``git clone``, ``make demo``.
The first result is the first line of a job of the demonstration. Then the same from a second clone, whose packages are in the
cache of the first: the difference is what downloading takes.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from infra.build.release import ROOT

PROCESSES = 2
WITHOUT_DOWNLOADING = Limit(
    what="from a clone to the first result, packages in the cache", alternative=CALIBRATION, at_most=136
)
LIMITS = (WITHOUT_DOWNLOADING,)
"""120 s on the machine of docs/figures.md, see `benchmarks.calibration`."""
FIRST_RESULT = re.compile(r"^  \w+ as of ")
"""What a line of the demonstration about a job begins with."""
NOT_OF_A_NEW_USER = ("MAKEFLAGS", "PYTHONPATH", "UV_CACHE_DIR", "VIRTUAL_ENV", "XDG_CACHE_HOME")
PATIENCE_SECONDS = 60


def main() -> int:
    """Print both times; return 1 if no result comes, or if one without downloading takes longer than its limit."""
    before = calibrate(side_by_side=PROCESSES)
    with tempfile.TemporaryDirectory(prefix="ein Büro ") as folder:
        home = Path(folder, "home")
        home.mkdir()
        cold, warm = (_seconds(Path(folder, name), home) for name in ("first clone", "second clone"))
    if cold is None or warm is None:
        print("the demonstration ended without a result", file=sys.stderr)
        return 1
    now = unit(before, calibrate(side_by_side=PROCESSES))
    downloading = max(0.0, cold - warm)
    print(f"  from a clone to the first result: {cold:.0f} s, {downloading / cold:.0%} of them downloading")
    return judge([Figure(limit=WITHOUT_DOWNLOADING, seconds=warm, alternative_seconds=now)])


def _seconds(clone: Path, home: Path) -> float | None:
    """Return the seconds from the beginning of the clone to the first result, and end what runs; None if there is none."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OF_A_NEW_USER}
    begun = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S603, S607 # git, as everywhere
    with subprocess.Popen(
        ["make", "demo"],  # noqa: S607 # make from the PATH, as a new user has it
        cwd=clone, env={**environment, "HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as running:  # fmt: skip
        found = next((time.perf_counter() - begun for line in running.stdout or () if FIRST_RESULT.match(line)), None)
        if found is not None:
            os.killpg(running.pid, signal.SIGINT)
        try:
            running.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
    return found


if __name__ == "__main__":
    sys.exit(main())
