"""What an endpoint has served, as the report's records; shared by the tests of its section and of the pages in a browser."""

import datetime as dt
import json
from dataclasses import asdict

from ml.gate.verdict import Reason
from pipelines.report.records import Row, ServedByVersion, ServedRequests

DAY = dt.datetime(2013, 6, 1, 8, tzinfo=dt.UTC)
FAULT = Reason(
    rule="errors", candidate=9, passed=False, value=0.67, threshold=0.01,
    sentence="version 9 could not score 60 of 90 requests",
)  # fmt: skip


def decision(rollout: str, challenger: int, champion: int, percentage: int, move: str, sentence: str) -> Row:
    """A row of the table of decisions."""
    return {
        "rollout_id": rollout, "decided_at": DAY, "model_version": challenger, "champion": champion, "percentage": percentage,
        "move": move, "following": 0, "sentence": sentence, "reasons": json.dumps([asdict(FAULT)]),
    }  # fmt: skip


def by_version(
    rollout: str | None, percentage: int | None, version: int, answered: int, shadows: int, failed: int, began: int
) -> ServedByVersion:
    """What one version did; it scored half of the requests within 3 ms."""
    return ServedByVersion(
        rollout_id=rollout, percentage=percentage, version=version, answered=answered, shadows=shadows, failed=failed,
        first=DAY, last=DAY + dt.timedelta(hours=1), began=DAY + dt.timedelta(minutes=began), median=0.003,
        slowest=0.008 if version == 1 else 0.009,
    )  # fmt: skip


SERVED = ServedRequests(
    by_version=(
        by_version(None, None, 4, 30, 0, 0, 4), by_version("bad", 0, 9, 0, 30, 60, 3), by_version("bad", 0, 4, 90, 0, 0, 3),
        by_version("good", 10, 4, 60, 540, 2, 2), by_version("good", 10, 1, 540, 60, 0, 2),
        by_version("good", 0, 4, 0, 1_100, 0, 1), by_version("good", 0, 1, 1_100, 0, 0, 1),
    ),
    decisions=(
        {**decision("good", 4, 1, 0, "wait", "version 4 stays at shadow: 598 rows."), "decided_at": DAY - dt.timedelta(1)},
        decision("good", 4, 1, 0, "advance", "version 4 answers 10% of the requests after shadow: every rule has passed."),
        decision("good", 4, 1, 10, "advance", "version 4 is champion after 10%: every rule has passed."),
        decision("bad", 9, 4, 0, "return", "version 9 was returned from shadow, version 4 answers all: it cannot."),
    ),
)  # fmt: skip
"""A challenger that went on, a bad one, and requests without a rollout; in no order."""
