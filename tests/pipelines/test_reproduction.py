"""A version trained again from its records has the same metrics; any change since then shows."""

import datetime as dt
import json
import math
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.__main__ import main
from pipelines.declarations.registry import use_case
from pipelines.execution import provenance
from pipelines.execution.context import Context
from pipelines.execution.jobs import run_and_record
from pipelines.execution.runner import JobRun
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import records, to_pandas
from pipelines.reproduction import Reproduced, Reproduction, ReproductionError, reproduce, require_same_code
from pipelines.tasks.versions.delivery import COPIED_FROM

FLIGHT_DELAY = use_case("flight_delay")
MODEL = FLIGHT_DELAY.model
TRAINED = dt.datetime(2013, 1, 29, tzinfo=dt.UTC)
WEATHER = "flight_delay_features.weather"
COMMIT, OTHER = "a" * 40, "b" * 40
January = tuple[Lakehouse, Path]
"""The environment and its folder."""


def run(lakehouse: Lakehouse, job: str, **parameters: str) -> JobRun:
    """Run a job as of 29 January; it must succeed."""
    given = {"until": TRAINED.isoformat(), **parameters}
    done = run_and_record(lakehouse, FLIGHT_DELAY.job(job), given, now=TRAINED)
    assert done.succeeded
    return done


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Iterator[January]:
    """An environment whose two estimators were trained on January, with a known commit."""
    root = tmp_path_factory.mktemp("reproduction")
    with pytest.MonkeyPatch.context() as patched, open_lakehouse("dev", root=root) as lakehouse:
        patched.setattr(provenance, "_of_checkout", lambda: COMMIT)
        provenance.git_commit.cache_clear()
        run(lakehouse, "features")
        run(lakehouse, "training", evaluation_days="7", sample="0.3", seed="7")
        yield lakehouse, root
    provenance.git_commit.cache_clear()


def again(lakehouse: Lakehouse, version: ModelVersion) -> Reproduction:
    """Reproduce one version."""
    context = Context(lakehouse=lakehouse, use_case=FLIGHT_DELAY, run_id="", now=TRAINED, say=lambda _: None)
    return reproduce(context, version)


def state(lakehouse: Lakehouse) -> tuple[dict[str, int | None], tuple[ModelVersion, ...]]:
    """The version of every table, and every model version with its tags and aliases."""
    tables = {table.address: lakehouse.tables.version(table) for table in FLIGHT_DELAY.tables}
    return tables, lakehouse.models.versions(MODEL)


@pytest.mark.parametrize("number", [1, 2])
def test_every_metric_of_every_estimator_is_identical(january: January, number: int) -> None:
    """On training and evaluation rows, bit by bit; the rows are joined again, and nothing is written."""
    lakehouse, _ = january
    before = state(lakehouse)
    found = again(lakehouse, lakehouse.models.version(MODEL, number))
    assert found.identical, found.sentence
    assert found.rows > 500
    names = {metric.metric for metric in found.metrics}
    assert {"training_roc_auc_score", "training_log_loss", "roc_auc_score", "log_loss"} <= names
    assert f"version {number}: the same rows; of {len(found.metrics)} metrics all are identical." == found.sentence
    assert state(lakehouse) == before


def test_rows_that_arrived_later_change_nothing(january: January) -> None:
    """Each table is read at its recorded version."""
    lakehouse, _ = january
    version = lakehouse.models.version(MODEL, 2)
    table = FLIGHT_DELAY.table(WEATHER)
    rows = lakehouse.tables.read(table).toArrow().to_pylist()
    lakehouse.tables.merge(table, records(table, [{**row, "temperature": 99.0} for row in rows]))
    assert again(lakehouse, version).identical


def test_another_table_version_shows_in_rows_and_metrics(january: January) -> None:
    """The changed weather of the test above, recorded as if the version had been trained on it."""
    lakehouse, _ = january
    version = lakehouse.models.version(MODEL, 2)
    recorded = json.loads(version.tags["table_versions"])
    newest = lakehouse.tables.version(FLIGHT_DELAY.table(WEATHER))
    assert newest > recorded[WEATHER]
    later = {**version.tags, "table_versions": json.dumps({**recorded, WEATHER: newest})}
    found = again(lakehouse, replace(version, tags=later))
    assert found.changed_rows > 0
    assert not found.identical
    assert f"{found.changed_rows:,} of {found.rows:,} rows differ" in found.sentence


def test_another_parameter_than_recorded_shows_in_the_metrics(
    january: January, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are the same, the model is not."""
    lakehouse, _ = january
    version = lakehouse.models.version(MODEL, 1)
    record = lakehouse.models.run_of(version)
    weaker = replace(record, params={**record.params, "C": "0.0001"})
    monkeypatch.setattr(lakehouse.models, "run_of", lambda _: weaker)
    found = again(lakehouse, version)
    assert found.changed_rows == 0
    assert not found.identical
    assert "training_roc_auc_score" in found.sentence
    assert found.sentence.endswith("differ.")


@pytest.mark.proof
def test_a_random_estimator_is_reproduced_with_the_recorded_seed(
    january: January, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed gives another loss."""
    lakehouse, _ = january
    version = lakehouse.models.version(MODEL, 2)
    record = lakehouse.models.run_of(version)
    drawing = {"estimator": "sklearn.ensemble.ExtraTreesClassifier", "encoding": "ordinal", "n_estimators": "3",
               "max_depth": "4", "criterion": "gini", "max_features": "sqrt"}  # fmt: skip
    losses = []
    for seed in ("7", "7", "8"):
        other = replace(record, params={**drawing, "seed": seed})
        monkeypatch.setattr(lakehouse.models, "run_of", lambda _, other=other: other)
        found = again(lakehouse, version)
        losses.append(next(metric.reproduced for metric in found.metrics if metric.metric == "training_log_loss"))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("changed_rows", "recorded", "reproduced", "identical"),
    [
        (0, 0.7, 0.7, True),
        (1, 0.7, 0.7, False),
        (0, 0.7, 0.7000000000000001, False),
        (0, math.nan, math.nan, True),
        (0, math.nan, 0.7, False),
    ],
)
def test_identical_means_rows_and_every_bit_of_every_metric(
    changed_rows: int, recorded: float, reproduced: float, identical: bool
) -> None:
    """Two missing metrics are identical."""
    metric = Reproduced(metric="roc_auc_score", recorded=recorded, reproduced=reproduced)
    found = Reproduction(version=1, rows=10, changed_rows=changed_rows, metrics=(metric,))
    assert found.identical is identical


def test_a_missing_record_is_named(january: January, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table versions, training rows, or parameters."""
    lakehouse, _ = january
    version = lakehouse.models.version(MODEL, 1)
    with pytest.raises(ReproductionError, match=r"no version of table flight_delay_features\.training_set is recorded"):
        again(lakehouse, replace(version, tags={**version.tags, "table_versions": "{}"}))
    with pytest.raises(ReproductionError, match="has no rows for training"):
        again(lakehouse, replace(version, tags={**version.tags, "training_set_id": "another"}))
    record = lakehouse.models.run_of(version)
    monkeypatch.setattr(lakehouse.models, "run_of", lambda _: replace(record, params={"estimator": "x"}))
    with pytest.raises(ReproductionError, match="does not record encoding, seed"):
        again(lakehouse, version)


@pytest.mark.parametrize(
    ("recorded", "running"),
    [(COMMIT, OTHER), (f"{COMMIT}-modified", f"{COMMIT}-modified"), ("unknown", "unknown"), (COMMIT, f"{COMMIT}-modified")],
    ids=["another commit", "changes that nobody committed", "no commit known", "changes since"],
)  # fmt: skip
def test_other_code_than_recorded_is_refused_and_both_commits_are_named(
    january: January, recorded: str, running: str
) -> None:
    """Also if a commit is unknown or has uncommitted changes."""
    lakehouse, _ = january
    version = lakehouse.models.version(MODEL, 1)
    with pytest.raises(ReproductionError) as refused:
        require_same_code(replace(version, tags={"git_commit": recorded}), running=running)
    assert f"commit {recorded}, the running code is {running}" in str(refused.value)


def test_the_remedy_for_another_commit_can_be_pasted(january: January) -> None:
    """It checks the commit out beside the clone and asks again there, with the code of that folder and this environment."""
    lakehouse, root = january
    version = replace(lakehouse.models.version(MODEL, 1), tags={"git_commit": COMMIT})
    again = ["python", "-m", "pipelines", "reproduce", "flight_delay", "1", "--root", f"{root}/a b"]
    with pytest.raises(ReproductionError) as refused:
        require_same_code(version, running=OTHER, again=again)
    clone = Path(provenance.__file__).parents[2]
    lines = [shlex.split(line) for line in str(refused.value).splitlines() if line.startswith("  ")]
    place = str(clone.parent / f"at-{COMMIT[:12]}")
    assert lines == [["git", "-C", str(clone), "worktree", "add", place, COMMIT], ["cd", place], again]


@pytest.mark.parametrize(
    ("recorded", "running", "said"),
    [
        (f"{COMMIT}-modified", OTHER, "its changes were not committed, so nothing brings them back"),
        (f"{COMMIT}-modified", f"{COMMIT}-modified", "its changes were not committed, so nothing brings them back"),
        ("unknown", OTHER, "no checkout can be compared with it"),
        (COMMIT, f"{COMMIT}-modified", "commit or stash your changes and ask again"),
    ],
)
def test_what_no_checkout_brings_back_has_a_remedy_of_its_own(
    january: January, recorded: str, running: str, said: str
) -> None:
    """Nobody is sent to check out what is in no commit."""
    version = replace(january[0].models.version(MODEL, 1), tags={"git_commit": recorded})
    with pytest.raises(ReproductionError, match=said) as refused:
        require_same_code(version, running=running, again=["ask"])
    assert "worktree" not in str(refused.value)
    assert "--anyway" in str(refused.value)


def call(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str, str]:
    """Run the command `reproduce`; return its exit code, its output and its errors on one line."""
    code = main(["reproduce", "flight_delay", *words, "--root", str(root)])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def test_the_command_shows_recorded_and_reproduced_side_by_side(
    capsys: pytest.CaptureFixture[str], january: January
) -> None:
    """With exit code 0 if all metrics are identical."""
    _, root = january
    code, out, _ = call(capsys, root, "1")
    assert code == 0
    assert "training_roc_auc_score" in out
    assert "all are identical" in out


def test_the_command_refuses_other_code_without_anyway(
    capsys: pytest.CaptureFixture[str], january: January, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence and exit code 1; with `--anyway` it reproduces."""
    _, root = january
    monkeypatch.setattr(provenance, "_of_checkout", lambda: OTHER)
    provenance.git_commit.cache_clear()
    try:
        code, _, err = call(capsys, root, "1")
        assert code == 1
        assert COMMIT in err
        assert OTHER in err
        assert call(capsys, root, "1", "--anyway")[0] == 0
    finally:
        provenance.git_commit.cache_clear()


def test_the_command_names_a_version_that_does_not_exist(capsys: pytest.CaptureFixture[str], january: January) -> None:
    """And the latest version."""
    _, root = january
    code, _, err = call(capsys, root, "99")
    assert code == 2
    assert "has no version 99: the latest is 2" in err


@pytest.mark.parametrize("words", [(), ("--anyway",)], ids=["as it is", "with other code allowed"])
def test_the_command_says_where_a_delivered_version_is_reproduced(
    capsys: pytest.CaptureFixture[str], january: January, words: tuple[str, ...]
) -> None:
    """Its run is stored where it was trained; the sentence has the command to run, with exit code 1."""
    lakehouse, _ = january
    with open_lakehouse("prod", root=january[1]) as prod:
        copied = prod.models.copy(lakehouse.models.version(MODEL, 2), lakehouse.models)
        prod.models.set_tags(copied, {COPIED_FROM: "dev version 2"})
    code, out, err = call(capsys, january[1], str(copied.number), "--env", "prod", *words)
    assert (code, out) == (1, "")
    assert err == (
        f"error: version {copied.number} is a copy of dev version 2: reproduce it there: "
        "python -m pipelines reproduce flight_delay 2 --env dev"
    )


def test_as_many_rows_are_joined_again_as_were_stored_for_training(january: January) -> None:
    """So the comparison covers every training row."""
    lakehouse, _ = january
    stored = to_pandas(lakehouse.tables.read(FLIGHT_DELAY.table("training_set")))
    found = again(lakehouse, lakehouse.models.version(MODEL, 1))
    assert found.rows == (stored["part"] == "training").sum()


def test_the_champion_is_reproduced_after_maintenance(january: January) -> None:
    """The versions of the tables that it was trained on are older than the history that is kept, and stay."""
    lakehouse, root = january
    version = lakehouse.models.version(MODEL, 1)
    lakehouse.models.set_alias(version, "champion")  # so few rows are not enough for the gate
    recorded = json.loads(version.tags["table_versions"])
    old = (dt.datetime.now(dt.UTC) - dt.timedelta(days=400)).timestamp()
    for file in (root / "dev" / "tables").rglob("*"):
        os.utime(file, (old, old))
    table = FLIGHT_DELAY.table(WEATHER)
    rows = lakehouse.tables.read(table).toArrow().to_pylist()
    for temperature in (1.0, 2.0):
        lakehouse.tables.merge(table, records(table, [{**row, "temperature": temperature} for row in rows]))
        for file in (root / "dev" / "tables" / table.schema / table.name).rglob("*"):
            os.utime(file, (old, old))
    done = run_and_record(lakehouse, FLIGHT_DELAY.job("maintenance"), {}, now=dt.datetime.now(dt.UTC))
    assert done.succeeded
    log = root / "dev" / "tables" / table.schema / table.name / "_delta_log"
    logged = {int(file.name[:20]) for file in log.glob("0*.json")}
    assert recorded[WEATHER] in logged
    assert 0 not in logged
    with open_lakehouse("dev", root=root) as fresh:
        found = again(fresh, fresh.models.version(MODEL, version.number))
    assert found.identical, found.sentence
