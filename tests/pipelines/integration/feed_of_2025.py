"""A use case as a team writes it: the template with a reader of its own, for a small feed that began in 2025.

The feed is generated: the same rows in every run, 40 requests a day from January to June 2025, outcomes one to three days
later, a few of them cancelled or wrong.
"""

import csv
import datetime as dt
from pathlib import Path

import numpy as np

FIRST, DAYS, PER_DAY = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), 181, 40
READER = '''"""The feeds of the use case {name}: CSV files that an own system writes."""

import datetime as dt
from pathlib import Path

import pyarrow as pa

from pipelines.sources.files import read_text_csv
from pipelines.sources.readings import rows_within

FOLDER = Path(__file__).parents[3] / "feeds"
REQUESTS = ("request_id", "prediction_at", "carrier", "origin", "destination", "hour", "scheduled_minutes")
OUTCOMES = ("request_id", "reported_at", "outcome", "origin", "destination", "minutes")


def read_requests(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the requests that fall due in the window."""
    return rows_within(read_text_csv(Path(location or FOLDER), "requests.csv", REQUESTS), "prediction_at", since, until)


def read_outcomes(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the outcomes that were reported in the window."""
    return rows_within(read_text_csv(Path(location or FOLDER), "outcomes.csv", OUTCOMES), "reported_at", since, until)
'''


def write_feed(folder: Path) -> None:
    """Write the feed's two files."""
    drawn = np.random.default_rng(20250101)
    requests, outcomes = [], []
    for number in range(DAYS * PER_DAY):
        due = FIRST + dt.timedelta(days=number // PER_DAY, minutes=float(drawn.integers(5 * 60, 23 * 60)))
        carrier, origin = "ABC"[drawn.integers(3)], ("NORTH", "SOUTH")[drawn.integers(2)]
        late = due.hour * 1.5 + 8 * (carrier == "A") + drawn.normal(-12, 12)
        reported = due + dt.timedelta(days=1 + 2 * drawn.random())
        outcome = "cancelled" if drawn.random() < 0.02 else "landed" if number % 500 else "lost"
        minutes = f"{late:.0f}" if outcome == "landed" else ""
        place = {"request_id": f"r{number}", "origin": origin, "destination": "EAST"}
        requests.append(
            {**place, "prediction_at": due.isoformat(), "carrier": carrier, "hour": due.hour, "scheduled_minutes": 90}
        )
        outcomes.append({**place, "reported_at": reported.isoformat(), "outcome": outcome, "minutes": minutes})
    folder.mkdir(parents=True)
    for name, rows in (("requests.csv", requests), ("outcomes.csv", outcomes)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def write_reader(folder: Path, name: str) -> None:
    """Put the team's own reader in the place of the template's."""
    (folder / "sources.py").write_text(READER.format(name=name), encoding="utf-8")
