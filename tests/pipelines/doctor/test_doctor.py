"""Each kind of residue is made, named, repaired and gone: by killed processes where a process leaves it."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake

from pipelines.__main__ import main
from pipelines.doctor import repair as repairs
from pipelines.doctor.diagnosis import kept_rows
from pipelines.doctor.examination import examine
from pipelines.doctor.residue import Residue, ResidueKind
from pipelines.execution.jobs import run_and_record
from pipelines.execution.locks import LockHeldError, hold
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.use_cases.air_time.declaration import USE_CASE as AIR_TIME
from tests.pipelines.doctor.killed_run import register

ROOT = Path(__file__).parents[3]
UNTIL = "until=2013-01-22"


def kill(root: Path, job: str, run_id: str, point: str, *parameters: str) -> None:
    """Run a job in a process that is killed at a point."""
    words = ["-m", "tests.pipelines.doctor.killed_run", str(root), job, run_id, point, *parameters]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def killed_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose features job was killed when the feature table was written and its batch not yet noted."""
    root = tmp_path_factory.mktemp("killed")
    kill(root, "air_time.features", "f1", "refreshes.append:before", UNTIL)
    return root


@pytest.fixture(scope="module")
def with_features(killed_features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same root, in which the job has run to its end since, examined and repaired until nothing is left."""
    root = tmp_path_factory.mktemp("whole") / "root"
    shutil.copytree(killed_features, root)
    with open_lakehouse("dev", root=root) as lakehouse:
        run_and_record(lakehouse, AIR_TIME.job("features"), {"until": "2013-01-22"}, run_id="f1")
        repair(lakehouse)
        assert found(lakehouse) == []
    return root


@pytest.fixture
def root(with_features: Path, tmp_path: Path) -> Path:
    """A copy of the root with features, of the test's own; nothing was trained in it yet."""
    return Path(shutil.copytree(with_features, tmp_path / "root"))


@pytest.fixture
def opened(root: Path) -> Iterator[Lakehouse]:
    """The environment dev of that root."""
    with open_lakehouse("dev", root=root) as lakehouse:
        yield lakehouse


def found(lakehouse: Lakehouse) -> list[Residue]:
    """What the examination finds."""
    assert lakehouse.folder is not None
    return list(examine(lakehouse, lakehouse.folder))


def kinds(lakehouse: Lakehouse) -> set[ResidueKind]:
    """The kinds of what it finds."""
    return {residue.kind for residue in found(lakehouse)}


def repair(lakehouse: Lakehouse) -> list[str]:
    """Repair everything that is found, and return what was done; nothing is left."""
    assert lakehouse.folder is not None
    done: list[str] = []
    assert repairs.repair(lakehouse, lakehouse.folder, say=done.append) == ()
    return done


def rows_of(lakehouse: Lakehouse, name: str) -> list[dict[str, Any]]:
    """The rows of a table of the use case."""
    rows: list[dict[str, Any]] = lakehouse.tables.read(AIR_TIME.table(name)).toArrow().to_pylist()
    return rows


def test_the_command_names_a_killed_run_and_its_batch_and_repairs_both(
    killed_features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 while something is left; without --repair nothing is changed; afterwards 0."""
    root = Path(shutil.copytree(killed_features, tmp_path / "root"))
    words = ["doctor", "--root", str(root)]
    before = sorted(path for path in root.rglob("*.json"))
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "run f1 of air_time.features is recorded as running since" in said
    assert "1 ingested batch not taken in, the first reports/" in said
    assert main(["status", "--root", str(root)]) == 0
    status = capsys.readouterr().out
    assert (
        "what to look at: platform: the process of air_time.features (task ingest) is gone; to see what it left behind, run mlops doctor"
        in status
    )
    assert sorted(path for path in root.rglob("*.json")) == before
    assert main([*words, "--repair"]) == 0
    said = capsys.readouterr().out
    assert "air_time_monitoring.runs: recorded as interrupted" in said
    assert said.endswith("dev: nothing is left\n")
    assert main(words) == 0
    with open_lakehouse("dev", root=root) as lakehouse:
        assert {(row["run_id"], row["task"], row["state"]) for row in rows_of(lakehouse, "runs")} >= {
            ("f1", "ingest", "interrupted")
        }
        assert rows_of(lakehouse, "labels")


@pytest.mark.proof
def test_a_killed_training_leaves_a_model_and_a_run_and_a_repeated_one_a_second_candidate(root: Path) -> None:
    """All are named and removed, with their files; of identical candidates the first stays, and it loads."""
    kill(root, "register", "t1", "log_model_artifacts:after")
    with open_lakehouse("dev", root=root) as lakehouse:
        assert {ResidueKind.OPEN_MLFLOW_RUN, ResidueKind.UNUSED_MODEL} <= kinds(lakehouse)
        assert list(root.glob("dev/artifacts/models/m-*"))
        repair(lakehouse)
        assert found(lakehouse) == []
        assert not list(root.glob("dev/artifacts/models/m-*"))
        for _ in range(2):
            register(lakehouse, "t1")
        assert kinds(lakehouse) == {ResidueKind.IDENTICAL_CANDIDATE}
        assert len(repair(lakehouse)) == 2
        assert [version.number for version in lakehouse.models.candidates(AIR_TIME.model)] == [1]
        assert lakehouse.models.load(lakehouse.models.version(AIR_TIME.model, 1)) is not None
        assert len(list(root.glob("dev/artifacts/models/m-*"))) == 1


def test_a_candidate_of_an_interrupted_run_is_taken_out(opened: Lakehouse) -> None:
    """Its version stays; nothing would ever have evaluated it."""
    with opened.models.start_run("air_time", name="ridge t9") as run:
        opened.models._client.create_registered_model(opened.models.name(AIR_TIME.model))
        opened.models._client.create_model_version(
            opened.models.name(AIR_TIME.model), "file:///nowhere", run.run_id,
            tags={"candidate": "true", "training_set_id": "f1", "estimator": "ridge"},
        )  # fmt: skip
    runs = AIR_TIME.table("runs")
    last = max(rows_of(opened, "runs"), key=lambda row: row["started_at"])
    later = {
        **last,
        "task": "train",
        "state": "interrupted",
        "started_at": last["started_at"] + dt.timedelta(minutes=1),
    }
    write_rows(opened, "runs", [later])
    assert opened.tables.exists(runs)
    assert kinds(opened) == {ResidueKind.WAITING_CANDIDATE}
    repair(opened)
    assert found(opened) == []
    assert [version.number for version in opened.models.versions(AIR_TIME.model)] == [1]


def test_a_version_that_never_became_ready_is_removed(opened: Lakehouse, root: Path) -> None:
    """The registry itself says in which state it is."""
    import sqlite3

    name = opened.models.name(AIR_TIME.model)
    with opened.models.start_run("air_time", name="ridge t8") as run:
        opened.models._client.create_registered_model(name)
        opened.models._client.create_model_version(name, "file:///nowhere", run.run_id)
    with sqlite3.connect(root / "registry.db") as registry:
        registry.execute("UPDATE model_versions SET status = 'PENDING_REGISTRATION'")
    registry.close()
    assert [(one.kind, one.what) for one in found(opened)] == [
        (ResidueKind.HALF_VERSION, "version 1 is PENDING_REGISTRATION")
    ]
    repair(opened)
    assert (found(opened), opened.models.versions(AIR_TIME.model)) == ([], ())


@pytest.mark.parametrize("name", ["reports", "ingests", "labels"])
def test_keys_that_stand_twice_are_kept_once(opened: Lakehouse, name: str) -> None:
    """Of every key one row stays, and all other rows are as they were."""
    before = rows_of(opened, name)
    write_rows(opened, name, before[:7])
    assert [(one.kind, one.what) for one in found(opened)] == [
        (
            ResidueKind.DUPLICATE_KEYS,
            f"{min(7, len(before))} key{'s' if len(before) > 1 else ''} with {2 * min(7, len(before))} rows",
        )
    ]
    repair(opened)
    assert found(opened) == []
    assert sorted(map(repr, rows_of(opened, name))) == sorted(map(repr, before))


def test_of_rows_with_one_key_the_newest_stays() -> None:
    """By the time at which it was written; of equally new ones always the same, in whatever order they come."""
    predictions = AIR_TIME.table("predictions")
    early, late = (dt.datetime(2013, 1, day, tzinfo=dt.UTC) for day in (1, 2))

    def row(score: float, scored_at: dt.datetime) -> dict[str, Any]:
        return {"request_key": "a", "alias": "champion", "score": score, "scored_at": scored_at, "prediction_at": early}

    rows = [row(1.0, late), row(2.0, early), row(0.5, late)]
    assert kept_rows(predictions, rows) == kept_rows(predictions, rows[::-1]) == [row(1.0, late)]


def test_files_that_nothing_refers_to_are_removed_after_an_hour(opened: Lakehouse, root: Path) -> None:
    """Of tables, of the registry, of models; what a table refers to stays, and so does a file that is being written."""
    table = root / "dev" / "tables" / "air_time_bronze" / "reports"
    data = next(table.glob("*.parquet"))
    orphans = [table / "part-lost.parquet", root / ".registry.db.0f0f", root / "dev" / ".mlflow.db.0f0f"]
    for file in orphans:
        shutil.copy(data, file)
    folder = root / "dev" / "artifacts" / "models" / "m-0f0f"
    folder.mkdir(parents=True)
    (folder / "model.pkl").write_bytes(b"")
    young = table / "part-young.parquet"
    shutil.copy(data, young)
    assert found(opened) == []
    old = time.time() - 7_200
    for path in (*orphans, folder):
        os.utime(path, (old, old))
    assert {residue.where for residue in found(opened)} == {
        str(place) for place in (table, root, root / "dev", root / "dev" / "artifacts")
    }
    rows = len(rows_of(opened, "reports"))
    repair(opened)
    assert found(opened) == []
    assert [path.exists() for path in (*orphans, folder, young, data)] == [False] * 4 + [True] * 2
    assert len(rows_of(opened, "reports")) == rows


def test_nothing_is_repaired_while_a_job_runs(opened: Lakehouse) -> None:
    """The examination works; its run counts as alive, and the repair names the holder."""
    runs = rows_of(opened, "runs")
    write_rows(opened, "runs", [{**runs[0], "run_id": "r7", "state": "running"}])
    assert opened.folder is not None
    with hold(opened.folder, "air_time.features", environment="dev", run_id="r7"):
        assert found(opened) == []
        with pytest.raises(LockHeldError, match="run r7"):
            repair(opened)
    assert kinds(opened) == {ResidueKind.DEAD_RUN}


def test_every_kind_of_residue_has_its_repair() -> None:
    """A kind without one would be named and never repaired."""
    assert set(repairs._REPAIRS) == set(ResidueKind)


def test_an_environment_in_which_nothing_has_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor makes no folders; on Databricks it says who cleans up."""
    assert main(["doctor", "--root", str(tmp_path / "none")]) == 2
    assert "nothing has run in 'dev'" in capsys.readouterr().err
    assert main(["doctor", "--engine", "databricks"]) == 2
    assert "examines environments on this machine" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def write_rows(lakehouse: Lakehouse, name: str, rows: list[dict[str, Any]]) -> None:
    """Append rows past every check, as a release did that held no key over the whole table."""
    from pipelines.lakehouse.tables.arrow import records

    assert lakehouse.folder is not None
    table = AIR_TIME.table(name)
    folder = lakehouse.folder / "tables" / table.schema / table.name
    write_deltalake(DeltaTable(folder), records(table, rows), mode="append")
