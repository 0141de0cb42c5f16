"""A regression has the same life as a ranking: trained on minutes, gated by its error, estimated, monitored, retrained.

The flights are synthetic: the effects on their air time are known, and so is when they change.
"""

import collections
import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.evaluation.record import Evaluation
from ml.monitoring.findings import Finding
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.run_history import row_of
from pipelines.execution.runner import JobRun, State, TaskRun
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import records
from pipelines.report.maturity_reading import THIRD_NAMES, read_maturity
from pipelines.report.writing import write_report
from pipelines.tasks.monitoring import retraining
from pipelines.tasks.versions.reference import Reference
from pipelines.workbench import workbench
from tests.pipelines.flight_files import write_all
from tests.pipelines.use_case_runs import rows_of, run_job

ROOT = Path(__file__).parents[3]
AIR_TIME = use_case("air_time")
JANUARY, MARCH, APRIL, MAY = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (1, 3, 4, 5))
DUE = dt.timedelta(days=AIR_TIME.label_due_days)
AT_NOON = APRIL + dt.timedelta(hours=12)
FLIGHTS_A_DAY = 70
ROUTES = {("EWR", "ORD"): 110, ("JFK", "LAX"): 330, ("LGA", "BOS"): 40, ("JFK", "MIA"): 150}
ERROR = "mean_absolute_error"
FELL = Finding(
    window_start=MARCH, window_end=APRIL + dt.timedelta(days=1), kind="metric_fell", column_name=":table",
    slice_key=":all", slice_value=":all", statistic=ERROR, value=2.0, threshold=1.0, since=MARCH, message="It fell.",
)  # fmt: skip
Life = tuple[Lakehouse, list[JobRun]]
"""The environment, and the runs in their order."""


def flights() -> Iterator[dict[str, str]]:
    """Flights of four months. JetBlue is slow from JFK; from March on Delta is slow from every airport."""
    random = np.random.default_rng(3)
    for day in range((MAY - JANUARY).days):
        date = JANUARY + dt.timedelta(days=day)
        for number in range(FLIGHTS_A_DAY):
            origin, destination = list(ROUTES)[random.integers(len(ROUTES))]
            carrier = str(random.choice(["UA", "B6", "DL"]))
            slow = 25 * (carrier == "B6" and origin == "JFK") + 30 * (carrier == "DL" and date >= MARCH)
            minutes = ROUTES[origin, destination] + slow + random.normal(0, 6)
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": origin, "dest": destination, "air_time": f"{max(minutes, 20):.0f}",
                "time_hour": f"{date:%Y-%m-%d}T14:00:00Z", "minute": str(number % 60),
            }  # fmt: skip


def run(lakehouse: Lakehouse, job: str, until: dt.datetime, **parameters: str) -> JobRun:
    """Run a job of the use case at an instant."""
    skip = ["retrain"] if job == "monitoring" else []
    return run_job(lakehouse, AIR_TIME, job, {"until": until.isoformat(), **parameters}, skip=skip)


def rows(lakehouse: Lakehouse, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return rows_of(lakehouse, AIR_TIME, name)


def first_evaluation(lakehouse: Lakehouse) -> Evaluation:
    """The evaluation of the first training."""
    first = min(rows(lakehouse, "evaluations"), key=lambda row: row["evaluated_at"])
    return Evaluation.from_json(first["evaluation"])


def first_decision(lakehouse: Lakehouse) -> dict[str, Any]:
    """The decision of the first monitoring."""
    return min(rows(lakehouse, "retrainings"), key=lambda row: row["decided_at"])


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Trained on January and February, scored in March, monitored three times, trained again in May; and every run."""
    folder = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("life")) as lakehouse:
        runs = [
            run(lakehouse, "features", MARCH, location=folder),
            # Not the first days of January: no route has a history then.
            run(lakehouse, "training", MARCH, training_days="20", evaluation_days="16"),
            run(lakehouse, "features", APRIL, location=folder),
            run(lakehouse, "scoring", APRIL, since=MARCH.isoformat()),
            run(lakehouse, "monitoring", APRIL),
            run(lakehouse, "monitoring", APRIL),
            run(lakehouse, "monitoring", AT_NOON),
            run(lakehouse, "features", MAY, location=folder),
            run(lakehouse, "training", MAY, training_days="27", evaluation_days="21"),
        ]
        yield lakehouse, runs


def test_every_job_of_a_regression_succeeds(life: Life) -> None:
    """No task assumes a classification."""
    _, runs = life
    assert [done.job for done in runs if not done.succeeded] == []


def test_labels_are_the_minutes_of_the_reports(life: Life) -> None:
    """Each flight has its own air time, unchanged."""
    lakehouse, _ = life
    flown = {
        f"{flight['time_hour'][:13].replace('-', '')}-{flight['carrier']}-{flight['flight']}": float(flight["air_time"])
        for flight in flights()
    }
    labels = {row["request_key"]: row["label"] for row in rows(lakehouse, "labels")}
    assert len(labels) > 100 * FLIGHTS_A_DAY
    assert labels.items() <= flown.items()


def test_the_first_champion_has_the_smaller_error_in_minutes(life: Life) -> None:
    """A linear model cannot learn that one carrier is slow at one airport."""
    lakehouse, _ = life
    first, _ = sorted(rows(lakehouse, "verdicts"), key=lambda row: row["decided_at"])
    assert (first["outcome"], first["champion"]) == ("promote", None)
    assert lakehouse.models.version(AIR_TIME.model, first["promoted"]).tags["estimator"] == "gradient_boosting"
    record = first_evaluation(lakehouse)
    assert (record.metric, record.policy, record.positives) == (ERROR, "air_time", None)
    errors = {contender.estimator: contender.metrics[ERROR] for contender in record.contenders}
    assert 4 < errors["gradient_boosting"] < errors["ridge"] < AIR_TIME.gate.limit
    reasons = {reason["rule"] for reason in json.loads(first["reasons"])}
    assert {"better", "better_than_constant", "limit", "calibration", "plausible"} <= reasons


def test_a_run_holds_the_metrics_and_the_figures_of_a_regression(life: Life) -> None:
    """Errors in minutes, and no ROC curve."""
    lakehouse, _ = life
    version = lakehouse.models.versions(AIR_TIME.model)[0]
    assert 0 < lakehouse.models.run_of(version).metrics["training_mean_absolute_error"] < 15
    pictures = {file.path for file in lakehouse.models._client.list_artifacts(version.run_id, "plots")}
    assert pictures == {"plots/calibration.png", "plots/importance.png"}


def test_the_page_of_a_regression_is_written(life: Life, tmp_path: Path) -> None:
    """Its maturity curve has the thirds of the labels, each of about as many requests."""
    lakehouse, _ = life
    found = read_maturity(lakehouse, AIR_TIME, at=MAY)
    assert found is not None
    assert tuple(found.requests) == ("all", *THIRD_NAMES)
    thirds = [found.requests[name] for name in THIRD_NAMES]
    assert max(thirds) < 1.1 * min(thirds)
    assert lakehouse.folder is not None
    page = write_report(
        lakehouse.folder.parent, AIR_TIME, environments=["dev"], main="dev", out=tmp_path / "report.html"
    )
    assert THIRD_NAMES[0] in page.read_text(encoding="utf-8")


def test_the_realised_metric_is_the_error_of_the_predictions_in_minutes(life: Life) -> None:
    """Value and standard error are computed again here from the tables."""
    lakehouse, _ = life
    predictions = rows(lakehouse, "predictions")
    due = {row["request_key"] for row in predictions if row["prediction_at"] + DUE < AT_NOON}
    labels = {row["request_key"]: row["label"] for row in rows(lakehouse, "labels") if row["request_key"] in due}
    scored = {row["request_key"]: row["score"] for row in predictions}
    assert len(scored) == 31 * FLIGHTS_A_DAY
    wrong = [abs(labels[key] - score) for key, score in scored.items() if key in labels]
    (row,) = [
        row for row in rows(lakehouse, "metrics")
        if (row["alias"], row["metric"], row["slice_key"]) == (CHAMPION, ERROR, ":all")
    ]  # fmt: skip
    assert row["labelled"] == len(wrong) < row["predictions"] == len(scored)
    assert row["not_due"] == len(scored) - len(due) > 6 * FLIGHTS_A_DAY
    assert row["value"] == pytest.approx(np.mean(wrong))
    by_day = collections.defaultdict(list)
    for made in predictions:
        if made["request_key"] in labels:
            wrong_by = abs(labels[made["request_key"]] - made["score"])
            by_day[made["prediction_at"].date()].append(wrong_by - row["value"])
    sums = [sum(excess) / len(wrong) for excess in by_day.values()]
    assert row["days"] == len(sums) >= 24
    assert row["standard_error"] == pytest.approx(np.std(sums, ddof=1) * np.sqrt(len(sums)))


def test_every_monitored_metric_that_fell_is_a_finding_and_asks_for_a_retraining(life: Life) -> None:
    """In minutes, beyond the tolerance of the use case; the worst slice is the carrier that became slow."""
    lakehouse, _ = life
    found = {
        (row["statistic"], row["slice_value"]): row
        for row in rows(lakehouse, "findings")
        if row["kind"] == "metric_fell"
    }
    assert {(name, ":all") for name in AIR_TIME.monitoring.metrics} <= set(found)
    assert {value for statistic, value in found if statistic == ERROR} >= {":all", "DL"}
    carriers = {
        value: row["value"]
        for (statistic, value), row in found.items()
        if (statistic, row["slice_key"]) == (ERROR, "carrier")
    }
    assert max(carriers, key=carriers.get) == "DL"
    whole = found[ERROR, ":all"]
    assert whole["value"] > whole["threshold"] > AIR_TIME.monitoring.metric_tolerance
    decision = first_decision(lakehouse)
    assert (decision["retrain"], decision["cause"]) == (True, "metric_fell")


def test_a_second_monitoring_keeps_the_decision_and_requests_no_second_retraining(life: Life) -> None:
    """The cooldown counts from the first decision; older findings are about another model."""
    lakehouse, runs = life
    answers = [done.last["decide"].values["retrain"] for done in runs if done.job == "air_time.monitoring"]
    assert answers == ["true", "false", "false"]
    decisions = sorted(rows(lakehouse, "retrainings"), key=lambda row: row["decided_at"])
    assert [(row["decided_at"], row["retrain"]) for row in decisions] == [(APRIL, True), (AT_NOON, False)]
    assert "older than the last one, on 2013-04-01" in decisions[1]["reasons"]


def test_a_repeated_run_returns_the_decision_that_it_recorded(embedded_lakehouse: Lakehouse) -> None:
    """Another run at the same instant decides that it is too soon, and changes no record."""

    def decided(run_id: str) -> bool:
        context = Context(lakehouse=embedded_lakehouse, use_case=AIR_TIME, run_id=run_id, now=APRIL, say=lambda _: None)
        return retraining._decision(context, [FELL], [FELL], champion=1, end=APRIL).retrain

    assert [decided(run_id) for run_id in "aaba"] == [True, True, False, True]
    (kept,) = rows(embedded_lakehouse, "retrainings")
    assert (kept["retrain"], kept["run_id"]) == (True, "a")


@pytest.mark.parametrize(("promoted", "retrains", "finished"), [(1, False, ["a"]), (2, True, []), (None, True, [])])
def test_a_retraining_that_was_cut_off_is_repeated_unless_it_made_the_champion(
    embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, promoted: int | None, retrains: bool,
    finished: list[str],
) -> None:  # fmt: skip
    """If it did, the next run writes its model cards and lets its version be served."""
    done: list[str] = []
    for name in ("write_model_cards", "serve"):
        monkeypatch.setattr(retraining, name, lambda context: done.append(context.run_id))

    def decided(run_id: str) -> bool:
        context = Context(lakehouse=embedded_lakehouse, use_case=AIR_TIME, run_id=run_id, now=APRIL, say=lambda _: None)
        return retraining._decision(context, [FELL], [FELL], champion=1, end=APRIL).retrain

    assert decided("a")
    begun = TaskRun(
        run_id="a", job="air_time.monitoring", task="measure", attempt=1, state=State.RUNNING, started_at=APRIL, seconds=0.0
    )  # fmt: skip
    verdict = {
        "evaluation_id": "a", "decided_at": APRIL, "policy": "air_time", "outcome": "promote", "champion": None,
        "promoted": promoted, "challenger": None, "sentence": "", "reasons": "[]",
    }  # fmt: skip
    for name, row in (("runs", row_of(begun, as_of=APRIL, cause="requested")), ("verdicts", verdict)):
        table = AIR_TIME.table(name)
        embedded_lakehouse.tables.merge(table, records(table, [row]))
    assert decided("b") is retrains
    assert done == finished * 2


def test_drift_thresholds_follow_the_days_and_rows_of_the_month(life: Life) -> None:
    """In March flights were scored on all 31 days."""
    lakehouse, _ = life
    found = [row for row in rows(lakehouse, "findings") if row["kind"] == "drift" and row["window_start"] == MARCH]
    first = min(rows(lakehouse, "verdicts"), key=lambda row: row["decided_at"])["promoted"]
    context = Context(lakehouse=lakehouse, use_case=AIR_TIME, run_id="r", now=APRIL, say=lambda _: None)
    reference = Reference.of(context, lakehouse.models.version(AIR_TIME.model, first))
    thresholds = reference.thresholds(context, days=31, rows=31 * FLIGHTS_A_DAY)
    assert found
    for row in found:
        assert row["threshold"] == thresholds.value(row["column_name"], row["statistic"])


def test_drift_alone_is_a_finding_and_no_cause_of_a_retraining(life: Life) -> None:
    """The use case declares so: the winds change with the season."""
    lakehouse, _ = life
    decision = first_decision(lakehouse)
    assert any(row["kind"] == "drift" for row in rows(lakehouse, "findings"))
    assert "drift" not in decision["reasons"]


def test_the_estimate_stays_and_the_realised_error_grows(life: Life) -> None:
    """The change is not among the inputs, so the estimate stays at the value of the evaluation."""
    lakehouse, _ = life
    record = first_evaluation(lakehouse)
    champion = next(row["model_version"] for row in rows(lakehouse, "predictions"))
    evaluated = next(c.metrics for c in record.contenders if c.version == champion)
    found = {row["metric"]: row for row in rows(lakehouse, "estimates")}
    assert set(found) == {ERROR, "root_mean_squared_error"}
    for name, row in found.items():
        assert row["estimated"] == pytest.approx(evaluated[name], rel=0.15)
        assert row["error"] < -10 * row["standard_error"]
        assert row["realised"] > row["estimated"] + 3


def test_the_model_that_has_learned_the_change_becomes_champion(life: Life) -> None:
    """It has the smaller error in minutes on the same rows of April."""
    lakehouse, _ = life
    first, second = sorted(rows(lakehouse, "verdicts"), key=lambda row: row["decided_at"])
    assert (second["outcome"], second["champion"]) == ("promote", first["promoted"])
    assert lakehouse.models.by_alias(AIR_TIME.model, CHAMPION).number == second["promoted"]
    assert ERROR in second["sentence"]


def test_the_notebook_runs_on_it_and_registers_nothing(life: Life) -> None:
    """So does the shorter form on the page; the champion's own estimator, tried as an idea, is exactly as good as it."""
    lakehouse, _ = life
    root, before = str(lakehouse.folder.parent), len(lakehouse.models.versions(AIR_TIME.model))
    cells = json.loads((ROOT / "notebooks" / "look_around.ipynb").read_text(encoding="utf-8"))["cells"]
    page = (ROOT / "docs" / "laptop.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"], [block]
    for cells_of_one in codes:
        names: dict[str, Any] = {}
        for code in cells_of_one:
            here = code.replace('"flight_delay"', '"air_time"').replace('"prod"', '"dev"').replace('"demo"', repr(root))
            exec(here, names)  # noqa: S102 - the product's own notebook
        assert len(names["rows"]) > 100
        assert names["explained"].contributions
        assert "version 0 has mean_absolute_error" in names["verdict"].sentence
    assert len(lakehouse.models.versions(AIR_TIME.model)) == before
    assert all(cell.get("outputs", []) == [] for cell in cells)


def test_an_idea_that_is_the_champion_over_again_is_exactly_as_good(life: Life) -> None:
    """The same rows, the same seed, the same measure as the training job's."""
    lakehouse, _ = life
    with workbench("air_time", env="dev", root=lakehouse.folder.parent) as bench:
        own = next(one for one in AIR_TIME.estimators if one.name == bench.champion.tags["estimator"])
        verdict = bench.try_idea(own, seed=int(bench.champion.tags.get("seed", "0")))
    first, second = re.findall(
        r"version \d+ (?:has mean_absolute_error )?([\d.]+)", verdict.sentence.partition(";")[2]
    )[:2]
    assert first == second
