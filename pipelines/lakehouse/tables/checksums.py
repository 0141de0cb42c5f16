"""Checksums beside each file of a table in a folder, in the form in which JVM Spark's file system keeps them.

The file ``.<name>.crc`` has a mark, the number of bytes per checksum, and a CRC-32 for each such part. JVM Spark writes and
compares them itself. Delta's log has none, and `deltalake` writes none into Parquet files; so for the embedded engine they
are written after each commit, and compared before a version is read. A process that is killed in between leaves a file
without them, which the next write completes.
"""

import functools
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

MARK = b"crc\0"
STEP = 65_536
"""Bytes per checksum in what is written here."""


def keep_checksums(place: Path, names: Iterable[str]) -> None:
    """Write the checksums of a table's files that have none, and remove those of files that are gone."""
    there = {entry.name for entry in os.scandir(place)} if place.is_dir() else set()
    for name in names:
        file = place / name
        if _beside(file).name not in there and file.is_file():
            unfinished = file.with_name(f".{uuid4().hex}.unfinished")
            unfinished.write_bytes(MARK + struct.pack(">i", STEP) + _sums(file.read_bytes(), STEP))
            unfinished.rename(_beside(file))
    for name in there:
        if name.startswith(".") and name.endswith(".crc") and name[1:-4] not in there:
            (place / name).unlink(missing_ok=True)


def require_checksum(file: Path) -> str:
    """Return what is wrong with a file that has checksums beside it; nothing if they fit or there are none."""
    beside = _beside(file)
    if not beside.exists():
        return ""
    changed = file.stat().st_mtime_ns, beside.stat().st_mtime_ns
    return "" if _fits(file, beside, changed) else "has other bytes than its checksums say"


@functools.lru_cache(maxsize=10_000)
def _fits(file: Path, beside: Path, changed: tuple[int, int]) -> bool:  # noqa: ARG001 - asked again only after a change
    stored = beside.read_bytes()
    if not stored.startswith(MARK):
        return False
    (step,) = struct.unpack_from(">i", stored, len(MARK))
    return stored[len(MARK) + 4 :] == _sums(file.read_bytes(), step)


def _sums(content: bytes, step: int) -> bytes:
    whole = memoryview(content)
    found = [zlib.crc32(whole[start : start + step]) for start in range(0, len(content), step)]
    return struct.pack(f">{len(found)}I", *found)


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name}.crc")
