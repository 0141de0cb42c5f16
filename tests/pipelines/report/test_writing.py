"""The report is read from real tables and a real registry and written as one file, or not at all."""

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from ml.monitoring.findings import ALL_ROWS
from ml.spec.clusters import Clusters, Entity, EntityKind
from pipelines.__main__ import main
from pipelines.declarations.registry import use_case
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.rollout_state import RolloutState, set_state
from pipelines.lakehouse.tables.arrow import records
from pipelines.report import reading
from pipelines.report.maturity_reading import read_maturity
from pipelines.report.page_charts import maturity_chart
from pipelines.report.records import Row
from pipelines.report.writing import NothingToReportError, only_use_case, write_report
from pipelines.tasks import row_limits
from pipelines.tasks.versions.delivery import COPIED_FROM

APRIL, MAY, JUNE = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (4, 5, 6))
FLIGHTS = use_case("flight_delay")
REQUESTS = 400


def append(lakehouse: Lakehouse, name: str, *rows: Row) -> None:
    """Append rows to a declared table."""
    table = FLIGHTS.table(name)
    lakehouse.tables.append_once(table, records(table, rows), batch_id=f"{name} of the test")


def prediction(number: int, alias: str, version: int, score: float) -> Row:
    """Return a prediction of April; its inputs have no effect."""
    inputs = {column.name: "x" if column.type == "string" else 0.0 for column in FLIGHTS.table("predictions").columns}
    return {
        **{name: value for name, value in inputs.items() if name in FLIGHTS.inputs},
        "request_key": f"r{number}", "alias": alias, "model_version": version, "scored_at": MAY, "batch_id": "b",
        "prediction_at": asked_at(number), "features_version": "{}", "score": score,
    }  # fmt: skip


def asked_at(number: int) -> dt.datetime:
    """Return the day of April on which a request was made."""
    return APRIL + dt.timedelta(days=number % 28)


def scheduled(number: int) -> Row:
    """Return a flight of the schedule."""
    columns = FLIGHTS.spine.table.columns
    values: dict[str, object] = {"string": "x", "int": 1, "double": 1.0, "timestamp": asked_at(number)}
    return {**{column.name: values[column.type] for column in columns}, "flight_id": f"r{number}"}


def measured(alias: str, version: int, value: float) -> Row:
    """Return a row of the metrics table."""
    return {
        "window_start": APRIL, "window_end": MAY, "alias": alias, "model_version": version, "slice_key": ALL_ROWS,
        "slice_value": ALL_ROWS, "metric": "roc_auc_score", "value": value, "standard_error": 0.01,
        "predictions": REQUESTS, "labelled": REQUESTS - 1, "days": 1, "without_label": 1, "missing_labels": 0, "computed_at": MAY,
    }  # fmt: skip


def run(task: str) -> Row:
    """Return a row of the runs table."""
    return {
        "run_id": "r1", "job": "flight_delay.monitoring", "task": task, "attempt": 1, "state": "succeeded",
        "started_at": MAY, "as_of": JUNE, "seconds": 1.0, "rows": 1, "cause": "requested", "error": None, "values": "{}",
    }  # fmt: skip


def run_a_month(lakehouse: Lakehouse) -> None:
    """Fill the tables of a month in which the second model ranks better than the first."""
    random = np.random.default_rng(7)
    labels = random.integers(0, 2, REQUESTS).astype(float)
    noise = random.uniform(size=REQUESTS)
    append(
        lakehouse,
        "predictions",
        *(prediction(n, "champion", 2, 0.5 * labels[n] + 0.5 * noise[n]) for n in range(REQUESTS)),
        *(prediction(n, "baseline", 1, noise[n]) for n in range(REQUESTS - 10)),
        *({**prediction(n, "champion", 2, 0.5), "hindsight": True} for n in range(REQUESTS, REQUESTS + 50)),
    )
    known = [
        {"request_key": f"r{n}", "known_at": asked_at(n) + dt.timedelta(days=3 if labels[n] else 6), "outcome": "landed" if n else "cancelled",
         "label": labels[n] if n else None} for n in range(REQUESTS)
    ]  # fmt: skip
    append(lakehouse, "labels", *known)
    append(lakehouse, "flight_delay_bronze.schedule", *map(scheduled, range(REQUESTS)))
    append(lakehouse, "metrics", measured("champion", 2, 0.87), measured("baseline", 1, 0.51))
    estimate = {
        "window_start": APRIL, "window_end": MAY, "alias": "champion", "model_version": 2, "metric": "roc_auc_score",
        "estimated": 0.8642, "realised": 0.87, "error": -0.0057, "standard_error": 0.01, "predictions": REQUESTS,
        "labelled": REQUESTS - 1, "computed_at": MAY,
    }  # fmt: skip
    append(lakehouse, "estimates", estimate)
    append(lakehouse, "runs", run("measure"), run("retrain"))
    decision = {"decided_at": MAY, "retrain": False, "cause": "none", "reasons": json.dumps(["all is quiet"])}
    append(lakehouse, "retrainings", decision)


def register(lakehouse: Lakehouse) -> None:
    """Register one version, with the alias champion."""
    rows = pd.DataFrame({"x": [0.0, 1.0]})
    with lakehouse.models.start_run("flight_delay", name="trial") as begun:
        version = lakehouse.models.register(
            FLIGHTS.model, DummyClassifier().fit(rows, [0, 1]), run=begun, input_example=rows, output_example=rows["x"],
            pip_requirements=[], tags={"estimator": "dummy_classifier"},
        )  # fmt: skip
    lakehouse.models.set_alias(version, "champion")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which prod has run for a month, and dev and staging do not exist."""
    folder = tmp_path_factory.mktemp("lakehouse")
    with open_lakehouse("prod", root=folder) as lakehouse:
        run_a_month(lakehouse)
        register(lakehouse)
    return folder


def test_the_command_writes_a_page_made_from_the_tables_and_the_registry(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows what was predicted, measured, decided and registered, and that the champion was better."""
    file = tmp_path / "prod.html"
    assert main(["report", "--env", "prod", "--root", str(root), "--out", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    page = file.read_text(encoding="utf-8")
    shown = ("It helped, beyond chance, in April", "0.8700", "0.5100", "all is quiet", "dummy classifier", "0.8642")
    for text in shown:
        assert text in page
    assert page.count("Nothing has run here.") == 2


def test_the_status_and_the_report_show_where_a_copy_comes_from(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The champion of prod names the version that was trained in another environment."""
    with open_lakehouse("prod", root=root) as lakehouse:
        champion = lakehouse.models.by_alias(FLIGHTS.model, "champion")
        lakehouse.models.set_tags(champion, {COPIED_FROM: "staging version 4"})
    assert main(["status", "--env", "prod", "--root", str(root)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "dummy_classifier" in line]
    assert line.split() == ["1", "staging", "version", "4", "champion", "dummy_classifier", "-", "-"]
    page = write_report(root, FLIGHTS, out=tmp_path / "copied.html").read_text(encoding="utf-8")
    assert ">staging version 4</td>" in page


def test_the_status_shows_estimated_and_realised_metrics(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row has the error of the estimate, and how many predictions have labels."""
    assert main(["status", "--env", "prod", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("2013-04") and "roc_auc_score" in line]
    assert line.split()[1:] == ["champion", "2", "roc_auc_score", "0.8642", "0.8700", "-0.0057", "0.0100", "399", "400"]


def test_the_status_names_a_rollout_that_goes_on(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What either version does, and since when; a rollout that has ended is not shown."""
    state = RolloutState(rollout_id="r", version=1, champion=9, percentage=10, since=MAY)
    with open_lakehouse("prod", root=root) as lakehouse:
        version = lakehouse.models.version(FLIGHTS.model, 1)
        lakehouse.models.delete_alias(FLIGHTS.model, CHAMPION)
        lakehouse.models.set_alias(version, CHALLENGER)
        said = []
        for shown in (state, replace(state, percentage=0), replace(state, ended="it was returned")):
            set_state(lakehouse.models, FLIGHTS.model, shown)
            assert main(["status", "--env", "prod", "--root", str(root)]) == 0
            said.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("rollout:")])
        lakehouse.models.delete_alias(FLIGHTS.model, CHALLENGER)
        lakehouse.models.set_alias(version, CHAMPION)
    assert said == [
        ["rollout: version 1 answers 10% of the requests and version 9 the others since 2013-05-01 00:00"],
        ["rollout: version 1 scores what version 9 answers, as its shadow, since 2013-05-01 00:00"],
        [],
    ]


def test_reporting_creates_no_environment(root: Path) -> None:
    """No folder and no store of an unused environment appears."""
    before = sorted(path.name for path in root.iterdir())
    assert write_report(root, FLIGHTS) == root / "report.html"
    assert sorted(path.name for path in root.iterdir()) == sorted([*before, "report.html"])


def test_missing_baseline_scores_and_labels_are_kept_as_missing(root: Path) -> None:
    """Every request that it scored live is read; the last ten have no baseline, and the cancelled one has no label."""
    with open_lakehouse("prod", root=root) as lakehouse:
        scored = reading._scored(lakehouse, FLIGHTS)
    assert scored.labels.size == REQUESTS
    assert np.isnan(scored.labels).sum() == 1
    assert np.isnan(scored.baseline).sum() == 10
    assert (scored.baseline_version == 0).sum() == 10
    assert (scored.champion_version == 2).all()
    assert scored.instants.min() >= np.datetime64("2013-04-01")


def test_the_entities_that_a_use_case_declares_are_read(root: Path) -> None:
    """As a number for each, so that rows of one are known; and how much days remember."""
    declared = Clusters(entities=(Entity(column=FLIGHTS.slices[0], kind=EntityKind.SAMPLED),), day_memory=0.6)
    with open_lakehouse("prod", root=root) as lakehouse:
        scored = reading._scored(lakehouse, replace(FLIGHTS, clusters=declared))
        plain = reading._scored(lakehouse, FLIGHTS)
    assert scored.entities is not None
    assert (scored.entities.shape, scored.day_memory) == ((REQUESTS, 1), 0.6)
    assert plain.entities is None


def test_of_more_requests_than_a_machine_holds_a_share_is_read_and_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn by key, so champion and baseline have the same ones."""
    monkeypatch.setattr(row_limits, "EXACT_ROWS", REQUESTS // 2)
    with open_lakehouse("prod", root=root) as lakehouse:
        scored = reading._scored(lakehouse, FLIGHTS)
    assert scored.share == 0.5
    assert 0.4 * REQUESTS < scored.labels.size < 0.6 * REQUESTS
    assert np.isnan(scored.baseline).sum() <= 10
    page = write_report(root, FLIGHTS, out=tmp_path / "page.html").read_text()
    assert "All of this is measured on 50.00% of the requests, drawn by their keys." in page


def test_the_task_that_starts_the_training_job_is_known_from_the_declarations() -> None:
    """Its seconds are those of the training, so they are not counted twice."""
    assert reading._starts(FLIGHTS) == {("flight_delay.monitoring", "retrain")}


def test_an_environment_in_which_nothing_ran_has_no_report_and_gets_no_file(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says what to do; an existing file stays as it was."""
    file = tmp_path / "dev.html"
    file.write_text("before")
    with pytest.raises(NothingToReportError, match=r"nothing has run in 'dev' under .*: run a job there first"):
        write_report(root, FLIGHTS, main="dev", out=file)
    assert main(["report", "--env", "dev", "--root", str(root), "--out", str(file)]) == 2
    assert file.read_text() == "before"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", [(), ("--use-case", "flight_delay")])
def test_status_and_report_refuse_a_mistyped_root_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: tuple[str, ...]
) -> None:
    """Both say the same sentence with exit code 2, and create no folder."""
    missing = tmp_path / "mistyped"
    said = []
    for words in (("status",), ("report", *name)):
        assert main([*words, "--env", "prod", "--root", str(missing)]) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert " ".join(said[0].split()).endswith("run a job there first, or name another environment or folder.")
    assert not missing.exists()


def test_where_several_use_cases_have_run_one_must_be_named(root: Path, tmp_path: Path) -> None:
    """With one use case there is no need to."""
    assert only_use_case(root, "prod") == FLIGHTS
    table = use_case("air_time").table("runs")
    with open_lakehouse("prod", root=tmp_path) as lakehouse:
        for declared in (FLIGHTS.table("runs"), table):
            lakehouse.tables.append_once(declared, records(declared, [run("measure")]), batch_id="runs")
    with pytest.raises(NothingToReportError, match=r"in 'prod': air_time, flight_delay\. Say which with --use-case"):
        only_use_case(tmp_path, "prod")


@pytest.mark.parametrize(
    ("given", "hint"),
    [(["--env", "prd"], "did you mean 'prod'"), (["--use-case", "flight_dely"], "did you mean 'flight_delay'")],
)
def test_a_name_that_does_not_exist_is_refused_with_the_near_miss(
    given: list[str], hint: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is read before."""
    assert main(["report", "--root", str(root), *given]) == 2
    assert hint in capsys.readouterr().err


def test_the_maturity_curve_has_the_share_known_by_age_and_label(root: Path) -> None:
    """Late flights were known after three days, the others after six; a cancelled one counts in all only."""
    with open_lakehouse("prod", root=root) as lakehouse:
        found = read_maturity(lakehouse, FLIGHTS, at=JUNE)
        assert read_maturity(lakehouse, FLIGHTS, at=APRIL) is None
        half = read_maturity(lakehouse, FLIGHTS, at=APRIL + dt.timedelta(days=10))
    assert found is not None
    assert (found.due_days, found.horizon_days, found.requests["all"]) == (7, 14, REQUESTS)
    assert found.requests["label 0"] + found.requests["label 1"] == REQUESTS - 1
    assert [found.shares("label 1")[age] for age in (2, 3, 14)] == [0.0, 1.0, 1.0]
    assert [found.shares("label 0")[age] for age in (5, 6, 14)] == [0.0, 1.0, 1.0]
    assert 0.4 < found.shares("all")[3] < 0.6
    assert _due_between(maturity_chart(found)) == (7, 8)
    assert half is not None
    assert (half.horizon_days, half.requests["all"]) == (7, 3 * 15)  # of the first three days


def _due_between(chart: str) -> tuple[int, int]:
    """The ages on both sides of the line "due" in a maturity curve."""
    places = {text: float(x) for x, text in re.findall(r'<text[^>]* x="([\d.]+)"[^>]*>(\d+|due)</text>', chart)}
    due = places.pop("due")
    ages = {int(age): x for age, x in places.items()}
    return max(age for age, x in ages.items() if x < due), min(age for age, x in ages.items() if x > due)
