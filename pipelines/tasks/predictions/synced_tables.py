"""What the platform says of an online table that a pipeline of its own fills: done, under way or failed, and how far behind. Pure.

An online table of the Online Feature Store is a synced table: it is known up to which version of its feature table the pipeline
has brought it (https://docs.databricks.com/api/azure/workspace/database/getsynceddatabasetable). Lag is counted in commits that
change rows; what maintenance commits needs no publication.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipelines.lakehouse.tables.store import Commit

UPKEEP = frozenset({
    "OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "CREATE TABLE", "ADD COLUMNS",
    "CHANGE COLUMN", "ADD CONSTRAINT", "COMPUTE STATS", "ANALYZE", "CLUSTER BY", "REORG", "FSCK",
})  # fmt: skip
"""Operations of a table's history that change no row."""


class Synchronisation(StrEnum):
    """Where the pipeline of an online table is."""

    DONE = "done"
    UNDER_WAY = "under way"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class SyncedTable:
    """What the platform says of one online table.

    Attributes
    ----------
    state
        In the service's words, for example ``SYNCED_TABLE_ONLINE_NO_PENDING_UPDATE``; empty if it says none.
    version
        Of the feature table, up to which rows are in the store; None if none were ever brought there.
    message
        What the service says for people.
    """

    name: str
    state: str
    version: int | None
    message: str = ""


def synchronisation(seen: SyncedTable, wanted: int | None) -> Synchronisation:
    """Return where a pipeline is that is to bring a version of the feature table; None for a table that was never written."""
    if seen.version is not None and seen.version >= (wanted or 0):
        return Synchronisation.DONE
    return Synchronisation.FAILED if seen.state.endswith("FAILED") else Synchronisation.UNDER_WAY


def newest_change(history: Sequence[Commit]) -> int | None:
    """Return the newest version that changed rows; None if none did."""
    return max((one.version for one in history if one.operation not in UPKEEP), default=None)


def behind(history: Sequence[Commit], version: int | None) -> tuple[float | None, int]:
    """Return how far an online table is behind its feature table, and how many rows at least wait.

    Parameters
    ----------
    history
        The commits of the feature table.
    version
        Up to which its rows are in the store; None if none are.

    Returns
    -------
    tuple
        Hours from the commit that is in the store to the newest one that is not, None if nothing was ever published; and the
        rows that those have added, at least one for each commit: what a commit corrects it does not count.
    """
    waiting = [one for one in history if one.operation not in UPKEEP and (version is None or one.version > version)]
    rows = sum(max(one.added, 1) for one in waiting)
    if version is None:
        return None, rows
    if not waiting:
        return 0.0, 0
    stored = max((one for one in history if one.version <= version), key=lambda one: one.version, default=None)
    since = stored.at if stored else min(one.at for one in waiting)  # its commit has left the log: at least this long
    return (max(one.at for one in waiting) - since) / dt.timedelta(hours=1), rows
