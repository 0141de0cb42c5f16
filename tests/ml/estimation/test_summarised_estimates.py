"""What is expected of rows is the same from sums of their parts as from the rows: every metric, its realised value, its error."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.estimation.metric_estimates import estimates, learn
from ml.estimation.summarised_estimates import KNOWN, YES, Expected, ExpectedSums, expected_of, summarised_estimates
from ml.metrics.addends import merged
from ml.metrics.segment_sums import LABEL
from ml.spec.costs import COST_PER_REQUEST
from ml.spec.estimator import Problem
from ml.spec.target import Target
from tests.ml.metrics.test_segment_summary import (
    COLOURS,
    COSTS,
    WEIGHTS,
    WHOLE,
    grids_of,
    layout_of,
    rows,
    summary_of,
    units_of,
)

VERSION = 3


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("problem", [Problem.BINARY, COLOURS], ids=str)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from(["continuous", "tied", "rare"]), parts=st.integers(1, 5))
def test_estimates_from_sums_are_those_of_the_rows(
    problem: Target, weight: str, seed: int, shape: str, parts: int
) -> None:
    """With a cell for each score; some rows have no label."""
    batch = rows(problem, shape, 300, seed)
    layout = layout_of(problem, weight=weight)
    labels, scores = batch[LABEL].to_numpy(), layout.scores_of(batch, "a")
    known = ~np.isnan(labels)
    inputs = pd.DataFrame(index=range(len(batch)))
    learned = learn(
        problem,
        inputs[known],
        scores[known],
        labels[known],
        numeric=(),
        categorical=(),
        costs=COSTS[problem],
    )
    units = units_of(batch.assign(**{LABEL: 0.0}), depend=False)
    counted = batch[weight].to_numpy() if weight else None
    exact = {one.metric: one for one in estimates(learned, inputs, scores, labels, units, counted)}
    grids = grids_of(batch.assign(**{LABEL: 0.0}), layout, 5_000)
    segments, errors = summary_of(batch, layout, grids)
    sums = ExpectedSums(
        layout=layout, estimations={VERSION: learned}, inputs=(), grids=grids.whole, score="a",
    )  # fmt: skip
    whole = batch.assign(model_version=VERSION, **{KNOWN: np.where(known, YES, None)})
    added = merged([one for i in range(parts) for one in sums(whole.iloc[i::parts])])
    expected = Expected(layout=layout, grids=sums.grids, sums=expected_of(added), group=(), score="a")
    found = summarised_estimates(expected, segments[WHOLE], errors[WHOLE], score="a", metrics=learned.metrics)
    assert [one.metric for one in found] == list(learned.metrics)
    assert {*layout.ranked, "log_loss", COST_PER_REQUEST} <= set(learned.metrics)
    for one in found:
        for name in ("estimated", "realised", "error", "standard_error"):
            value = getattr(exact[one.metric], name)
            assert getattr(one, name) == pytest.approx(value, rel=1e-6, abs=1e-9), (one.metric, name)
