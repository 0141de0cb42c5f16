"""Files in the folder of a Delta table that no version of it refers to: written by a commit that never came."""

import json
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq


def unreferenced(folder: Path, *, older_than: float) -> tuple[Path, ...]:
    """Return such files of one table.

    Parameters
    ----------
    folder
        The table's. Its log is read as it is: what an old version needed and the log no longer knows counts as unreferenced.
    older_than
        Seconds since 1970: a younger file may belong to a write that is under way.
    """
    log = folder / "_delta_log"
    if not log.is_dir():
        return ()
    known = _added(log)
    data = [file for file in folder.rglob("*.parquet*") if log not in file.parents and not file.name.startswith(".")]
    leftovers = [file for file in log.iterdir() if file.name.endswith(".tmp") or "#" in file.name]
    return tuple(
        file
        for file in sorted([*data, *leftovers])
        if file.relative_to(folder).as_posix() not in known and file.stat().st_mtime < older_than
    )


def _added(log: Path) -> set[str]:
    """Return the paths of all files that the log has ever added, relative to the table."""
    found: set[str] = set()
    for commit in log.glob("*.json"):
        for line in commit.read_text(encoding="utf-8").splitlines():
            action = json.loads(line) if line.strip() else {}
            found |= {unquote(action[name]["path"]) for name in ("add", "remove") if name in action}
    for checkpoint in log.glob("*.checkpoint*.parquet"):
        for name in ("add", "remove"):
            column = pq.read_table(checkpoint, columns=[name])[name].to_pylist()
            found |= {unquote(entry["path"]) for entry in column if entry and entry["path"]}
    return found
