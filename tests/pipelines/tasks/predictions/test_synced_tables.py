"""How far an online table is behind its feature table follows from the commits that its pipeline has not brought."""

import datetime as dt

import pytest

from pipelines.lakehouse.tables.store import Commit
from pipelines.tasks.predictions.synced_tables import (
    SyncedTable,
    Synchronisation,
    behind,
    newest_change,
    synchronisation,
)

NOON = dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC)


def commit(version: int, hour: float, operation: str = "MERGE", added: int = 10) -> Commit:
    """A commit some hours after noon."""
    at = NOON + dt.timedelta(hours=hour)
    return Commit(version=version, at=at, operation=operation, batch_id=None, added=added)


HISTORY = (
    commit(5, 4, "OPTIMIZE", 0), commit(4, 3.5, "SET TBLPROPERTIES", 0), commit(3, 3, added=0), commit(2, 2), commit(1, 0),
    commit(0, -1, "CREATE TABLE", 0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (None, (None, 21)),
        (1, (3.0, 11)),
        (2, (1.0, 1)),
        (3, (0.0, 0)),
        (5, (0.0, 0)),
    ],
)
def test_what_waits_is_counted_from_the_commit_that_is_in_the_store(
    version: int | None, expected: tuple[float | None, int]
) -> None:
    """Maintenance changes no row; a commit that only corrects rows counts as one."""
    assert behind(HISTORY, version) == expected


def test_a_commit_that_has_left_the_log_gives_the_least_lag() -> None:
    """From the oldest waiting one that is known to the newest."""
    assert behind(HISTORY[:4], 1) == (1.0, 11)
    assert behind((), None) == (None, 0)


def test_the_version_to_bring_is_the_newest_that_changed_rows() -> None:
    """None for a table that holds nothing."""
    assert newest_change(HISTORY) == 3
    assert newest_change(HISTORY[-1:]) is None


@pytest.mark.parametrize(
    ("state", "version", "expected"),
    [
        ("SYNCED_TABLE_ONLINE_NO_PENDING_UPDATE", 3, Synchronisation.DONE),
        ("SYNCED_TABLE_ONLINE_NO_PENDING_UPDATE", 2, Synchronisation.UNDER_WAY),
        ("SYNCED_TABLE_ONLINE_PIPELINE_FAILED", 2, Synchronisation.FAILED),
        ("SYNCED_TABLE_ONLINE_PIPELINE_FAILED", 3, Synchronisation.DONE),
        ("SYNCED_TABLE_OFFLINE_FAILED", None, Synchronisation.FAILED),
        ("", None, Synchronisation.UNDER_WAY),
    ],
)
def test_a_pipeline_is_done_when_the_version_is_there(
    state: str, version: int | None, expected: Synchronisation
) -> None:
    """Whatever state it is in: a state alone does not say which update it is about."""
    seen = SyncedTable(name="prod.a.b_online", state=state, version=version)
    assert synchronisation(seen, 3) is expected
