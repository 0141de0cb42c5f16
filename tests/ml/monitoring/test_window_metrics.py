"""The metrics of a window count only predictions whose outcome is due, each once; their errors allow for sampled entities."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.labels.maturity import OutcomeState, standings
from ml.metrics.clusters import Units
from ml.monitoring.findings import ALL_ROWS
from ml.monitoring.measurements import Measurement
from ml.monitoring.window_metrics import Predictions, measure_window
from ml.spec.estimator import Problem

RANDOM = np.random.default_rng(2)
DAYS, STORES = np.repeat(np.arange(30), 60), np.tile(np.arange(30), 60)
LABELS = RANDOM.normal(size=1_800)
SCORES = LABELS + RANDOM.normal(size=1_800) * np.exp(RANDOM.normal(size=30))[STORES]


def measured(units: Units, slices: pd.DataFrame | None = None) -> list[Measurement]:
    """The absolute errors of a window."""
    known = np.ones(1_800, dtype=np.bool_)
    predictions = Predictions(
        scores=SCORES, labels=LABELS, closed=known, due=known, units=units,
        slices=pd.DataFrame() if slices is None else slices,
    )  # fmt: skip
    found = measure_window(predictions, model_version=1, problem=Problem.REGRESSION)
    return [one for one in found if one.metric == "mean_absolute_error"]


def test_a_metric_has_the_error_of_its_units() -> None:
    """By day it is that of 1,800 rows, by store that of 30 stores that differ; the value is the same."""
    by_day, by_store = measured(Units(days=DAYS))[0], measured(Units(days=DAYS, entities={"store": STORES}))[0]
    assert by_day.value == by_store.value
    assert by_day.standard_error is not None
    assert by_store.standard_error is not None
    assert by_store.standard_error > 4 * by_day.standard_error
    assert (by_day.degrees_of_freedom, by_day.days, by_store.days) == (29, 30, 30)


def test_a_slice_of_a_single_entity_has_no_error() -> None:
    """How much entities differ is not known from one; its value is reported."""
    slices = pd.DataFrame({"store": np.where(STORES == 0, "first", "others")})
    found = {one.slice_value: one for one in measured(Units(days=DAYS, entities={"store": STORES}), slices)}
    assert found["first"].standard_error is None
    assert found["first"].value is not None
    assert found["others"].standard_error is not None


AT = np.datetime64("2024-03-01T00:00:00", "us")
DUE_DAYS = 7
ROWS = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.one_of(st.none(), st.integers(0, 20)),
        st.sampled_from([0.0, 1.0, float("nan")]),
        st.sampled_from("ab"),
    ),
    min_size=1,
    max_size=60,
)
"""Age in days, days after which the outcome is known, label, slice."""


@settings(deadline=None, max_examples=60)
@given(rows=ROWS, stated=st.sampled_from([None, 0.0]))
def test_no_metric_counts_what_is_not_due_and_the_counts_add_up(rows: list[Any], stated: float | None) -> None:
    """On all rows and in every slice; the loss is computed again here from the rows that are due."""
    ages, delays, labels, slices = zip(*rows, strict=True)
    asked = AT - np.array([np.timedelta64(age, "D") for age in ages])
    known = np.array(
        [np.datetime64("NaT") if d is None else a + np.timedelta64(d, "D") for a, d in zip(asked, delays, strict=True)]
    )
    standing, deciding = standings(
        asked.astype("datetime64[us]"), known.astype("datetime64[us]"), np.array(labels), at=AT, due_days=DUE_DAYS,
        without_outcome=stated,
    )  # fmt: skip
    late = (standing == OutcomeState.LATE).astype(bool)
    scores = np.linspace(0.1, 0.9, len(rows))
    predictions = Predictions(
        scores=scores, labels=deciding, closed=np.isin(standing, [OutcomeState.LABELLED, OutcomeState.WITHOUT_LABEL]),
        due=standing != OutcomeState.NOT_DUE, units=Units(days=np.arange(len(rows))), slices=pd.DataFrame({"of": slices}),
        late_days=np.where(late, 9.0, np.nan),
    )  # fmt: skip
    due = np.array([age > DUE_DAYS for age in ages])
    for one in measure_window(predictions, model_version=1, problem=Problem.BINARY):
        here = np.array([one.slice_key == ALL_ROWS or one.slice_value == value for value in slices])
        assert one.not_due == int((here & ~due).sum())
        assert one.predictions == one.labelled + one.without_label + one.missing_labels + one.late_labels + one.not_due
        assert one.labelled == int((here & ~np.isnan(deciding)).sum()) <= int((here & due).sum())
        assert one.assumed == int((here & (standing == OutcomeState.ASSUMED)).sum())
        assert (one.late_days == 9.0) is bool((here & late).any())
        if one.metric == "log_loss" and one.value is not None:
            counted = here & ~np.isnan(deciding)
            loss = -np.where(deciding[counted] == 1, np.log(scores[counted]), np.log(1 - scores[counted]))
            assert one.value == pytest.approx(loss.mean())


def test_a_label_that_is_known_before_it_is_due_is_in_no_metric() -> None:
    """Whatever the caller passes with it."""
    known = np.ones(4, dtype=np.bool_)
    predictions = Predictions(
        scores=np.array([0.1, 0.9, 0.2, 0.8]), labels=np.array([0.0, 1.0, 1.0, 0.0]), closed=known,
        due=np.array([True, True, False, False]), units=Units(days=np.arange(4)), slices=pd.DataFrame(),
    )  # fmt: skip
    auc = next(
        one
        for one in measure_window(predictions, model_version=1, problem=Problem.BINARY)
        if one.metric == "roc_auc_score"
    )
    assert (auc.value, auc.labelled, auc.not_due) == (1.0, 2, 2)
