"""Folders of every name hold tables and models, through symbolic links and on other file systems, or are refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from pipelines.declarations.asset import Model, Table
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.tables.paths import LONGEST, FolderError
from tests.pipelines.lakehouse.readings import readings

PROJECT = Path(__file__).parents[3]
MODEL = Model(use_case="tests", name="paths", comment="the number itself")
HELD = (
    "ü", "é日本", "a b", " ", "a%b", "%zz", "it's", 'a"b', "a`b", "{a}", "*", "~", "$HOME", "a:b", "a;b", "a&b=c", "<a>", "-",
    "x" * 255,
)  # fmt: skip
ALL = "".join(HELD[:-1])
REFUSED = ("a#b", "per%20cent", "a?b", "[a]", "br[a]ck", "back\\slash", "a|b", "^", "new\nline", "tab\t", "\x7f")
OTHER_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - only where there is one


def use(lakehouse: Lakehouse, table: Table, model: bool) -> None:
    """Write and read a table in every way, and register, find and load a model."""
    tables = lakehouse.tables
    tables.append_once(table, readings(table, "a", "b"), batch_id="first")
    tables.append_once(table, readings(table, "a", "b"), batch_id="first")
    tables.merge(table, readings(table, "b", "c"))
    assert sorted(row["sensor"] for row in tables.read(table).collect()) == ["a", "b", "c"]
    assert tables.read(table, version=1).count() == 2
    assert [commit.version for commit in tables.history(table)] == [2, 1, 0]
    if model:
        use_model(lakehouse)


def use_model(lakehouse: Lakehouse) -> None:
    """Register a model, and load it and a file beside it."""
    inputs = pd.DataFrame({"number": np.arange(4.0)})
    fitted = LinearRegression().fit(inputs, inputs["number"])
    with lakehouse.models.start_run("tests", name="paths") as run:
        run.log_text("said", "plots/text.txt")
        version = lakehouse.models.register(
            MODEL, fitted, run=run, input_example=inputs[:2], output_example=[0.0, 1.0], sidecar={"file.json": b"{}"}
        )
    assert lakehouse.models.load(version).predict(inputs).round(6).tolist() == [0, 1, 2, 3]
    assert lakehouse.models.read_sidecar(version, "file.json") == b"{}"


def files_below(folder: Path) -> set[str]:
    """The first two names of every path below a folder."""
    return {"/".join(path.relative_to(folder).parts[:2]) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", HELD, ids=ascii)
def test_a_folder_of_any_name_holds_tables(name: str, tmp_path: Path, sensors: Table) -> None:
    """All is in that folder and nothing beside it."""
    with open_lakehouse("dev", root=tmp_path / name) as lakehouse:
        use(lakehouse, sensors, model=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert files_below(tmp_path / name) == {"dev", "dev/tables"}


def test_a_folder_whose_name_has_all_these_characters_holds_models(tmp_path: Path) -> None:
    """They are found again, and nothing is beside the folder."""
    with open_lakehouse("dev", root=tmp_path / ALL) as lakehouse:
        use_model(lakehouse)
    assert [path.name for path in tmp_path.iterdir()] == [ALL]
    assert files_below(tmp_path / ALL) == {"registry.db", "dev", "dev/mlflow.db", "dev/artifacts"}
    with open_lakehouse("dev", root=tmp_path / ALL) as again:
        again.models.load(again.models.version(MODEL, 1))


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_a_name_that_would_be_mistaken_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    """The sentence names the characters; the same for a plain link to such a folder and for a folder below it."""
    (tmp_path / "link").symlink_to(tmp_path / name)
    for root in (tmp_path / name, tmp_path / "link", tmp_path / name / "below"):
        with (
            pytest.raises(FolderError, match="in its path, which the library") as refused,
            open_lakehouse("dev", root=root),
        ):
            pass
        assert refused.value.exit_code == 2
        assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def _a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "below"


def _a_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def _below_a_loop(folder: Path) -> Path:
    return _a_loop(folder) / "below"


def _not_text(folder: Path) -> Path:
    return folder / os.fsdecode(b"\xff")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / ("x" * 256), "File name too long"),
        (lambda folder: folder / "/".join(["x" * 200] * 25), "File name too long"),
        (lambda folder: folder / "/".join(["x" * 200] * (LONGEST // 200)), f"and {LONGEST} are allowed"),
        (_a_file, "is a file"),
        (_a_loop, "loop of symbolic links"),
        (_below_a_loop, "loop of symbolic links"),
        (_not_text, "not UTF-8"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    """Nothing is written."""
    root = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FolderError, match=said) as refused, open_lakehouse("dev", root=root):
        pass
    assert len(str(refused.value)) < 600
    assert sorted(tmp_path.iterdir()) == before


def test_the_longest_path_is_used(tmp_path: Path, sensors: Table) -> None:
    """SQLite has the shortest limit."""
    room = LONGEST - len(str(tmp_path)) - 2
    root = tmp_path / ("x" * (room // 2)) / ("x" * (room - room // 2))
    assert len(str(root)) == LONGEST
    with open_lakehouse("staging", root=root) as lakehouse:
        use(lakehouse, sensors, model=True)


def test_a_symbolic_link_is_the_folder_that_it_points_to(tmp_path: Path, sensors: Table) -> None:
    """What was written through it is found under the folder's own name, also after the link has moved on."""
    link, first, second = tmp_path / "link", tmp_path / "first", tmp_path / "second"
    link.symlink_to(first)
    with open_lakehouse("dev", root=link) as lakehouse:
        use(lakehouse, sensors, model=True)
    link.unlink()
    link.symlink_to(second)
    with open_lakehouse("dev", root=link) as lakehouse:
        assert not lakehouse.tables.exists(sensors)
    with open_lakehouse("dev", root=first) as lakehouse:
        assert lakehouse.tables.version(sensors) == 2
        lakehouse.models.load(lakehouse.models.version(MODEL, 1))


@pytest.mark.skipif(not OTHER_FILE_SYSTEM.is_dir(), reason="there is no second file system")
def test_another_file_system_holds_tables_and_models(tmp_path: Path, sensors: Table) -> None:
    """Temporary files are on the first one."""
    assert OTHER_FILE_SYSTEM.stat().st_dev != tmp_path.stat().st_dev
    with TemporaryDirectory(dir=OTHER_FILE_SYSTEM) as folder, open_lakehouse("dev", root=Path(folder)) as lakehouse:
        use(lakehouse, sensors, model=True)


@pytest.mark.proof
@pytest.mark.jvm
@pytest.mark.usefixtures("jvm_spark")
def test_jvm_spark_holds_tables_in_such_a_folder_too(tmp_path: Path, sensors: Table) -> None:
    """The embedded engine reads what it wrote."""
    with open_lakehouse("dev", engine="spark", root=tmp_path / ALL) as lakehouse:
        lakehouse.tables.append_once(sensors, readings(sensors, "a"), batch_id="first")
    with open_lakehouse("dev", root=tmp_path / ALL) as lakehouse:
        assert lakehouse.tables.read(sensors).count() == 1


def test_a_process_leaves_no_link(tmp_path: Path) -> None:
    """The private folder with the link is gone when the process has ended."""
    code = (
        "from pathlib import Path; from pipelines.lakehouse.tables.paths import plain_folder;"
        f"print(plain_folder(Path({str(tmp_path / 'a b')!r})))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert " " not in said
    assert not Path(said).parent.exists()
    assert (tmp_path / "a b").is_dir()
