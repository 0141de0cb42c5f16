"""Performance is estimated without labels: close to the truth while only inputs change, and corrected by late labels.

The estimate of a regression is tested in `test_life_of_a_regression`.
"""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from ml.models.prediction import predict
from ml.spec.estimator import Problem
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.tasks import row_limits
from pipelines.tasks.monitoring import estimation
from pipelines.tasks.monitoring.estimation import estimate
from tests.pipelines.tasks.mutants import (
    FLIGHT_DELAY,
    Overconfident,
    context_of,
    flights,
    registered,
    store_training_set,
    trained,
    training_flights,
)

APRIL, MAY, JUNE = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (4, 5, 6))
LABELLED_UNTIL = dt.datetime(2013, 5, 16, tzinfo=dt.UTC)
CALM, CHANGED = "calm", "changed"
METRICS = {"roc_auc_score": roc_auc_score, "log_loss": log_loss}
ScoredMonths = tuple[Lakehouse, ModelVersion, pd.DataFrame]
"""The environment, the version that scored, and its predictions with their true labels."""


def scored(model: Any, rows: pd.DataFrame, alias: str, version: int) -> pd.DataFrame:
    """Flights as rows of the predictions table."""
    made: dict[str, Any] = {
        "alias": alias, "model_version": version, "scored_at": JUNE, "batch_id": "b", "features_version": "{}",
        "score": predict(model, rows[list(FLIGHT_DELAY.inputs)], problem=Problem.BINARY), "hindsight": False,
    }  # fmt: skip
    return rows.assign(**made)[[column.name for column in FLIGHT_DELAY.table("predictions").columns]]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoredMonths]:
    """April and May, scored under two aliases; labels are known for April and the first half of May.

    The alias `changed` scored flights whose labels are inverted: the relation between inputs and label has changed.
    """
    seen, evaluated = training_flights(), flights("evaluation", 6_000)
    months = [
        flights("evaluation", 4_000, first=first, days=30, seed=seed, prefix=f"{first:%B}-")
        for first, seed in ((APRIL, 11), (MAY, 12))
    ]
    turned = [rows.assign(label=1 - rows["label"], request_key="turned-" + rows["request_key"]) for rows in months]
    model = Overconfident(trained(seen))
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("estimation")) as lakehouse:
        store_training_set(lakehouse, "run", seen, evaluated)
        version = registered(lakehouse, model, seen)
        predictions = [scored(model, rows, CALM, version.number) for rows in months]
        predictions += [scored(model, rows, CHANGED, version.number) for rows in turned]
        lakehouse.tables.append_once(FLIGHT_DELAY.table("predictions"), pd.concat(predictions), batch_id="b")
        truth = pd.concat([*months, *turned], ignore_index=True)
        known = truth[truth["prediction_at"] < LABELLED_UNTIL].assign(outcome="landed")
        labels = known.rename(columns={"label_known_at": "known_at"})[["request_key", "known_at", "outcome", "label"]]
        lakehouse.tables.append_once(FLIGHT_DELAY.table("labels"), labels, batch_id="b")
        estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)
        yield lakehouse, version, pd.concat(predictions, ignore_index=True).merge(truth[["request_key", "label"]])


def estimates(lakehouse: Lakehouse) -> dict[tuple[str, int, str], dict[str, Any]]:
    """The rows of the estimates table by alias, month and metric."""
    rows = lakehouse.tables.read(FLIGHT_DELAY.table("estimates")).toArrow().to_pylist()
    return {(row["alias"], row["window_start"].month, row["metric"]): row for row in rows}


def test_every_month_alias_and_metric_has_its_estimate(months: ScoredMonths) -> None:
    """With the version that scored."""
    lakehouse, version, _ = months
    found = estimates(lakehouse)
    assert set(found) == {(alias, month, metric) for alias in (CALM, CHANGED) for month in (4, 5) for metric in METRICS}
    assert {row["model_version"] for row in found.values()} == {version.number}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("month", [4, 5])
def test_the_estimate_is_near_the_truth_although_the_model_exaggerates(
    months: ScoredMonths, metric: str, month: int
) -> None:
    """Scores are first calibrated on the evaluation rows; labels of the second half of May are not used."""
    lakehouse, _, truth = months
    row = estimates(lakehouse)[CALM, month, metric]
    part = truth[(truth["alias"] == CALM) & (truth["prediction_at"].dt.month == month)]
    true = METRICS[metric](part["label"], part["score"])
    assert abs(row["estimated"] - true) < 4 * row["standard_error"]
    as_if_calibrated = METRICS[metric](np.r_[np.ones(len(part)), np.zeros(len(part))], np.tile(part["score"], 2),
                                       sample_weight=np.r_[part["score"], 1 - part["score"]])  # fmt: skip
    assert abs(row["estimated"] - true) < abs(as_if_calibrated - true) / 4


@pytest.mark.parametrize("metric", METRICS)
def test_the_realised_value_and_the_error_are_those_of_the_known_labels(months: ScoredMonths, metric: str) -> None:
    """Computed again here; the error compares two values of the same rows."""
    lakehouse, _, truth = months
    whole, half = (estimates(lakehouse)[CALM, month, metric] for month in (4, 5))
    known = truth[(truth["alias"] == CALM) & (truth["prediction_at"] < LABELLED_UNTIL)]
    for row, month in ((whole, 4), (half, 5)):
        part = known[known["prediction_at"].dt.month == month]
        assert row["labelled"] == len(part)
        assert row["realised"] == pytest.approx(METRICS[metric](part["label"], part["score"]), abs=1e-12)
    assert whole["labelled"] == whole["predictions"] == 4_000
    assert whole["error"] == pytest.approx(whole["estimated"] - whole["realised"])
    assert half["labelled"] < half["predictions"] == 4_000
    assert abs(half["error"]) < 4 * half["standard_error"]
    assert half["error"] != pytest.approx(half["estimated"] - half["realised"], abs=1e-9)


def test_labels_that_became_known_after_the_window_are_not_used(months: ScoredMonths) -> None:
    """An earlier window estimated again later has the same number of labels."""
    lakehouse, *_ = months
    middle = APRIL + dt.timedelta(days=10)
    labelled = []
    for now in (middle, JUNE):
        estimate(context_of(lakehouse, now=now), since=APRIL, until=middle)
        labelled.append(estimates(lakehouse)[CALM, 4, "log_loss"]["labelled"])
    predictions = estimates(lakehouse)[CALM, 4, "log_loss"]["predictions"]
    assert labelled[0] == labelled[1] < predictions
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)


def test_a_change_that_inputs_do_not_show_is_an_error_of_many_standard_errors(months: ScoredMonths) -> None:
    """The estimate equals that of the unchanged flights; the labels differ."""
    lakehouse, *_ = months
    found = estimates(lakehouse)
    changed = found[CHANGED, 4, "roc_auc_score"]
    assert changed["estimated"] == pytest.approx(found[CALM, 4, "roc_auc_score"]["estimated"])
    assert changed["error"] > 10 * changed["standard_error"]


def test_before_any_label_there_is_an_estimate_alone(months: ScoredMonths) -> None:
    """After six hours of April the realised value and the error are missing."""
    lakehouse, *_ = months
    night = APRIL + dt.timedelta(hours=6)
    estimate(context_of(lakehouse, now=night), since=APRIL, until=night)
    row = estimates(lakehouse)[CALM, 4, "log_loss"]
    assert row["estimated"] is not None
    assert (row["realised"], row["error"], row["standard_error"], row["labelled"]) == (None, None, None, 0)
    assert 0 < row["predictions"] < 100
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)
    assert estimates(lakehouse)[CALM, 4, "log_loss"]["predictions"] == 4_000


def test_the_default_window_is_the_newest_month_and_the_one_before(months: ScoredMonths) -> None:
    """Their labels are still arriving; a second estimation replaces the rows."""
    lakehouse, *_ = months
    before = estimates(lakehouse)
    assert estimate(context_of(lakehouse, now=JUNE), since=None, until=None).rows == len(before)
    assert estimates(lakehouse) == before


def test_months_without_predictions_have_no_rows(months: ScoredMonths) -> None:
    """Before the first prediction nothing is estimated."""
    lakehouse, *_ = months
    early = dt.datetime(2013, 2, 1, tzinfo=dt.UTC)
    assert estimate(context_of(lakehouse, now=early), since=None, until=early).rows == 0


def test_a_version_whose_evaluation_rows_are_not_stored_is_named_and_left_out(
    months: ScoredMonths, tmp_path: Path
) -> None:
    """Its scores cannot be calibrated."""
    predictions = months[2]
    said: list[str] = []
    with open_lakehouse("dev", root=tmp_path) as bare:
        table, seen = FLIGHT_DELAY.table("predictions"), training_flights(500)
        store_training_set(bare, "run", seen)
        version = registered(bare, trained(seen), seen)
        rows = predictions[predictions["alias"] == CALM].head(50).assign(model_version=version.number)
        bare.tables.append_once(table, rows[[column.name for column in table.columns]], batch_id="b")
        context = replace(context_of(bare, now=JUNE), say=said.append)
        assert estimate(context, since=APRIL, until=JUNE).rows == 0
    assert said == [f"version {version.number}: none of its evaluation rows are stored, so nothing is estimated"]


def test_a_delivered_version_is_calibrated_on_the_evaluation_rows_of_this_environment(
    months: ScoredMonths, tmp_path: Path
) -> None:
    """Of its training run nothing is stored here, only the rows of its evaluation."""
    predictions = months[2]
    with open_lakehouse("dev", root=tmp_path) as receiving:
        table, seen = FLIGHT_DELAY.table("predictions"), training_flights(500)
        store_training_set(receiving, "delivered", flights("evaluation", 2_000))
        version = registered(receiving, trained(seen), seen, run_id="there")
        receiving.models.set_tags(version, {"evaluation_id": "delivered"})
        rows = predictions[predictions["alias"] == CALM].head(200).assign(model_version=version.number)
        receiving.tables.append_once(table, rows[[column.name for column in table.columns]], batch_id="b")
        assert estimate(context_of(receiving, now=JUNE), since=APRIL, until=JUNE).rows == len(METRICS)


def test_the_realised_roc_auc_is_missing_with_labels_of_one_class(months: ScoredMonths) -> None:
    """With one label the loss is known, the area under the curve is not."""
    lakehouse, _, predictions = months
    first = predictions[predictions["alias"] == CALM]["prediction_at"].min().to_pydatetime()
    until = first + dt.timedelta(days=FLIGHT_DELAY.label_due_days, microseconds=1)
    estimate(context_of(lakehouse, now=until), since=APRIL, until=until)
    found = estimates(lakehouse)
    assert found[CALM, 4, "roc_auc_score"]["labelled"] == found[CALM, 4, "log_loss"]["labelled"] == 1
    assert found[CALM, 4, "roc_auc_score"]["realised"] is None
    assert math.isfinite(found[CALM, 4, "log_loss"]["realised"])
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)


@pytest.mark.parametrize("now", [JUNE, APRIL + dt.timedelta(days=6)])
def test_estimates_from_summaries_are_those_of_the_rows(
    months: ScoredMonths, monkeypatch: pytest.MonkeyPatch, now: dt.datetime
) -> None:
    """In months of which half the labels are known, and before any label: expected, realised and error."""
    lakehouse, version, _ = months
    context = context_of(lakehouse, now=now)
    estimate(context, since=APRIL, until=now)
    exact = estimates(lakehouse)
    learned = estimation._learned(context, version.number)
    monkeypatch.setattr(estimation, "_learned", lambda *_: learned)
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 0)
    estimate(context, since=APRIL, until=now)
    found = estimates(lakehouse)
    assert found.keys() == exact.keys()
    for key, row in exact.items():
        for name in ("estimated", "realised", "error", "standard_error"):
            assert found[key][name] == pytest.approx(row[name], rel=1e-9, abs=1e-9), (key, name)
        assert all(found[key][name] == row[name] for name in ("predictions", "labelled", "not_due"))
    monkeypatch.undo()
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)


def test_an_estimation_is_learned_from_a_sample_of_too_many_evaluation_rows(
    months: ScoredMonths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is drawn by key, and its share is said."""
    lakehouse, version, _ = months
    said: list[str] = []
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 3_000)
    assert estimation._learned(replace(context_of(lakehouse), say=said.append), version.number) is not None
    assert said == [f"version {version.number}: learned from a share of 50.00% of 6,000 evaluation rows"]
