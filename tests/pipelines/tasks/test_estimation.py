"""Performance estimated without labels: near the truth while inputs alone change, and shown wrong by late labels.

That of a regression is tested with its life, in `test_life_of_a_regression`.
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
from pipelines.tasks.estimation import estimate
from tests.pipelines.tasks.mutants import (
    FLIGHT_DELAY,
    Overconfident,
    context_of,
    flights,
    keep_training_set,
    registered,
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
        "score": predict(model, rows[list(FLIGHT_DELAY.inputs)], problem=Problem.BINARY),
    }  # fmt: skip
    return rows.assign(**made)[[column.name for column in FLIGHT_DELAY.table("predictions").columns]]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoredMonths]:
    """April and May as two aliases scored them; labels are known for April and the first half of May.

    The alias changed met flights whose late ones had become early: the relation between inputs and label turned round.
    """
    seen, evaluated = training_flights(), flights("evaluation", 6_000)
    months = [
        flights("evaluation", 4_000, first=first, days=30, seed=seed, prefix=f"{first:%B}-")
        for first, seed in ((APRIL, 11), (MAY, 12))
    ]
    turned = [rows.assign(label=1 - rows["label"], request_key="turned-" + rows["request_key"]) for rows in months]
    model = Overconfident(trained(seen))
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("estimation")) as lakehouse:
        keep_training_set(lakehouse, "run", seen, evaluated)
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


def test_every_month_alias_and_metric_has_its_estimate(year: ScoredMonths) -> None:
    """With the version whose scores they are."""
    lakehouse, version, _ = year
    found = estimates(lakehouse)
    assert set(found) == {(alias, month, metric) for alias in (CALM, CHANGED) for month in (4, 5) for metric in METRICS}
    assert {row["model_version"] for row in found.values()} == {version.number}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("month", [4, 5])
def test_the_estimate_is_near_the_truth_although_the_model_exaggerates(
    year: ScoredMonths, metric: str, month: int
) -> None:
    """Its scores are calibrated on the rows of its evaluation first; labels of the second half of May are not used."""
    lakehouse, _, truth = year
    row = estimates(lakehouse)[CALM, month, metric]
    part = truth[(truth["alias"] == CALM) & (truth["prediction_at"].dt.month == month)]
    true = METRICS[metric](part["label"], part["score"])
    assert abs(row["estimated"] - true) < 4 * row["standard_error"]
    as_if_calibrated = METRICS[metric](np.r_[np.ones(len(part)), np.zeros(len(part))], np.tile(part["score"], 2),
                                       sample_weight=np.r_[part["score"], 1 - part["score"]])  # fmt: skip
    assert abs(row["estimated"] - true) < abs(as_if_calibrated - true) / 4


@pytest.mark.parametrize("metric", METRICS)
def test_the_realised_value_and_the_error_are_those_of_the_known_labels(year: ScoredMonths, metric: str) -> None:
    """Recomputed by hand; the error is between two numbers of the same rows."""
    lakehouse, _, truth = year
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


def test_labels_that_became_known_after_the_window_are_not_used(year: ScoredMonths) -> None:
    """Estimating an earlier window again gives what it gave then, whatever has become known since."""
    lakehouse, *_ = year
    middle = APRIL + dt.timedelta(days=10)
    labelled = []
    for now in (middle, JUNE):
        estimate(context_of(lakehouse, now=now), since=APRIL, until=middle)
        labelled.append(estimates(lakehouse)[CALM, 4, "log_loss"]["labelled"])
    predictions = estimates(lakehouse)[CALM, 4, "log_loss"]["predictions"]
    assert labelled[0] == labelled[1] < predictions
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)


def test_a_change_that_inputs_do_not_show_is_an_error_of_many_standard_errors(year: ScoredMonths) -> None:
    """The estimate is the same as for the calm flights; the labels say something else."""
    lakehouse, *_ = year
    found = estimates(lakehouse)
    changed = found[CHANGED, 4, "roc_auc_score"]
    assert changed["estimated"] == pytest.approx(found[CALM, 4, "roc_auc_score"]["estimated"])
    assert changed["error"] > 10 * changed["standard_error"]


def test_before_any_label_there_is_an_estimate_alone(year: ScoredMonths) -> None:
    """As of the middle of April's first night."""
    lakehouse, *_ = year
    night = APRIL + dt.timedelta(hours=6)
    estimate(context_of(lakehouse, now=night), since=APRIL, until=night)
    row = estimates(lakehouse)[CALM, 4, "log_loss"]
    assert row["estimated"] is not None
    assert (row["realised"], row["error"], row["standard_error"], row["labelled"]) == (None, None, None, 0)
    assert 0 < row["predictions"] < 100
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)
    assert estimates(lakehouse)[CALM, 4, "log_loss"]["predictions"] == 4_000


def test_without_a_window_it_is_the_newest_month_and_the_one_before(year: ScoredMonths) -> None:
    """Whose labels are still arriving; estimating again replaces, it does not add."""
    lakehouse, *_ = year
    before = estimates(lakehouse)
    assert estimate(context_of(lakehouse, now=JUNE), since=None, until=None).rows == len(before)
    assert estimates(lakehouse) == before


def test_months_without_predictions_have_no_rows(year: ScoredMonths) -> None:
    """Neither does an environment that has never scored."""
    lakehouse, *_ = year
    early = dt.datetime(2013, 2, 1, tzinfo=dt.UTC)
    assert estimate(context_of(lakehouse, now=early), since=None, until=early).rows == 0


def test_a_version_whose_evaluation_rows_are_not_stored_is_named_and_left_out(
    year: ScoredMonths, tmp_path: Path
) -> None:
    """Its scores cannot be taken for probabilities."""
    predictions = year[2]
    said: list[str] = []
    with open_lakehouse("dev", root=tmp_path) as bare:
        table, seen = FLIGHT_DELAY.table("predictions"), training_flights(500)
        keep_training_set(bare, "run", seen)
        version = registered(bare, trained(seen), seen)
        rows = predictions[predictions["alias"] == CALM].head(50).assign(model_version=version.number)
        bare.tables.append_once(table, rows[[column.name for column in table.columns]], batch_id="b")
        context = replace(context_of(bare, now=JUNE), say=said.append)
        assert estimate(context, since=APRIL, until=JUNE).rows == 0
    assert said == [f"version {version.number}: none of its evaluation rows are stored, so nothing is estimated"]


def test_a_version_that_was_evaluated_elsewhere_too_is_estimated_from_the_rows_it_was_evaluated_on_here(
    year: ScoredMonths, tmp_path: Path
) -> None:
    """As one is that another environment trained: of its own run nothing is stored here but the evaluation's rows."""
    predictions = year[2]
    with open_lakehouse("dev", root=tmp_path) as receiving:
        table, seen = FLIGHT_DELAY.table("predictions"), training_flights(500)
        keep_training_set(receiving, "delivered", flights("evaluation", 2_000))
        version = registered(receiving, trained(seen), seen, run_id="there")
        receiving.models.set_tags(version, {"evaluation_id": "delivered"})
        rows = predictions[predictions["alias"] == CALM].head(200).assign(model_version=version.number)
        receiving.tables.append_once(table, rows[[column.name for column in table.columns]], batch_id="b")
        assert estimate(context_of(receiving, now=JUNE), since=APRIL, until=JUNE).rows == len(METRICS)


def test_a_month_of_one_class_has_no_ranking_to_realise(year: ScoredMonths) -> None:
    """One label only: the loss is known, the area under the curve is not."""
    lakehouse, _, predictions = year
    first = predictions[predictions["alias"] == CALM]["prediction_at"].min().to_pydatetime()
    until = first + dt.timedelta(hours=6, microseconds=1)
    estimate(context_of(lakehouse, now=until), since=APRIL, until=until)
    found = estimates(lakehouse)
    assert found[CALM, 4, "roc_auc_score"]["labelled"] == found[CALM, 4, "log_loss"]["labelled"] == 1
    assert found[CALM, 4, "roc_auc_score"]["realised"] is None
    assert math.isfinite(found[CALM, 4, "log_loss"]["realised"])
    estimate(context_of(lakehouse, now=JUNE), since=APRIL, until=JUNE)
