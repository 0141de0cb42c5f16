"""Times the offline checks of a change to the stacks: plan of prod, policy with and without Checkov.

``python -m benchmarks.offline``; the plan needs Terraform.
"""

import shutil
import subprocess
import sys
import time

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from infra.build.release import ROOT

PROCESSES = 2
"""Terraform and its provider, or our checks and Checkov, run at the same time."""
PLAN = Limit(what="offline plan of prod with the real Terraform", alternative=CALIBRATION, at_most=11.4)
CHECK = Limit(what="policy checks over all stacks, with Checkov", alternative=CALIBRATION, at_most=17)
LIMITS = (PLAN, CHECK)
"""10 s and 15 s on the machine of docs/figures.md, see `benchmarks.calibration`."""


def main() -> int:
    """Time each command as a whole process; return 1 if one is above its limit."""
    _seconds("wheel")
    _seconds("synth")
    before = calibrate(side_by_side=PROCESSES)
    seconds = {}
    if shutil.which("terraform"):
        seconds[PLAN] = _seconds("plan", "prod", "--offline")
    else:
        print("  offline plan of prod: skipped, Terraform is not installed")
    print(f"  own policy checks alone: {_seconds('check', '--skip-checkov'):.1f} s")
    seconds[CHECK] = _seconds("check")
    now = unit(before, calibrate(side_by_side=PROCESSES))
    return judge([Figure(limit=limit, seconds=own, alternative_seconds=now) for limit, own in seconds.items()])


def _seconds(*words: str) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "infra", *words]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
