"""The report is read from real tables and a real registry and written as one file, or not at all."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from ml.monitoring.findings import ALL_ROWS
from pipelines.__main__ import main
from pipelines.declarations.registry import use_case
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.report import writing as report
from pipelines.report.writing import NothingToReportError, write_report
from pipelines.tasks.delivery import COPIED_FROM

APRIL, MAY, JUNE = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (4, 5, 6))
FLIGHTS = use_case("flight_delay")
REQUESTS = 400


def keep(lakehouse, name, *rows):
    """Write rows of a declared table."""
    table = FLIGHTS.table(name)
    lakehouse.tables.append_once(table, records(table, rows), batch_id=f"{name} of the test")


def prediction(number, alias, version, score):
    """One prediction of April; its inputs are of no interest here."""
    inputs = {column.name: "x" if column.type == "string" else 0.0 for column in FLIGHTS.table("predictions").columns}
    return {
        **{name: value for name, value in inputs.items() if name in FLIGHTS.inputs},
        "request_key": f"r{number}", "alias": alias, "model_version": version, "scored_at": MAY, "batch_id": "b",
        "prediction_at": APRIL + dt.timedelta(days=number % 28), "features_version": "{}", "score": score,
    }  # fmt: skip


def measured(alias, version, value):
    """One row of the metrics table."""
    return {
        "window_start": APRIL, "window_end": MAY, "alias": alias, "model_version": version, "slice_key": ALL_ROWS,
        "slice_value": ALL_ROWS, "metric": "roc_auc_score", "value": value, "standard_error": 0.01,
        "predictions": REQUESTS, "labelled": REQUESTS - 1, "days": 1, "without_label": 1, "missing_labels": 0, "computed_at": MAY,
    }  # fmt: skip


def run(task):
    """One row of the runs table."""
    return {
        "run_id": "r1", "job": "flight_delay.monitoring", "task": task, "attempt": 1, "state": "succeeded",
        "started_at": MAY, "as_of": MAY, "seconds": 1.0, "rows": 1, "cause": "requested", "error": None, "values": "{}",
    }  # fmt: skip


def live(lakehouse):
    """One month of an environment whose second model ranks better than its first."""
    random = np.random.default_rng(7)
    labels = random.integers(0, 2, REQUESTS).astype(float)
    noise = random.uniform(size=REQUESTS)
    keep(
        lakehouse,
        "predictions",
        *(prediction(n, "champion", 2, 0.5 * labels[n] + 0.5 * noise[n]) for n in range(REQUESTS)),
        *(prediction(n, "baseline", 1, noise[n]) for n in range(REQUESTS - 10)),
    )
    known = [
        {"request_key": f"r{n}", "known_at": MAY, "outcome": "landed" if n else "cancelled",
         "label": labels[n] if n else None} for n in range(REQUESTS)
    ]  # fmt: skip
    keep(lakehouse, "labels", *known)
    keep(lakehouse, "metrics", measured("champion", 2, 0.87), measured("baseline", 1, 0.51))
    estimate = {
        "window_start": APRIL, "window_end": MAY, "alias": "champion", "model_version": 2, "metric": "roc_auc_score",
        "estimated": 0.8642, "realised": 0.87, "error": -0.0057, "standard_error": 0.01, "predictions": REQUESTS,
        "labelled": REQUESTS - 1, "computed_at": MAY,
    }  # fmt: skip
    keep(lakehouse, "estimates", estimate)
    keep(lakehouse, "runs", run("measure"), run("retrain"))
    decision = {"decided_at": MAY, "retrain": False, "cause": "none", "reasons": json.dumps(["all is quiet"])}
    keep(lakehouse, "retrainings", decision)


def register(lakehouse):
    """One version, with the alias champion."""
    rows = pd.DataFrame({"x": [0.0, 1.0]})
    with lakehouse.models.start_run("flight_delay", name="trial") as begun:
        version = lakehouse.models.register(
            FLIGHTS.model, DummyClassifier().fit(rows, [0, 1]), run=begun, input_example=rows, output_example=rows["x"],
            pip_requirements=[], tags={"estimator": "dummy_classifier"},
        )  # fmt: skip
    lakehouse.models.set_alias(version, "champion")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder in which prod has lived for a month and dev and staging have not begun."""
    folder = tmp_path_factory.mktemp("lakehouse")
    with open_lakehouse("prod", root=folder) as lakehouse:
        live(lakehouse)
        register(lakehouse)
    return folder


def test_the_command_writes_a_page_made_from_the_tables_and_the_registry(root, tmp_path, capsys):
    """What was predicted, measured, decided and registered stands on it; one month of a better champion is judged so."""
    file = tmp_path / "prod.html"
    assert main(["report", "--env", "prod", "--root", str(root), "--out", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    page = file.read_text(encoding="utf-8")
    told = ("It helped, beyond chance, in April", "0.8700", "0.5100", "all is quiet", "dummy classifier", "0.8642")
    for said in told:
        assert said in page
    assert page.count("Nothing has run here.") == 2


def test_the_status_and_the_report_tell_where_a_copy_comes_from(root, tmp_path, capsys):
    """Whoever looks at the champion of prod finds the version that was trained elsewhere."""
    with open_lakehouse("prod", root=root) as lakehouse:
        champion = lakehouse.models.by_alias(FLIGHTS.model, "champion")
        lakehouse.models.set_tags(champion, {COPIED_FROM: "staging version 4"})
    assert main(["status", "--env", "prod", "--root", str(root)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "dummy_classifier" in line]
    assert line.split() == ["1", "staging", "version", "4", "champion", "dummy_classifier", "-", "-"]
    page = write_report(root, FLIGHTS, out=tmp_path / "copied.html").read_text(encoding="utf-8")
    assert ">staging version 4</td>" in page


def test_the_status_shows_what_was_estimated_beside_what_was_realised(root, capsys):
    """With the error, and of how many predictions the labels have come."""
    assert main(["status", "--env", "prod", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("2013-04") and "roc_auc_score" in line]
    assert line.split()[1:] == ["champion", "2", "roc_auc_score", "0.8642", "0.8700", "-0.0057", "0.0100", "399", "400"]


def test_an_environment_that_nobody_used_is_not_begun_by_reporting(root):
    """Reading is not writing: no folder and no store appears."""
    before = sorted(path.name for path in root.iterdir())
    assert write_report(root, FLIGHTS) == root / "report.html"
    assert sorted(path.name for path in root.iterdir()) == sorted([*before, "report.html"])


def test_what_the_baseline_did_not_score_and_what_has_no_label_is_kept_as_missing(root):
    """Every request of the champion is told of; the last ten have no baseline and the cancelled one no label."""
    with open_lakehouse("prod", root=root) as lakehouse:
        scored = report._scored(lakehouse, FLIGHTS)
    assert scored.labels.size == REQUESTS
    assert np.isnan(scored.labels).sum() == 1
    assert np.isnan(scored.baseline).sum() == 10
    assert (scored.baseline_version == 0).sum() == 10
    assert (scored.champion_version == 2).all()
    assert scored.instants.min() >= np.datetime64("2013-04-01")


def test_the_task_that_starts_the_training_job_is_known_from_the_declarations():
    """Its seconds are those of the training, so they are not counted a second time."""
    assert report._starts(FLIGHTS) == {("flight_delay.monitoring", "retrain")}


def test_an_environment_in_which_nothing_ran_has_no_report_and_gets_no_file(root, tmp_path, capsys):
    """One sentence says what to do; a file that was there before stays as it was."""
    file = tmp_path / "dev.html"
    file.write_text("before")
    with pytest.raises(NothingToReportError, match=r"nothing has run in 'dev' under .*: run a job there first"):
        write_report(root, FLIGHTS, main="dev", out=file)
    assert main(["report", "--env", "dev", "--root", str(root), "--out", str(file)]) == 1
    assert file.read_text() == "before"
    assert "Traceback" not in capsys.readouterr().err


def test_where_several_use_cases_have_run_one_must_be_named(root, tmp_path):
    """None is taken by chance; with one alone nothing needs to be said."""
    assert report.only_use_case(root, "prod") == FLIGHTS
    table = use_case("air_time").table("runs")
    with open_lakehouse("prod", root=tmp_path) as lakehouse:
        for declared in (FLIGHTS.table("runs"), table):
            lakehouse.tables.append_once(declared, records(declared, [run("measure")]), batch_id="runs")
    with pytest.raises(NothingToReportError, match=r"in 'prod': air_time, flight_delay\. Say which with --use-case"):
        report.only_use_case(tmp_path, "prod")


@pytest.mark.parametrize(
    ("given", "hint"),
    [(["--env", "prd"], "did you mean 'prod'"), (["--use-case", "flight_dely"], "did you mean 'flight_delay'")],
)
def test_a_name_that_does_not_exist_is_refused_with_the_near_miss(given, hint, root, capsys):
    """Before anything is read."""
    assert main(["report", "--root", str(root), *given]) == 2
    assert hint in capsys.readouterr().err
