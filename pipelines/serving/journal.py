"""The journal of an endpoint: what is answered is written here first, and brought into the inference table later, once.

A journal is a folder of segments, each of one process and closed before it is carried over. A record is complete or it is not
there: its length and checksum say which, so the one that a kill has cut off is left out; nobody was sent its answer. A segment
is carried under its own name, which the table's commit holds, so that carrying it twice adds nothing.
"""

import errno
import io
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

HEADER = struct.Struct("<4sQI")
"""A mark, the length of the content in bytes, its CRC-32."""
MARK = b"ANS1"
OPEN, CLOSED = ".open", ".closed"


class Journal:
    """Writes records into the open segment, and gives closed ones to be carried over."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._segment: tuple[Path, io.FileIO] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, rows: pa.Table) -> None:
        """Add a record; when this returns, it outlives the process."""
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        content = sink.getvalue()
        with self._lock:
            _, file = self._opened()
            # One call of the system: the process cannot die between its parts with another record begun after it.
            record = HEADER.pack(MARK, len(content), zlib.crc32(content)) + content
            if file.write(record) != len(record):
                raise OSError(errno.ENOSPC, "the journal could not be written whole", str(self._folder))

    def close_segment(self) -> None:
        """End the open segment, if it has a record; the next record begins another."""
        with self._lock:
            if self._segment is None:
                return
            path, file = self._segment
            file.close()
            path.rename(path.with_suffix(CLOSED))
            self._segment = None

    def adopt(self) -> int:
        """End the segments that processes which no longer live have left open; return how many.

        Called before anything is written here: a segment of this process's own number is of one that had it before.
        """
        left = [path for path in sorted(self._folder.glob(f"*{OPEN}")) if not _lives(_process_of(path))]
        for path in left:
            path.rename(path.with_suffix(CLOSED))
        return len(left)

    def closed(self) -> Iterator[tuple[str, Path]]:
        """Yield the name and the file of each segment to be carried over, oldest first."""
        yield from ((path.stem, path) for path in sorted(self._folder.glob(f"*{CLOSED}")))

    def _opened(self) -> tuple[Path, io.FileIO]:
        if self._segment is None:
            path = self._folder / f"{self._clock():020d}-{os.getpid()}-{uuid4().hex[:8]}{OPEN}"
            self._segment = path, io.FileIO(path, "a")
        return self._segment


def records(segment: Path) -> Iterator[pa.Table]:
    """Yield the complete records of a segment in their order; what follows an incomplete one was never answered."""
    content = segment.read_bytes()
    place = 0
    while place + HEADER.size <= len(content):
        mark, length, checksum = HEADER.unpack_from(content, place)
        begin = place + HEADER.size
        body = content[begin : begin + length]
        if mark != MARK or len(body) < length or zlib.crc32(body) != checksum:
            return
        yield pa.ipc.open_stream(body).read_all()
        place = begin + length


def carry(journal: Journal, append: Callable[[pa.Table, str], object]) -> int:
    """Bring every closed segment into the table and remove it; return the number of rows.

    Parameters
    ----------
    append
        Adds rows under a batch's name, once.
    """
    carried = 0
    for name, path in journal.closed():
        found = list(records(path))
        if found:
            rows = pa.concat_tables(found)
            append(rows, name)
            carried += rows.num_rows
        with suppress(FileNotFoundError):  # another process has carried it as well
            path.unlink()
    return carried


def _process_of(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _lives(process: int) -> bool:
    """Return whether another process has a number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
