"""What an evaluation knows of scores from a summary is what it knows of them from the rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.contender import ScoreFacts
from ml.evaluation.summarised_evaluation import plan, with_distinct
from ml.metrics.addends import segment_name
from ml.metrics.segment_sums import LABEL, class_columns
from ml.spec.gate_policy import policy
from ml.spec.target import Target
from tests.ml.metrics.test_segment_summary import (
    COLOURS,
    PROBLEMS,
    WHOLE,
    arrays,
    grids_of,
    layout_of,
    rows,
    summary_of,
)


def with_scores(batch: pd.DataFrame, problem: Target, kind: str) -> pd.DataFrame:
    """Rows whose first model gives one score, hard labels, or what it gave."""
    columns = class_columns("a", COLOURS) if problem is COLOURS else ("a",)
    places = np.arange(len(batch)) % 3
    made = {
        "constant": {name: 0.2 + 0.3 * place for place, name in enumerate(columns)},
        "hard": {name: (places == place).astype(float) for place, name in enumerate(columns)},
    }
    return batch.assign(**made.get(kind, {}))


@pytest.mark.parametrize("weight", ["", "weight"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize(("kind", "distinct"), [("constant", 1), ("hard", 2), ("continuous", None)])
def test_constant_scores_and_hard_labels_are_seen_in_a_summary(
    problem: Target, weight: str, kind: str, distinct: int | None
) -> None:
    """Of several classes a constant has another value for each class, and hard labels are zeros and ones of all of them."""
    batch = with_scores(rows(problem, "continuous", 300, 4), problem, kind)
    layout = layout_of(problem, weight=weight)
    segments, _ = summary_of(batch, layout, grids_of(batch, layout, 2_000))
    exact = ScoreFacts.of(arrays(batch, problem)[1], int(batch[LABEL].notna().sum()), problem)
    found = with_distinct(exact, segments[WHOLE], "a")
    assert found.distinct == exact.distinct
    assert found.distinct == distinct or distinct is None


def test_a_slice_is_as_large_as_its_rarest_class() -> None:
    """Small slices are judged together by the rarest class of all of them, which may be another one than in each."""
    random = np.random.default_rng(1)
    batch = rows(COLOURS, "continuous", 900, 2).assign(kind=np.repeat(["x", "y", "z"], 300))
    shares = {"x": (0.02, 0.49, 0.49), "y": (0.49, 0.02, 0.49), "z": (0.3, 0.3, 0.4)}
    batch[LABEL] = [float(random.choice(3, p=shares[kind])) for kind in batch["kind"]]
    layout = layout_of(COLOURS)
    segments, _ = summary_of(batch, layout, grids_of(batch, layout, 2_000))
    counted = batch.groupby("kind")[LABEL].value_counts().unstack()
    for kind in shares:
        own = segments[segment_name((), "kind", kind)]
        assert own.class_rows.tolist() == counted.loc[kind].tolist()
        assert own.positives == counted.loc[kind].min()
    gate = replace(policy("default", COLOURS), minimum_slice_rows=200, minimum_slice_positives=50)
    planned = plan(segments, policy=gate, problem=COLOURS, champion=1, versions=(1, 2), slices=("kind",))
    assert planned.judged == {"kind": ("z",)}
    assert planned.small == {"kind": ("x", "y")}
    assert planned.pooled == {"kind"}
