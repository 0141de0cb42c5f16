"""A model trained in staging is delivered to prod: copied, evaluated on prod's own rows, promoted by prod's gate."""

import dataclasses
import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from mlflow.artifacts import download_artifacts
from mlflow.models import Model
from mlflow.models.signature import ModelSignature

import pipelines.execution.jobs
from ml.card.record import UNKNOWN, ModelCard
from ml.monitoring.retraining_decision import RetrainingDecision
from pipelines.__main__ import main
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.jobs import Watcher, run_and_record
from pipelines.execution.runner import JobRun, State, readiness
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.models import CANDIDATE_RUN, Models
from pipelines.scoring.declared import scoring_function
from pipelines.tasks.monitoring import retraining, window_judge
from pipelines.tasks.monitoring.monitored_champion import monitored_champion
from pipelines.tasks.versions import delivery
from pipelines.tasks.versions import evaluation as evaluation_task
from pipelines.tasks.versions.model_card import CARD_FILE
from pipelines.tasks.versions.summarised_evaluation import overlap_by_hash

AIR_TIME = use_case("air_time")
MODEL = AIR_TIME.model
TRAINED = dt.datetime(2013, 3, 12, tzinfo=dt.UTC)
DELIVERED = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
Chain = tuple[Lakehouse, Lakehouse, Path]
"""Staging, prod and the folder that holds both."""
SecondChampion = tuple[Lakehouse, Lakehouse, Path, int]
"""The same, and the number of a champion of staging that prod has not received."""


def run(
    lakehouse: Lakehouse, job: str, until: dt.datetime = DELIVERED, said: list[str] | None = None, **parameters: str
) -> JobRun:
    """Run a job; its present is the end of its window."""
    return run_and_record(
        lakehouse, AIR_TIME.job(job), {"until": until.isoformat(), **parameters}, now=until,
        watcher=Watcher(say=(said if said is not None else []).append, finished=lambda _: None),
    )  # fmt: skip


def train(lakehouse: Lakehouse, until: dt.datetime = TRAINED, **parameters: str) -> JobRun:
    """Train in staging."""
    done = run(lakehouse, "training", until, evaluation_days="21", sample="0.5", **parameters)
    assert done.succeeded, failure(done)
    return done


def failure(done: JobRun) -> str:
    """The first error of a run."""
    return next(attempt.error for attempt in done.attempts if attempt.error)


def signature(models: Models, version: ModelVersion) -> ModelSignature:
    """The signature stored with the files of a version."""
    with tempfile.TemporaryDirectory() as folder:
        files = download_artifacts(artifact_uri=models._location(version), dst_path=folder)
        return Model.load(files).signature


def champion_of(lakehouse: Lakehouse) -> int | None:
    """The champion's number, None before the first."""
    found = lakehouse.models.find_alias(MODEL, CHAMPION)
    return found.number if found else None


def rows(lakehouse: Lakehouse, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return lakehouse.tables.read(AIR_TIME.table(name)).toArrow().to_pylist()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Staging with a champion; prod with features and without a model."""
    root = tmp_path_factory.mktemp("delivery")
    with open_lakehouse("staging", root=root) as staging, open_lakehouse("prod", root=root) as prod:
        assert run(staging, "features", TRAINED).succeeded
        train(staging)
        assert run(prod, "features").succeeded
        yield staging, prod, root


@pytest.fixture(scope="module")
def delivered(chain: Chain) -> Chain:
    """The same after the first delivery to prod."""
    done = run(chain[1], "delivery", evaluation_days="28")
    assert done.succeeded, failure(done)
    return chain


def test_prod_promotes_the_copy_by_its_own_gate_on_its_own_rows(delivered: Chain) -> None:
    """Prod has the verdict; its evaluated rows are later than those of training and of staging's evaluation."""
    staging, prod, _ = delivered
    (verdict,) = rows(prod, "verdicts")
    assert (verdict["outcome"], verdict["promoted"]) == ("promote", 1)
    assert champion_of(prod) == 1
    evaluated = rows(prod, "training_set")
    assert {row["part"] for row in evaluated} == {"evaluation"}
    copy = prod.models.version(MODEL, 1)
    for seen in ("trained_until", "source_evaluated_until"):  # neither what it learned from nor what it was chosen by
        assert min(row["prediction_at"] for row in evaluated) > dt.datetime.fromisoformat(copy.tags[seen])
    assert len(rows(staging, "verdicts")) == 1


def test_the_copy_has_the_signature_lineage_and_evaluation_of_the_original(delivered: Chain) -> None:
    """Its tags name the original and the evaluation of staging."""
    staging, prod, _ = delivered
    original, copy = staging.models.by_alias(MODEL, CHAMPION), prod.models.by_alias(MODEL, CHAMPION)
    assert copy.tags[delivery.COPIED_FROM] == f"staging version {original.number}"
    for tag in ("git_commit", "table_versions", "training_set_id", "seed", "trained_in", "trained_until", "estimator"):
        assert copy.tags[tag] == original.tags[tag]
    assert (original.tags["environment"], copy.tags["environment"], copy.tags["trained_in"]) == (
        "staging", "prod", "staging",
    )  # fmt: skip
    described = {
        models: models._client.get_model_version(models.name(MODEL), str(version.number)).description
        for models, version in ((staging.models, original), (prod.models, copy))
    }
    assert f"A copy of staging version {original.number}, which there had" in described[prod.models]
    for models, name in ((staging.models, "staging"), (prod.models, "prod")):
        assert "Trained in staging on requests from 2013-" in described[models]
        assert f"Evaluated in {name}: " in described[models]
        assert "Verdict: promote (" in described[models]
    for tag in ("evaluation_id", "evaluation_digest", "evaluated", "evaluated_until", "verdict"):
        assert copy.tags[f"source_{tag}"] == original.tags[tag]
    assert copy.tags["evaluation_id"] != copy.tags["source_evaluation_id"]
    signatures = [signature(models, v) for models, v in ((staging.models, original), (prod.models, copy))]
    assert signatures[0] == signatures[1]
    asked = {column.name for column in AIR_TIME.spine.table.columns}
    assert set(signatures[1].inputs.input_names()) == asked | set(scoring_function(AIR_TIME).looked_up)


def test_the_copy_has_a_model_card_of_prods_decision_on_a_run_of_prods(delivered: Chain) -> None:
    """What only staging records is unknown in it; the card of the original stays as it was."""
    staging, prod, _ = delivered
    (row,) = rows(prod, "model_cards")
    card = ModelCard.from_json(row["card"])
    assert (card.version, card.environment) == (1, "prod")
    model = dict(card.section("Model").tables[0].rows)
    assert model["parameters"] == UNKNOWN
    assert model["copied from"].startswith("staging version ")
    client = prod.models._client
    (own,) = client.search_runs([prod.models._experiment(MODEL.use_case)], "tags.copy LIKE '%version 1'")
    assert [file.path for file in client.list_artifacts(own.info.run_id)] == [CARD_FILE]
    assert own.info.status == "FINISHED"
    original = staging.models.by_alias(MODEL, CHAMPION)
    text = staging.models.read_text(original, CARD_FILE)
    assert text is not None
    assert "decision in staging" in text
    assert prod.models.read_text(prod.models.version(MODEL, 1), CARD_FILE) is None


@pytest.mark.proof
def test_a_model_that_dev_alone_trains_passes_two_gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each environment evaluates the copy on later rows of its own; prod's copy has the tags of staging's evaluation."""
    monkeypatch.setattr(
        pipelines.execution.jobs, "use_case", lambda _: dataclasses.replace(AIR_TIME, trained_in=("dev",))
    )
    chosen_until = dt.datetime.min.replace(tzinfo=dt.UTC)
    ends = {"dev": TRAINED, "staging": DELIVERED, "prod": dt.datetime(2013, 4, 20, tzinfo=dt.UTC)}
    with ExitStack() as opened:
        for name, until in ends.items():
            lakehouse = opened.enter_context(open_lakehouse(name, root=tmp_path))
            assert run(lakehouse, "features", until).succeeded
            done = run(lakehouse, "training" if name == "dev" else "delivery", until, evaluation_days="21")
            assert done.succeeded, failure(done)
            judged = [row["prediction_at"] for row in rows(lakehouse, "training_set") if row["part"] == "evaluation"]
            assert min(judged) > chosen_until
            chosen_until = max(judged)
            champion = lakehouse.models.by_alias(MODEL, CHAMPION)
            assert champion.tags["evaluated_in"] == name
            assert (champion.tags["trained_in"], champion.tags["environment"]) == ("dev", name)
            if name != "dev":
                before = list(ends)[list(ends).index(name) - 1]
                assert champion.tags[delivery.COPIED_FROM].startswith(before)
                assert champion.tags["source_evaluated_in"] == before


def test_a_second_delivery_of_the_same_version_changes_nothing(delivered: Chain) -> None:
    """There is one copy, it stays champion, and the output says so."""
    _, prod, _ = delivered
    said: list[str] = []
    done = run(prod, "delivery", evaluation_days="21", said=said)
    assert done.succeeded
    assert any("the champion already" in line for line in said)
    assert done.last["promote"].state is State.NOT_NEEDED
    assert [version.number for version in prod.models.versions(MODEL)] == [champion_of(prod)] == [1]


def test_a_delivery_completes_the_card_of_the_one_that_was_cut_off(delivered: Chain) -> None:
    """The alias had moved, the card was not written: the version is not evaluated again, and has its card afterwards."""
    _, prod, _ = delivered
    (card,) = rows(prod, "model_cards")
    table = AIR_TIME.table("model_cards")
    assert prod.folder is not None
    DeltaTable(prod.folder / "tables" / table.schema / table.name).delete("model_version = 1")
    assert rows(prod, "model_cards") == []
    done = run(prod, "delivery", evaluation_days="21")
    assert done.succeeded
    assert done.last["promote"].state is State.NOT_NEEDED
    assert rows(prod, "model_cards") == [card]


def test_the_delivered_champion_scores_and_is_monitored(delivered: Chain) -> None:
    """The reference profile was copied with the model."""
    _, prod, _ = delivered
    since = (DELIVERED - dt.timedelta(days=7)).isoformat()
    assert run(prod, "scoring", since=since).succeeded
    done = run(prod, "monitoring")
    assert done.succeeded, failure(done)
    assert done.last["decide"].values["trained_here"] == "false"
    assert any(row["drift_type"] == "BASELINE" for row in rows(prod, "drift"))


def test_a_finding_in_prod_starts_a_delivery_instead_of_a_training(
    delivered: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is not trained in prod."""
    _, prod, _ = delivered
    needed = RetrainingDecision(retrain=True, cause="metric_fell", reasons=("told to",))
    monkeypatch.setattr(retraining, "decide_retraining", lambda *_, **__: needed)
    done = run(prod, "monitoring")
    assert done.succeeded, failure(done)
    assert done.last["retrain"].state is State.NOT_NEEDED
    assert [started.job for started in done.started] == ["air_time.delivery"]


@pytest.mark.parametrize(("trained_here", "runs"), [(True, "retrain"), (False, "deliver")])
def test_a_finding_starts_exactly_one_of_two_jobs(trained_here: bool, runs: str) -> None:
    """A training where the model is trained, a delivery elsewhere."""
    job = AIR_TIME.job("monitoring")
    states = {task.key: State.SUCCEEDED for task in job.tasks}
    outcomes = {"retraining_needed": True, "trained_here": trained_here}
    started = [key for key in ("retrain", "deliver") if readiness(job.task(key), states, outcomes) is None]
    assert started == [runs]


def test_training_rows_in_an_evaluation_are_found_by_their_key_hashes(
    delivered: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy has the hashes; if they cannot be read, the overlap is unknown. The engine counts the same where rows are many."""
    staging, prod, _ = delivered
    copy = prod.models.by_alias(MODEL, CHAMPION)
    keys = [row["request_key"] for row in rows(prod, "training_set")]
    context = _context(prod)

    def overlaps(asked: list[str]) -> list[int | None]:
        frame = prod.spark.createDataFrame(pa.table({"request_key": asked}))
        ways = (
            lambda version: evaluation_task.overlap_by_keys(context, version, asked),
            lambda version: overlap_by_hash(context, version, frame),
        )
        return [evaluation_task._overlaps(context, [copy], way)[1] for way in ways]

    assert overlaps(keys) == [0, 0]
    trained = [row["request_key"] for row in rows(staging, "training_set") if row["part"] == "training"]
    assert len(trained) > 1_000
    assert overlaps([*keys, *trained[:500]]) == [500, 500]
    monkeypatch.setattr(prod.models, "read_sidecar", lambda *_: b"cut")
    assert overlaps(keys) == [None, None]


def _context(lakehouse: Lakehouse) -> Context:
    return Context(lakehouse=lakehouse, use_case=AIR_TIME, run_id="asked", now=DELIVERED, say=lambda _: None)


@pytest.mark.parametrize(
    ("job", "environment", "parameters", "said"),
    [
        ("delivery", "prod", {"version": "99"}, "has no version 99"),
        ("delivery", "prod", {"source": "dev"}, "'prod' receives models from 'staging', not from 'dev'"),
        ("delivery", "staging", {}, "air_time is trained in 'staging' itself"),
        ("training", "prod", {}, "air_time is not trained in 'prod' but in dev, staging"),
        (
            "delivery",
            "prod",
            {"version": "1", "evaluation_days": "0"},
            "'prod' is asked for rows whose outcome is due by 2013-04-01",
        ),
        ("rollback", "prod", {}, "the parameter reason is empty"),
    ],
)
def test_a_wrong_delivery_training_or_rollback_is_refused_and_leaves_the_champion(
    delivered: Chain, job: str, environment: str, parameters: dict[str, str], said: str
) -> None:
    """The error is one sentence."""
    lakehouse = {"staging": delivered[0], "prod": delivered[1]}[environment]
    before = champion_of(lakehouse)
    given = parameters if job == "rollback" else {"until": DELIVERED.isoformat(), **parameters}
    done = run_and_record(lakehouse, AIR_TIME.job(job), given, now=DELIVERED)
    assert not done.succeeded
    assert said in failure(done)
    assert champion_of(lakehouse) == before


def test_a_version_without_an_evaluation_is_not_copied(delivered: Chain) -> None:
    """Neither training alone nor the evaluation of another environment is enough."""
    staging, prod, _ = delivered
    done = run_and_record(
        staging, AIR_TIME.job("training"), {"until": TRAINED.isoformat(), "evaluation_days": "21", "sample": "0.5"}, now=TRAINED,
        only=["assemble", "train_ridge"],
    )  # fmt: skip
    number = done.last["train_ridge"].values["version"]
    before = prod.models.latest(MODEL)
    for tags in ({}, {"evaluation_id": "of dev", "evaluated": "well", "evaluated_in": "dev"}):
        staging.models.set_tags(staging.models.version(MODEL, int(number)), tags)
        asked = run(prod, "delivery", version=number)
        assert f"version {number} of staging.air_time_models.air_time has no evaluation of 'staging'" in failure(asked)
    assert prod.models.latest(MODEL) == before
    staging.models.clear_candidates(MODEL)


def test_a_delivery_without_a_champion_in_staging_is_refused(tmp_path: Path) -> None:
    """Staging has no model; nothing is copied."""
    with open_lakehouse("prod", root=tmp_path) as prod:
        done = run(prod, "delivery")
        assert "no version of it has passed the gate of 'staging'" in failure(done)
        assert "Nothing was copied" in failure(done)
        assert prod.models.versions(MODEL) == ()


@pytest.fixture(scope="module")
def second(delivered: Chain) -> SecondChampion:
    """Staging has a new champion that prod has not received."""
    staging, prod, root = delivered
    first = champion_of(staging)
    train(staging, seed="11")
    number = champion_of(staging)
    assert number is not None
    assert number != first
    return staging, prod, root, number


@pytest.mark.proof
def test_a_monitoring_run_whose_retraining_moved_the_champion_is_still_about_the_one_before(
    second: SecondChampion,
) -> None:
    """The run that promoted goes on with the champion it began with; every other run has the present one."""
    staging, _, _, number = second
    promotions = [row for row in rows(staging, "verdicts") if row["outcome"] == "promote"]
    (latest,) = [row for row in promotions if row["promoted"] == number]

    def champion(run_id: str) -> int | None:
        found = monitored_champion(dataclasses.replace(_context(staging), run_id=run_id))
        return None if found is None else found.number

    assert champion(latest["evaluation_id"]) == latest["champion"] != number
    assert champion("another run") == number
    assert {champion(row["evaluation_id"]) for row in promotions if row is not latest} == {number}


FAILING = [
    *(
        ("models", name)
        for name in ("of", "copy", "set_tags", "candidates_of", "load", "clear_candidates", "set_alias")
    ),
    ("tables", "append_once"),
    ("tables", "merge"),
]


@pytest.mark.parametrize(("part", "step"), FAILING, ids=[step for _, step in FAILING])
def test_an_error_at_any_step_leaves_the_champion(
    second: SecondChampion, monkeypatch: pytest.MonkeyPatch, part: str, step: str
) -> None:
    """Each call of registry and tables fails once."""
    _, prod, _, _ = second
    before = champion_of(prod)

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise OSError("the platform does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(getattr(prod, part), step, fail)
        if step == "merge":  # which also keeps the record of the run
            with pytest.raises(OSError, match="does not answer"):
                run(prod, "delivery", evaluation_days="21")
        else:
            done = run(prod, "delivery", evaluation_days="21")
            assert not done.succeeded or done.last["promote"].values["outcome"] == "refuse"
    assert champion_of(prod) == before


def test_a_repeated_task_uses_the_rows_that_it_stored_before(second: SecondChampion) -> None:
    """A crash after the commit does not make the retry refuse the delivery."""
    _, prod, _, _ = second
    for only in (["copy", "to_be_judged", "assemble"], ["assemble"]):
        done = run_and_record(
            prod, AIR_TIME.job("delivery"), {"until": DELIVERED.isoformat(), "evaluation_days": "21"}, now=DELIVERED,
            run_id="again", only=only,
        )  # fmt: skip
        assert done.succeeded, failure(done)


def test_the_command_promotes_the_requested_version_and_respects_a_rollback(
    second: SecondChampion, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ignores candidates of earlier deliveries; a version that was rolled back returns only by its number."""
    staging, prod, root, number = second
    words = ["--root", str(root), "--param", f"until={DELIVERED.isoformat()}", "--param", "evaluation_days=21"]
    promote = ["promote", "air_time", "--from", "staging", "--to", "prod", *words]

    def call(*given: str) -> tuple[int, str]:
        code = main(list(given))
        return code, " ".join(capsys.readouterr().out.split())

    worse = str(min(v.number for v in staging.models.versions(MODEL) if v.tags.get("verdict") == "not promoted"))
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "labelled_by", lambda *_, **__: 1 / 0)
        code, _ = call(*promote, "--version", worse)
        assert code == 1
        newest = max(version.tags[CANDIDATE_RUN] for version in prod.models.candidates(MODEL))
        assert len(prod.models.candidates_of(MODEL, newest)) == 1
    copies = [v for v in prod.models.versions(MODEL) if v.tags[delivery.COPIED_FROM] == f"staging version {number}"]
    (copied,) = copies
    code, out = call(*promote)
    assert (code, champion_of(prod)) == (0, copied.number)
    assert f"version {copied.number} is champion of air_time in prod" in out
    newest = max(rows(prod, "evaluations"), key=lambda row: row["evaluation_id"])
    assert newest["candidates"] == 1
    given = {"source": "staging", "until": DELIVERED.isoformat(), "evaluation_days": "21"}
    again = run_and_record(prod, AIR_TIME.job("delivery"), given, run_id=newest["evaluation_id"])
    assert {task.state for task in again.last.values()} == {State.SUCCEEDED}, failure(again)
    assert (champion_of(prod), prod.models.candidates_of(MODEL, newest["evaluation_id"])) == (copied.number, ())
    code, out = call(*promote)
    assert (code, "it is the champion already" in out) == (0, True)
    code, out = call("rollback", "air_time", "--env", "prod", "--reason", "late again", "--root", str(root))
    assert (code, champion_of(prod)) == (0, 1)
    code, out = call(*promote)
    assert (code, champion_of(prod)) == (0, 1)
    assert "it was rolled back here" in out
    assert "late again" in out
    code, out = call(*promote, "--version", str(number))
    assert (code, champion_of(prod)) == (0, copied.number)
    assert len({v.run_id for v in prod.models.versions(MODEL)}) == len(prod.models.versions(MODEL))


def test_the_rollback_job_restores_the_previous_champion(second: SecondChampion) -> None:
    """As a deployed environment runs it; the verdict has the reason."""
    _, prod, _, _ = second
    champion = champion_of(prod)
    assert champion != 1
    done = run_and_record(
        prod, AIR_TIME.job("rollback"), {"reason": "worse"}, now=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    assert done.succeeded, failure(done)
    assert (done.last["take_back"].values["champion"], champion_of(prod)) == ("1", 1)
    newest = max(rows(prod, "verdicts"), key=lambda row: row["decided_at"])
    assert (newest["outcome"], newest["champion"], newest["sentence"][-5:]) == ("rollback", champion, "worse")
    assert json.loads(newest["reasons"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("flight_delay", "--from", "staging", "--to", "prod"), "flight_delay is trained in prod itself"),
        (("air_time", "--from", "dev", "--to", "prod"), "there is no way from dev to prod: prod receives from staging"),
        (("air_time", "--from", "prod", "--to", "dev"), "dev receives from none"),
        (("air_time", "--from", "staging", "--to", "prd"), "did you mean 'prod'?"),
        (("air_tim", "--from", "staging", "--to", "prod"), "did you mean 'air_time'?"),
        (("air_time", "--from", "staging", "--to", "prod", "--version", "newest"), "it is 'newest'"),
        (("air_time", "--to", "prod"), "missing option '--from'"),
    ],
)
def test_a_promotion_between_wrong_environments_is_refused_before_anything_opens(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """One sentence, exit code 2, and no folder."""
    assert main(["promote", *words, "--root", str(tmp_path / "lakehouse")]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "lakehouse").exists()


def test_a_champion_is_monitored_against_the_evaluation_that_promoted_it() -> None:
    """A copy was refused in March, promoted in April, and evaluated again as champion in May."""

    def measured(month: int, value: float, version: int = 3) -> dict[str, Any]:
        start = dt.datetime(2013, month, 1, tzinfo=dt.UTC)
        return {
            "model_version": version, "metric": "mean_absolute_error", "value": value, "standard_error": 0.1,
            "days": 20, "degrees_of_freedom": None, "slice_key": "all", "slice_value": "all", "window_start": start,
            "window_end": start + dt.timedelta(days=20, seconds=1),
        }  # fmt: skip

    rows = [
        measured(4, 9.0),
        measured(5, 9.5),
        measured(3, 11.0),
        measured(4, 8.0, version=2),
        measured(3, 7.0, version=2),
    ]
    promoted = {"evaluated_until": dt.datetime(2013, 4, 21, tzinfo=dt.UTC).isoformat()}
    champion = ModelVersion(model=MODEL, number=3, run_id="r", tags=promoted, aliases=(CHAMPION,))
    last = {one.model_version: one.value for one in window_judge.evaluated_metrics(rows, champion)}
    assert last == {3: 9.0, 2: 7.0}
    untold = dataclasses.replace(champion, tags={})
    assert {b.model_version: b.value for b in window_judge.evaluated_metrics(rows, untold)} == {3: 11.0, 2: 7.0}
    assert window_judge.evaluated_metrics([], None) == []
