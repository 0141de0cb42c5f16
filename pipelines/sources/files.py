"""Reads delivered CSV files as text, so that the contract, not the parser, decides what a value may be.

Plain or zipped files from a folder, or from the data folder of an installed package (which is not imported).
"""

import importlib.util
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from ml.spec.errors import LakehouseError
from ml.spec.near_miss import did_you_mean

MISSING = ("", "NA")
"""What the feeds write for a missing value."""


class SourceError(LakehouseError):
    """A delivery that cannot be read at all; none of its rows are ingested."""


def package_data(package: str, folder: str) -> Path:
    """Return a data folder of an installed package without importing the package.

    Raises
    ------
    SourceError
        If the package is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SourceError(f"the package {package!r} is not installed: install the project's requirements.")
    return Path(found.origin).parent / folder


def read_text_csv(folder: Path, name: str, columns: Sequence[str]) -> pa.Table:
    """Return a CSV file as a table of text columns, missing values as nulls.

    Parameters
    ----------
    folder
        Where ``<name>`` or ``<name>.zip`` lies.
    name
        File name, for example ``flights.csv``.
    columns
        The header that the feed must have, in any order.

    Raises
    ------
    SourceError
        If there is no such file, it is not a readable CSV file, or its header lacks a column or has an unexpected one.
    """
    path, archive = folder / name, folder / f"{name}.zip"
    options = {
        "parse_options": csv.ParseOptions(newlines_in_values=False),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), null_values=list(MISSING), strings_can_be_null=True
        ),
    }
    try:
        if path.is_file():
            table = csv.read_csv(path, **options)
        elif archive.is_file():
            with zipfile.ZipFile(archive).open(name) as file:
                table = csv.read_csv(file, **options)
        else:
            raise SourceError(f"no {name} or {name}.zip in {folder}: name the folder with --param location=FOLDER.")
    except (pa.ArrowInvalid, zipfile.BadZipFile, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{name} in {folder} is not a readable CSV file ({reason}): deliver it again.") from error
    check_header(name, table.column_names, columns)
    return table


def fingerprint(folder: Path, name: str) -> str:
    """Return a text that differs when the file has been delivered again; the same for no file."""
    found = [path.stat() for path in (folder / name, folder / f"{name}.zip") if path.is_file()]
    return " ".join(f"{file.st_mtime_ns}/{file.st_size}/{file.st_ino}" for file in found)


def check_header(name: str, got: Sequence[str], agreed: Sequence[str]) -> None:
    """Raise unless a delivery has exactly the agreed columns.

    Raises
    ------
    SourceError
        Naming every missing and every unexpected column at once.
    """
    missing = [column for column in agreed if column not in got]
    extra = [column for column in got if column not in agreed]
    mistakes = [f"column {column!r} is missing" for column in missing]
    near = {column: did_you_mean(column, missing) for column in extra}
    mistakes += [f"unexpected column {column!r}{f': {hint}' if hint else ''}" for column, hint in near.items()]
    if mistakes:
        said = f"{'; '.join(mistakes)}.".replace("?.", "?")
        raise SourceError(f"{name}: {said} Deliver the columns {', '.join(agreed)}, or change the contract.")
