"""Reads a file of which a use case is to be made: its delimiter, encoding and header are found, never more than that."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from pipelines.declarations.delivery import CsvFormat
from pipelines.declarations.mistakes import DeclarationError
from pipelines.sources.archives import opened
from pipelines.sources.conversion import NUMBER
from pipelines.sources.files import read_parquet, read_text_csv

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
TEXTS, PARQUETS = (".csv", ".tsv", ".txt"), (".parquet",)
PACKED = (".gz", ".zip")
SAMPLE_CHARACTERS = 200_000
"""So much of a text is looked at to find its delimiter."""


@dataclass(frozen=True, kw_only=True)
class OwnFile:
    """A file as read.

    Attributes
    ----------
    name
        Of the file, without ``.gz`` or ``.zip``, as a reader names it.
    rows
        All of it: text for a CSV file, its own types for a Parquet file.
    options
        The form of a CSV file; None for a Parquet file.
    said
        What was found about its form, a sentence each.
    """

    name: str
    folder: Path
    rows: pa.Table
    options: CsvFormat | None
    said: tuple[str, ...]


def read_own_file(path: Path) -> OwnFile:
    """Return a CSV or Parquet file with the form that it has.

    Raises
    ------
    DeclarationError
        If no use case can be made of it, in one sentence.
    SourceError
        If it cannot be read.
    """
    if path.is_dir():
        within = sorted(one.name for one in path.iterdir() if one.is_file() and _named_as_data(one))
        example = f", such as {within[0]}" if within else "; there is none of a CSV or Parquet file's name"
        raise _refused(path, f"it is a folder: name a file in it{example}")
    name = _plain_name(path)
    kind = Path(name).suffix.lower()
    if not _named_as_data(path):
        raise _refused(
            path, f"its name does not end in {', '.join((*TEXTS, *PARQUETS))}, also with .gz or .zip after it"
        )
    if not path.is_file():
        raise _refused(path, "there is no such file")
    if not path.stat().st_size:
        raise _refused(path, "it is empty: the first line has to name the columns")
    found = _parquet(path, name) if kind in PARQUETS else _text(path, name)
    if not found.rows.num_rows:
        raise _refused(path, "it has a header and no rows")
    return found


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(path.suffix) if path.suffix in PACKED else path.name


def _named_as_data(path: Path) -> bool:
    return Path(_plain_name(path)).suffix.lower() in (*TEXTS, *PARQUETS)


def _parquet(path: Path, name: str) -> OwnFile:
    try:
        columns = parquet.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refused(path, f"it is no readable Parquet file ({str(error).strip().splitlines()[0]})") from error
    return OwnFile(name=name, folder=path.parent, rows=read_parquet(path.parent, name, columns), options=None, said=())


def _text(path: Path, name: str) -> OwnFile:
    data = opened(path.parent, name, "by name")
    encoding = _encoding(data)
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    if "\0" in text[:SAMPLE_CHARACTERS]:
        raise _refused(path, "it is no text")
    delimiter, header = _delimiter(path, text)
    options = CsvFormat(delimiter=delimiter, encoding=encoding)
    said = [f"values are separated by {DELIMITERS[delimiter]}."] if delimiter != "," else []
    if encoding == "cp1252":
        said.append("the file is not UTF-8; cp1252, the encoding of Windows in western Europe, is taken.")
    rows = read_text_csv(path.parent, name, header, options)
    return OwnFile(name=name, folder=path.parent, rows=rows, options=options, said=tuple(said))


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _delimiter(path: Path, text: str) -> tuple[str, list[str]]:
    """Return the delimiter that gives all lines the most columns, and the header.

    Raises
    ------
    DeclarationError
        If no delimiter gives the lines one number of columns, or the first line is no header.
    """
    sample = text[:SAMPLE_CHARACTERS]
    whole = sample if len(text) == len(sample) else sample.rpartition("\n")[0]
    fits: dict[str, list[str]] = {}
    for delimiter in DELIMITERS:
        lines = [line for line in csv.reader(io.StringIO(whole), delimiter=delimiter) if line]
        if lines and len(lines[0]) > 1 and all(len(line) == len(lines[0]) for line in lines):
            fits[delimiter] = lines[0]
    if not fits:
        words = ", ".join(DELIMITERS.values())
        raise _refused(path, f"none of {words} gives each of its lines the same number of columns, at least two")
    delimiter = max(fits, key=lambda one: len(fits[one]))
    _require_header(path, fits[delimiter])
    return delimiter, fits[delimiter]


def _require_header(path: Path, header: list[str]) -> None:
    numbers = [name for name in header if pa.compute.match_substring_regex(pa.scalar(name), NUMBER).as_py()]
    twice = sorted({name for name in header if header.count(name) > 1})
    if numbers:
        raise _refused(
            path, f"its first line is no header, it has the value {numbers[0]!r}: write the names of the columns there"
        )
    if twice:
        raise _refused(path, f"its header has {', '.join(map(repr, twice))} more than once: rename one")


def _refused(path: Path, why: str) -> DeclarationError:
    return DeclarationError(f"no use case can be made of {path.name}: {why}.")
