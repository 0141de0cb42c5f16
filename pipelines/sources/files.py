"""Reads delivered files: CSV as text, so that the contract, not the parser, decides what a value may be, and Parquet.

Plain, gzipped or zipped files from a folder, or from the data folder of an installed package (which is not imported).
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from ml.spec.near_miss import did_you_mean
from pipelines.declarations.delivery import CsvFormat
from pipelines.sources.archives import SourceError, found, opened

PLAIN = CsvFormat()

# While Arrow reads a CSV file it takes Ctrl-C and SIGTERM for itself, hands them back afterwards, and now and then loses
# one that arrives as it does so: the command would go on as if nobody had interrupted it.
pa.enable_signal_handlers(False)

__all__ = ["SourceError", "check_header", "fingerprint", "package_data", "read_parquet", "read_text_csv"]


def package_data(package: str, folder: str) -> Path:
    """Return a data folder of an installed package without importing the package.

    Raises
    ------
    SourceError
        If the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SourceError(f"the package {package!r} is not installed: install the project's requirements.")
    return Path(spec.origin).parent / folder


def read_text_csv(folder: Path, name: str, columns: Sequence[str], options: CsvFormat = PLAIN) -> pa.Table:
    """Return a CSV file as a table of text columns, missing values as nulls.

    Bytes that are not of the encoding become the character U+FFFD, which the contract quarantines.

    Parameters
    ----------
    folder
        Where ``<name>``, ``<name>.gz`` or ``<name>.zip`` lies; a zip file may hold the file in a folder.
    name
        File name, for example ``flights.csv``.
    columns
        The header that the feed must have, in any order.
    options
        Delimiter, encoding, words for a missing value, compression.

    Raises
    ------
    SourceError
        If there is no such file, it is not a readable CSV file, or its header lacks a column or has an unexpected one.
    """
    data = _as_utf8(opened(folder, name, options.compression), options.encoding)
    try:
        table = _parsed(data, columns, options)
    except pa.ArrowInvalid as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"{name} in {folder} is not a readable CSV file ({reason}): deliver it again, or declare its delimiter and "
            "encoding."
        ) from error
    if _ends_in_quotes(table, data):
        raise SourceError(
            f"{name} in {folder} ends within a quoted value, which began in its last row: deliver it again."
        )
    check_header(name, table.column_names, columns)
    return table


def read_parquet(folder: Path, name: str, columns: Sequence[str]) -> pa.Table:
    """Return a Parquet file as a table of the types that it has; the contract converts them.

    Parameters
    ----------
    folder, name
        Where the file is.
    columns
        The columns that the feed must have, in any order.

    Raises
    ------
    SourceError
        If there is no such file, it is not a readable Parquet file, or it lacks a column or has an unexpected one.
    """
    data = opened(folder, name, "none")
    try:
        table = parquet.ParquetFile(_held_by_arrow(data)).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{name} in {folder} is not a readable Parquet file ({reason}): deliver it again.") from error
    check_header(name, table.column_names, columns)
    return table


def fingerprint(folder: Path, name: str) -> str:
    """Return a text that differs when the file has been delivered again; the same for no file."""
    files = [path.stat() for path in found(folder, name)]
    return " ".join(f"{file.st_mtime_ns}/{file.st_size}/{file.st_ino}" for file in files)


def check_header(name: str, got: Sequence[str], agreed: Sequence[str]) -> None:
    """Raise unless a delivery has exactly the agreed columns.

    Raises
    ------
    SourceError
        Naming every missing, every unexpected and every doubled column at once.
    """
    missing = [column for column in agreed if column not in got]
    extra = [column for column in got if column not in agreed]
    mistakes = [f"column {column!r} is missing" for column in missing]
    near = {column: did_you_mean(column, missing) for column in extra}
    mistakes += [f"unexpected column {column!r}{f': {hint}' if hint else ''}" for column, hint in near.items()]
    mistakes += [f"column {column!r} is there {got.count(column)} times" for column in agreed if got.count(column) > 1]
    if mistakes:
        said = f"{'; '.join(mistakes)}.".replace("?.", "?")
        raise SourceError(f"{name}: {said} Deliver the columns {', '.join(agreed)}, or change the contract.")


def _as_utf8(data: bytes, encoding: str) -> bytes:
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        try:
            data.decode()
        except UnicodeDecodeError:
            return data.decode(errors="replace").encode()
        return data
    return data.decode(encoding, errors="replace").removeprefix("\ufeff").encode(errors="replace")


def _parsed(data: bytes, columns: Sequence[str], options: CsvFormat) -> pa.Table:
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        null_values=list(options.missing),
        strings_can_be_null=True,
        quoted_strings_can_be_null=options.quoted_missing,
        check_utf8=False,
    )
    parse = csv.ParseOptions(delimiter=options.delimiter, newlines_in_values=True)
    try:
        return csv.read_csv(_held_by_arrow(data), parse_options=parse, convert_options=convert)
    except pa.ArrowInvalid as error:
        if "straddl" not in str(error):
            raise
        # One value is longer than a block of the parser, which is a megabyte: then the file is one block.
        one_block = csv.ReadOptions(block_size=min(len(data) + 1, 2**31 - 1))
        return csv.read_csv(_held_by_arrow(data), one_block, parse_options=parse, convert_options=convert)


def _held_by_arrow(data: bytes) -> pa.BufferReader:
    """Return a file of bytes in memory of Arrow's own.

    Arrow's threads let go of what they have read when they get to it. If that is Python's memory and the interpreter has ended by
    then, the process aborts: a command that was done would end with exit code 134.
    """
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())


def _ends_in_quotes(table: pa.Table, data: bytes) -> bool:
    """Return whether the last value has the file's last lines in it because no quote ends it."""
    if not table.num_rows or not table.num_columns:
        return False
    last = table.column(table.num_columns - 1)[-1].as_py()
    return isinstance(last, str) and "\n" in last and not data.rstrip(b"\r\n").endswith(b'"')
