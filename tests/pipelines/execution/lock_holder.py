"""A process that holds a job's lock and obeys its standard input: ``write FILE``, ``slow FILE SECONDS``, ``end``.

Each line that it prints is the outcome of one command. Its arguments: folder, run, seconds until it may be taken over.
"""

import sys
import time
from pathlib import Path

from ml.spec.errors import LakehouseError
from pipelines.execution.locks import JobLock, Timing, hold

JOB = "trial.nightly"


def obey(lock: JobLock, words: list[str]) -> str:
    """Write a file as a job writes a table, and say how that went."""
    try:
        with lock.writing():
            print("writing", flush=True)
            time.sleep(float(words[2]) if words[0] == "slow" else 0)
            Path(words[1]).write_text(lock.holder.run_id)
    except LakehouseError as error:
        return f"refused: {error}"
    return "written"


def main(folder: str, run_id: str, lost_after: str) -> None:
    """Hold the lock until ``end``."""
    timing = Timing(beat=0.1, lost_after=float(lost_after))
    try:
        with hold(Path(folder), JOB, environment="dev", run_id=run_id, timing=timing) as lock:
            print(f"held with token {lock.holder.token}", flush=True)
            for line in sys.stdin:
                if line.strip() == "end":
                    return
                print(obey(lock, line.split()), flush=True)
    except LakehouseError as error:
        print(f"refused: {error}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
