"""Times the demonstration as a whole process and tells its peak memory: ``python -m benchmarks.demonstration``."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_SECONDS, LIMIT_GIB = 120, 4


def main() -> None:
    """Print what the demonstration took and what it may take."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "pipelines", "demo", "--root", str(Path(folder, "demo"))]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"demonstration: {seconds:.0f} s (at most {LIMIT_SECONDS}), {peak:.1f} GiB at its peak (at most {LIMIT_GIB})")


if __name__ == "__main__":
    main()
