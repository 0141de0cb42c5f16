"""What was added to a Delta table in a folder between two of its versions, by its log: for an engine that cannot stream.

A commit names the files that it adds, and says of each whether its rows are new in the table (``dataChange``) or were only put
into another file, as a compaction does (https://github.com/delta-io/delta/blob/master/PROTOCOL.md#add-file-and-remove-file).
A commit that corrects a row rewrites its file, so rows that have not changed come with it: what is returned is at least
what was added.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec.errors import LakehouseError

LOG = "_delta_log"


class IncrementUnknownError(LakehouseError):
    """The rows between two versions are not known any more; the message says why."""


def commit_digest(path: str, version: int) -> str | None:
    """Return a digest of the commit that made a version; None if the log has it no more."""
    file = _commit(path, version)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.exists() else None


def added_rows(path: str, after: int, upto: int, columns: pa.Schema) -> pa.Table:
    """Return columns of the rows that were added to a table since a version, those of rewritten files included.

    Parameters
    ----------
    path
        The table's folder.
    after, upto
        The version before the first and that of the last commit that is looked at.

    Raises
    ------
    IncrementUnknownError
        If the log lacks a commit, or the folder a file, because maintenance has removed it.
    """
    files = [file for version in range(after + 1, upto + 1) for file in _files(path, version)]
    return pa.concat_tables(
        [columns.empty_table(), *(pq.read_table(file, columns=columns.names).cast(columns) for file in files)]
    )


def _files(path: str, version: int) -> Iterator[Path]:
    commit = _commit(path, version)
    if not commit.exists():
        raise IncrementUnknownError(f"the log has version {version} no more")
    for line in commit.read_text().splitlines():
        added = json.loads(line).get("add") if line.strip() else None
        if added and added.get("dataChange", True):
            file = Path(path, unquote(added["path"]))
            if not file.exists():
                raise IncrementUnknownError(f"a file of version {version} was removed")
            yield file


def _commit(path: str, version: int) -> Path:
    return Path(path, LOG, f"{version:020d}.json")
