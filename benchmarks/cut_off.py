"""Cuts releases off at every point and repeats them: ``python -m benchmarks.cut_off [SHARE] [SEED]``.

Prints each point at which something is wrong, and counts. A share below 1 takes that part of the points, by the seed.
"""

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.simulation.cut_off_releases import KILLS, POINTS, SIGNALLED, Releases
from benchmarks.simulation.slow_cloud import slow_cloud

SECONDS_PER_THING = 0.4


def main(arguments: list[str]) -> int:
    """Go through the points; return 1 if anything is wrong at any of them."""
    if not shutil.which("terraform"):
        print("  releases that are cut off: skipped, Terraform is not installed")
        return 0
    share, seed = float(arguments[0]) if arguments else 1.0, int(arguments[1]) if arguments[1:] else 0
    points = random.Random(seed).sample(POINTS, max(1, round(share * len(POINTS))))  # noqa: S311 - no secret
    failed, begun = 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, slow_cloud(Path(folder) / "cloud", SECONDS_PER_THING) as variables:
        releases = Releases(Path(folder) / "releases", Path(folder) / "cloud", variables)
        for point in points:
            wrong = releases.cut_off(point)
            failed += bool(wrong)
            for what in wrong:
                print(f"  {point}: {what}", flush=True)
    killed, signalled = (sum(point in kinds for point in points) for kinds in (KILLS, SIGNALLED))
    print(
        f"  {len(points)} of {len(POINTS)} points, {killed} kills between steps and {signalled} signals while Terraform "
        f"worked: {failed} ended otherwise than an undisturbed release ({time.perf_counter() - begun:.0f} s)"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
