"""How far the stream of a use case has come: what was taken in and scored, never what was asked for. One row for each alias.

The row is written after the predictions. A stream that was killed between the two reads the same requests again and
finds that they have predictions.
"""

import datetime as dt
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.execution.context import Context
from pipelines.lakehouse.tables.arrow import in_utc, records


@dataclass(frozen=True, kw_only=True)
class StreamProgress:
    """What of the table of requests a stream has taken in.

    Attributes
    ----------
    version
        The newest version of which every row was taken in.
    commit
        The digest of that version's commit; None where it is not known.
    until
        All requests of these rows that fell due before it were looked at.
    """

    version: int
    commit: str | None
    until: dt.datetime


def progress_of(context: Context, alias: str) -> StreamProgress | None:
    """Return how far the stream has come for an alias; None before its first increment."""
    rows = context.lakehouse.tables.read(context.use_case.table("streams")).where(F.col("alias") == alias)
    found = rows.toArrow().to_pylist()
    if not found:
        return None
    row = found[0]
    return StreamProgress(version=row["source_version"], commit=row["source_commit"], until=in_utc(row["until"]))


def keep_progress(context: Context, alias: str, progress: StreamProgress) -> None:
    """Record how far the stream has come; only after everything that it says was written."""
    table = context.use_case.table("streams")
    record = {
        "alias": alias, "source": context.use_case.spine.table.address, "source_version": progress.version,
        "source_commit": progress.commit, "until": progress.until, "run_id": context.run_id, "recorded_at": context.now,
    }  # fmt: skip
    context.lakehouse.tables.merge(table, records(table, [record]))


def put_back(context: Context, progress: StreamProgress, version: int) -> str | None:
    """Return why the table of requests is not the one that the stream has read, as words; None if it is.

    A table that was restored has fewer versions, or other commits under the same numbers.
    """
    table = context.use_case.spine.table
    if version < progress.version:
        return f"{table.address} is at version {version}, and the stream has read version {progress.version}"
    now = context.lakehouse.tables.commit_digest(table, progress.version)
    if progress.commit is not None and now is not None and now != progress.commit:
        return f"version {progress.version} of {table.address} is another commit than the stream has read"
    return None
