"""What was backed up comes back as it was after the environments are deleted; a damaged backup brings back nothing."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.spec.errors import RequestError
from pipelines.__main__ import main
from pipelines.backup import FILES, MANIFEST, BackupError, back_up, restore
from pipelines.declarations.registry import use_case
from pipelines.execution import provenance
from pipelines.execution.jobs import run_and_record
from pipelines.execution.locks import LockHeldError, hold
from pipelines.lakehouse.lakehouse import open_lakehouse

AIR_TIME = use_case("air_time")
TRAINED, LATER = dt.datetime(2013, 1, 29, tzinfo=dt.UTC), dt.datetime(2013, 2, 1, tzinfo=dt.UTC)


def run(root: Path, job: str, until: dt.datetime, **parameters: str) -> None:
    """Run a job of dev as of an instant; it must succeed."""
    with open_lakehouse("dev", root=root) as lakehouse:
        given = {"until": until.isoformat(), **parameters}
        done = run_and_record(lakehouse, AIR_TIME.job(job), given, now=until)
    assert done.succeeded


def made(root: Path) -> Path:
    """A root with one small environment, without a run."""
    for name in ("dev/tables/a.parquet", "dev/artifacts/run/model.pkl", "registry.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A root in which a model was trained, and a backup of it; the root is deleted and restored."""
    root, backup = tmp_path_factory.mktemp("backup") / "lakehouse", tmp_path_factory.mktemp("backups") / "one"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(provenance, "_of_checkout", lambda: "a" * 40)
        provenance.git_commit.cache_clear()
        run(root, "features", LATER)
        run(root, "training", TRAINED, evaluation_days="5", sample="0.1")
        with open_lakehouse("dev", root=root) as lakehouse:  # so few rows are not enough for the gate
            lakehouse.models.set_alias(lakehouse.models.version(AIR_TIME.model, 1), "champion")
        assert main(["backup", "--root", str(root), "--to", str(backup)]) == 0
        shutil.rmtree(root)
        assert main(["restore", str(backup), "--root", str(root)]) == 0
        yield root, backup
    provenance.git_commit.cache_clear()


def test_scoring_and_reproduction_go_on_after_a_restore(lived: tuple[Path, Path]) -> None:
    """Tables, runs, models, aliases and artifacts are there again."""
    root, _ = lived
    run(root, "scoring", LATER)
    with open_lakehouse("dev", root=root) as lakehouse:
        predictions = lakehouse.tables.read(AIR_TIME.table("predictions"))
        assert predictions.count() > 0
        champion = lakehouse.models.by_alias(AIR_TIME.model, "champion").number
    assert main(["reproduce", "air_time", str(champion), "--root", str(root)]) == 0


def test_another_root_is_refused_with_the_reason(lived: tuple[Path, Path], tmp_path: Path) -> None:
    """MLflow names artifacts by absolute path."""
    _, backup = lived
    with pytest.raises(BackupError, match="would not be found under"):
        restore(backup, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_files_and_their_times_come_back(tmp_path: Path) -> None:
    """Maintenance goes by the times."""
    root, backup = made(tmp_path / "root"), tmp_path / "backup"
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in root.rglob("*.*")}
    assert back_up(root, backup).files == 3
    shutil.rmtree(root)
    root.mkdir()  # an empty folder is no obstacle
    restore(backup, root)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in root.rglob("*.*")} == before
    assert {entry.name for entry in tmp_path.iterdir()} == {"root", "backup"}


@pytest.mark.parametrize("damage", ["altered", "missing", "not in the manifest"])
def test_a_damaged_backup_restores_nothing(tmp_path: Path, damage: str) -> None:
    """The file is named."""
    root, backup = made(tmp_path / "root"), tmp_path / "backup"
    back_up(root, backup)
    shutil.rmtree(root)
    file = backup / FILES / "registry.txt"
    if damage == "altered":
        file.write_text("registry.txT")
    elif damage == "missing":
        file.unlink()
    else:
        file = backup / FILES / "more.txt"
        file.touch()
    with pytest.raises(BackupError, match=rf"{file.name}.* {damage}"):
        restore(backup, root)
    assert not root.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Neither by a backup nor by a restore."""
    root, backup = made(tmp_path / "root"), tmp_path / "backup"
    back_up(root, backup)
    with pytest.raises(BackupError, match="is not empty"):
        back_up(root, backup)
    with pytest.raises(BackupError, match="is not empty"):
        restore(backup, root)


def test_a_running_job_is_named_and_nothing_is_copied(tmp_path: Path) -> None:
    """Also one that no use case declares any more."""
    root, backup = made(tmp_path / "root"), tmp_path / "backup"
    with (
        hold(root / "dev", "gone.job", environment="dev", run_id="the-run"),
        pytest.raises(LockHeldError, match="the-run"),
    ):
        back_up(root, backup)
    assert not backup.exists()


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"format": 99, "root": "", "files": {}})])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: str) -> None:
    """An unreadable manifest, or one of another format."""
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(BackupError, match="is not the manifest"):
        restore(tmp_path, tmp_path / "root")
    with pytest.raises(RequestError, match="so it is no backup"):
        restore(tmp_path / "none", tmp_path / "root")


def test_impossible_places_are_refused(tmp_path: Path) -> None:
    """A root without environments, a target inside the root, a link in the root."""
    with pytest.raises(BackupError, match="holds no environment"):
        back_up(tmp_path, tmp_path / "backup")
    root = made(tmp_path / "root")
    with pytest.raises(BackupError, match="must not contain itself"):
        back_up(root, root / "backup")
    (root / "dev" / "link").symlink_to(tmp_path)
    with pytest.raises(BackupError, match="is a link"):
        back_up(root, tmp_path / "backup")
