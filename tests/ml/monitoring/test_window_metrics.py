"""The errors of a window's metrics allow for sampled entities, where a use case declares them."""

import numpy as np
import pandas as pd

from ml.metrics.clusters import Units
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
