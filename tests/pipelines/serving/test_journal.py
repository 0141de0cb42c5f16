"""What was answered is carried into the table once, whatever ends the process and wherever it is cut off."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.serving.journal import Journal, carry, records

WRITER = """
import sys, pathlib
import pyarrow as pa
from pipelines.serving.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
for number in range(10**9):
    journal.write(pa.table({"answer_id": [str(number)]}))
    print(number, flush=True)
"""


def rows(*ids: str) -> pa.Table:
    """Answers by their ids."""
    return pa.table({"answer_id": list(ids)})


class Table:
    """A table that takes a batch once."""

    def __init__(self) -> None:
        self.batches: dict[str, list[str]] = {}

    def append(self, batch: pa.Table, name: str) -> None:
        """Add a batch, once."""
        self.batches.setdefault(name, batch.column("answer_id").to_pylist())

    @property
    def ids(self) -> list[str]:
        """All that was added."""
        return [one for batch in self.batches.values() for one in batch]


def test_records_are_carried_in_their_order_and_their_files_removed(tmp_path: Path) -> None:
    """What is written after a segment has ended is in the next one."""
    journal, table = Journal(tmp_path), Table()
    journal.write(rows("a", "b"))
    journal.write(rows("c"))
    assert carry(journal, table.append) == 0
    journal.close_segment()
    journal.write(rows("d"))
    assert carry(journal, table.append) == 3
    journal.close_segment()
    assert carry(journal, table.append) == 1
    assert table.ids == ["a", "b", "c", "d"]
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_was_carried_and_not_removed_adds_nothing(tmp_path: Path) -> None:
    """The process was killed between the table's commit and the removal."""
    journal, table = Journal(tmp_path), Table()
    journal.write(rows("a"))
    journal.close_segment()

    def killed(batch: pa.Table, name: str) -> None:
        table.append(batch, name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry(journal, killed)
    assert carry(journal, table.append) == 1
    assert table.ids == ["a"]


@pytest.mark.parametrize("cut", [1, 15, 40, -1])
def test_a_record_that_was_cut_off_is_left_out_and_those_before_it_are_not(tmp_path: Path, cut: int) -> None:
    """Wherever it was cut: nobody was told its answer."""
    journal = Journal(tmp_path)
    journal.write(rows("a"))
    (segment,) = tmp_path.iterdir()
    whole = segment.stat().st_size
    journal.write(rows("b"))
    content = segment.read_bytes()
    segment.write_bytes(content[: whole + cut] if cut > 0 else content[:cut])
    assert [record.column("answer_id").to_pylist() for record in records(segment)] == [["a"]]


def test_a_damaged_record_is_no_answer(tmp_path: Path) -> None:
    """Its checksum differs."""
    journal = Journal(tmp_path)
    journal.write(rows("a"))
    (segment,) = tmp_path.iterdir()
    content = bytearray(segment.read_bytes())
    content[-9] ^= 1
    segment.write_bytes(content)
    assert list(records(segment)) == []


def test_what_a_killed_process_had_written_is_carried_by_the_next_one(tmp_path: Path) -> None:
    """Every record that was reported before SIGKILL is there once; a living process's segment is left alone."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd(),
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(20)]
    journal, table = Journal(tmp_path), Table()
    assert journal.adopt() == 0
    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.stdout if line.strip()]
    writer.wait()
    assert journal.adopt() == 1
    carry(journal, table.append)
    assert table.ids[: len(told)] == [str(number) for number in told]
    assert len(table.ids) <= len(told) + 1
    assert len(set(table.ids)) == len(table.ids)
