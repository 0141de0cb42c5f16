"""Times what stands between a change of the stacks and a cloud: offline plan of prod, policy with and without Checkov.

``python -m benchmarks.offline``; the plan needs Terraform.
"""

import shutil
import subprocess
import sys
import time

from infra.build.release import ROOT

PLAN_SECONDS, CHECK_SECONDS = 10, 15


def main() -> None:
    """Print what each command takes as a whole process, and what it may take."""
    _seconds("wheel")
    _seconds("synth")
    if shutil.which("terraform"):
        seconds = _seconds("plan", "prod", "--offline")
        print(f"offline plan of prod with the real Terraform: {seconds:.1f} s (at most {PLAN_SECONDS})")
    else:
        print("offline plan of prod: skipped, Terraform is not installed")
    own, both = _seconds("check", "--skip-checkov"), _seconds("check")
    print(
        f"own policy checks over all stacks: {own:.1f} s; with Checkov beside them: {both:.1f} s (at most {CHECK_SECONDS})"
    )


def _seconds(*words: str) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "infra", *words]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
