"""Times one drift library on two folders of Parquet files, in that library's own environment.

Run by `benchmarks.profiles` with the interpreter of ``requirements/peers.txt``, so it imports nothing of this
repository. Prints one line of JSON; reading the files is not timed.
"""

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """Run Evidently's default drift report."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    Report([DataDriftPreset()]).run(current, reference).dict()


def nannyml(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """Run NannyML's univariate drift calculator with every method, on one chunk as large as the window."""
    from nannyml import UnivariateDriftCalculator

    calculator = UnivariateDriftCalculator(
        column_names=list(reference.columns),
        continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein", "hellinger"],
        categorical_methods=["chi2", "jensen_shannon", "l_infinity", "hellinger"],
        chunk_size=len(current),
    )
    calculator.fit(reference)
    calculator.calculate(current)


PEERS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], None]] = {"evidently": evidently, "nannyml": nannyml}


def main(name: str, reference_folder: str, current_folder: str) -> None:
    """Time one library; print its seconds and its peak memory above that of the input, in MiB."""
    warnings.simplefilter("ignore")
    reference, current = (_read(Path(folder)) for folder in (reference_folder, current_folder))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    PEERS[name](reference, current)
    seconds = time.perf_counter() - started
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak}))


def _read(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))], ignore_index=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
