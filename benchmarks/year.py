"""A year of daily runs of a small generated use case: ``python -m benchmarks.year --days 365 --root FOLDER``.

Every day: features, scoring and monitoring; every week maintenance; every month a training with one bad candidate. There
are late and corrected rows, bad rows, a feed that fails, and a change on day 210. After each day the predictions are
compared with what the feed asked for, and the champion must have a verdict. At the end the days of the last month are
compared with those of the second month of scoring. Each month runs in a process of its own; what is done is in
``days.jsonl`` and is not repeated, so the command can be ended and started again with the same folder.
"""

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binom

from benchmarks.simulation import year_feed
from benchmarks.simulation.year_life import FIRST_TRAINING, declared_as, live, simulated
from ml.monitoring.findings import OF_A_DAY
from pipelines.execution.windows import month_of
from pipelines.lakehouse.lakehouse import open_lakehouse

MONTH = 28
DAYS = FIRST_TRAINING + 4 * MONTH
"""By default scoring runs for four months: the second is compared with the fourth."""
AT_MOST = 1.5
MEASURED = {
    "processor": "processor seconds a day, without the training",
    "resident": "memory",
    "files": "new data files a day",
    "logs": "new log files a day",
    "registry_rows": "new registry rows a day",
}
RECORD = "days.jsonl"
CERTAINTY = 0.99
"""So many of the years without a change have at most the stated number of alarms."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Live through the days that are not done; print the ratios; return 1 if one is too large or a day is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=DAYS, help="days to live through (default %(default)s)")
    parser.add_argument("--root", type=Path, help="folder to go on in; default: one that is removed at the end")
    parser.add_argument("--until", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.days < DAYS - 2 * MONTH:
        parser.error(f"--days: at least {DAYS - 2 * MONTH}, so that there is a second month to compare with")
    if given.until is not None:
        return _month(given.root, given.until)
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        _begin(root, given.days)
        while (done := len(_days(root))) < given.days:
            until = min(given.days, done + MONTH - (done % MONTH))
            command = [sys.executable, "-m", "benchmarks.year", "--root", str(root), "--until", str(until)]
            # A few thousand rows are fitted faster by one thread than by several that wait for each other.
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            if subprocess.run(command, check=False, env=environment).returncode:  # noqa: S603 - this module
                return 1
        return _report(root)


def _begin(root: Path, days: int) -> None:
    """Choose the first day so that the last one has passed; a folder that has begun keeps its own."""
    file = root / "start"
    if not file.exists():
        file.write_text((year_feed.START + dt.timedelta(days=390 - max(days, 365))).isoformat())
    year_feed.start = dt.datetime.fromisoformat(file.read_text())


def _month(root: Path, until: int) -> int:
    """Live until a day in this process."""
    _begin(root, until)
    use_case = simulated()
    for day in range(len(_days(root)), until):
        record = live(root, use_case, day)
        with (root / RECORD).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    print(f"  day {until}: {record['seconds']:.1f} s, {record['resident'] / 2**20:,.0f} MiB", flush=True)
    return 0


def _days(root: Path) -> list[dict[str, Any]]:
    file = root / RECORD
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _report(root: Path) -> int:
    days = _days(root)
    for before, day in zip([days[0], *days], days, strict=False):
        day["registry_rows"] = day["registry"] - before["registry"]
    first = FIRST_TRAINING + MONTH
    early, last = days[first : first + MONTH], days[-MONTH:]
    print(f"{len(days)} days; no prediction lost or doubled, no alias without a verdict on any of them")
    failed = not _alarms_within_budget(root, len(days))
    for name, what in MEASURED.items():
        # The largest of a month for memory: its process is new at the beginning of the month.
        of_month = max if name == "resident" else statistics.fmean
        now, then = of_month(day[name] for day in last), of_month(day[name] for day in early)
        ratio = now / then if then else 1.0
        failed |= ratio > AT_MOST
        shown = (f"{value / 2**20:,.0f} MiB" if name == "resident" else f"{value:.2f}" for value in (now, then))
        word = "within limit" if ratio <= AT_MOST else "ABOVE LIMIT"
        print(
            f"  {word}  {what}, last month against month two: {ratio:.2f} x, at most {AT_MOST} x ({', '.join(shown)})"
        )
    return int(failed)


def _alarms_within_budget(root: Path, days: int) -> bool:
    """Compare the drift findings and the daily alarms before the change with the rates that the use case declares."""
    use_case = simulated()
    changed = year_feed.start + dt.timedelta(days=min(year_feed.CHANGED_FROM, days))
    with declared_as(use_case), open_lakehouse("dev", root=root) as lakehouse:
        found = lakehouse.tables.read(use_case.table("findings")).toArrow().to_pylist()
    alarmed = {row["window_start"] for row in found if row["window_end"] <= changed and row["kind"] == "drift"}
    months = (min(year_feed.CHANGED_FROM, days) - FIRST_TRAINING) // 30
    budget = int(binom.ppf(CERTAINTY, months, use_case.monitoring.false_alarms_per_month))
    fell = {row["window_start"] for row in found if row["kind"] == "metric_fell"}
    print(f"  {len(alarmed)} of {months} months without a change raised a drift finding, at most {budget}")
    daily = {month_of(r["window_start"]).start for r in found if r["window_end"] <= changed and r["kind"] in OF_A_DAY}
    daily_budget = int(binom.ppf(CERTAINTY, months, use_case.monitoring.daily_false_alarms_per_month))
    print(f"  {len(daily)} of {months} months without a change raised a daily alarm, at most {daily_budget}")
    print(f"  a fallen metric was found in {len(fell)} months, the change on day {year_feed.CHANGED_FROM} included")
    return len(alarmed) <= budget and len(daily) <= daily_budget


if __name__ == "__main__":
    raise SystemExit(main())
