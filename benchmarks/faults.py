"""Kills jobs and interleaves them, and prints how many outcomes are equal: ``python -m benchmarks.faults [--count N]``.

A bounded number of points, drawn by a seed; the whole is `python -m tests.pipelines.faults`. A limit would say nothing here:
every outcome must equal that of an undisturbed run, so the benchmark ends with 1 if one differs.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from infra.build.release import ROOT

COUNT = 24
"""Points of each harness."""
HARNESSES = ("kill", "interleave")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a share of both harnesses; return 1 if an outcome differs."""
    parser = argparse.ArgumentParser(description="A share of the kills and the interleavings.")
    parser.add_argument("--count", type=int, default=COUNT, help="points of each harness")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        codes = [_run(harness, options.count, folder) for harness in HARNESSES]
    return int(any(codes))


def _run(harness: str, count: int, folder: str) -> int:
    words = [harness, f"--count={count}", f"--folder={folder}"]
    command = [sys.executable, "-m", "tests.pipelines.faults", *words]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - our own command


if __name__ == "__main__":
    sys.exit(main())
