"""Prints how many harmful mutants are stopped, by class: ``python -m benchmarks mutants``.

The seed is of today unless ``MUTANTS_SEED`` names one: no author of a check has seen it.
"""

import datetime as dt
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.mutants.code import CHANGES, stopped
from benchmarks.mutants.judging import Tally, judged_settings, judged_stacks, shipped

EACH = int(os.environ.get("MUTANTS_EACH", "40"))


def main() -> int:
    """Draw, judge and print; 1 if a harmful mutant survives or a harmless one is stopped."""
    seed = os.environ.get("MUTANTS_SEED", dt.datetime.now(tz=dt.UTC).date().isoformat())
    begun = time.process_time()
    stacks, settings = shipped()
    tallies = [*judged_stacks(stacks, settings, seed, EACH), *judged_settings()]
    with tempfile.TemporaryDirectory() as folder:
        survivors = tuple(change.name for change, checks in stopped(CHANGES, Path(folder)) if not checks)
    tallies.append(Tally(of="code that makes stacks", harmful=len(CHANGES), survivors=survivors))
    for tally in tallies:
        print(tally.line)
        for survivor in (*tally.survivors, *tally.false_alarms):
            print(f"    {survivor}")
    harmful = sum(tally.harmful for tally in tallies)
    alive = sum(len(tally.survivors) for tally in tallies)
    alarms = sum(len(tally.false_alarms) for tally in tallies)
    print(f"seed {seed}: {harmful - alive} of {harmful} harmful mutants stopped, {alarms} false alarms, "
          f"{time.process_time() - begun:.0f} s of processor time")  # fmt: skip
    return int(bool(alive or alarms))


if __name__ == "__main__":
    sys.exit(main())
