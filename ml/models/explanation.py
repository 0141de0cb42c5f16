"""Shapley values of single predictions: by how much each input moves a score away from the mean over comparable rows.

Lundberg and Lee (2017), NIPS 30, 4765-4774. Models of trees by SHAP (Lundberg et al. 2020, Nature Machine Intelligence 2, 56-67):
exact for forests and regressions; of boosted classifiers it rescales exact values of the log odds to probabilities, which is
within a few hundredths of the exact ones. Any other model by what each input adds to those known before it, averaged over their
orders. Either way the values of a row add up to the difference of its score from the mean score of the background; trees whose
values do not are explained like any other model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.models.encoding import trained_columns, typed
from ml.models.prediction import predict
from ml.spec.target import Target

Floats = NDArray[np.float64]

TREES, COALITIONS = "trees", "coalitions"
"""How values were computed."""
OF_TREES = ("tree_", "estimators_", "booster_", "get_booster", "_predictors")
"""What fitted trees of scikit-learn, LightGBM and XGBoost have."""
EVERY_ORDER = 6
"""Up to so many inputs every order is taken, so that values are exact."""
DRAWN_ORDERS = 50
"""Of more inputs so many orders are drawn."""
BATCH_ROWS = 100_000
"""Rows that are scored by one call."""
TOLERANCE = 1e-4
"""By how much values may miss a score, as a share of the scores' range."""


@dataclass(frozen=True, kw_only=True)
class Explained:
    """The Shapley values of some rows.

    Attributes
    ----------
    expected
        The mean score of the background.
    scores
        Shape ``(rows,)``.
    values
        Input to what it adds to each row's score, shape ``(rows,)`` each: ``expected`` and all values add up to the score.
    """

    method: str
    expected: float
    scores: Floats
    values: Mapping[str, Floats]


def explain(
    model: Any, rows: pd.DataFrame, background: pd.DataFrame, *, problem: Target, seed: int, of_class: int | None = None
) -> Explained:
    """Return the Shapley values of rows.

    Parameters
    ----------
    model
        What `ml.models.fitting.fit` returned.
    rows, background
        Exactly the columns of training. The background are rows with which these are compared, such as training rows; the time
        grows with their number.
    seed
        Of the orders that are drawn.
    of_class
        Of several classes the place of the one whose probability is explained.

    Raises
    ------
    PredictionError
        If columns are missing or extra or of another type.
    """
    columns = trained_columns(model.named_steps["encode"])
    asked, compared = (typed(frame, *columns).reset_index(drop=True) for frame in (rows, background))
    scored = _Scored(model=model, problem=problem, of_class=of_class)
    return _by_trees(scored, asked, compared) or _by_coalitions(scored, asked, compared, seed)


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """A model and which of its scores is explained."""

    model: Any
    problem: Target
    of_class: int | None

    def __call__(self, frame: pd.DataFrame) -> Floats:
        scores = predict(self.model, frame, problem=self.problem)
        return scores if self.of_class is None else scores[:, self.of_class]


def _by_trees(scored: _Scored, rows: pd.DataFrame, background: pd.DataFrame) -> Explained | None:
    """Return the values of a model of trees; None where it is none, or its values do not add up to its scores."""
    encode, estimator = scored.model.named_steps["encode"], scored.model.named_steps["estimate"]
    names = _one_column_each(encode)
    if names is None or not any(hasattr(estimator, attribute) for attribute in OF_TREES):
        return None
    import shap  # slow to load, for models of trees alone

    matrix, others = (np.asarray(encode.transform(frame), dtype=np.float64) for frame in (rows, background))
    output = "probability" if scored.problem.classes else "raw"
    try:
        explainer = shap.TreeExplainer(estimator, others, feature_perturbation="interventional", model_output=output)
        values = np.asarray(explainer.shap_values(matrix, check_additivity=False), dtype=np.float64)
    except Exception:  # noqa: BLE001 - whatever it raises, it is no model of trees that can be explained so
        return None
    if values.ndim == 3:
        values = values[..., -1 if scored.of_class is None else scored.of_class]  # the positive class of two
    scores, expected = scored(rows), scored(background)
    found = Explained(
        method=TREES,
        expected=float(expected.mean()),
        scores=scores,
        values={name: values[:, names.index(name)] if name in names else np.zeros(len(rows)) for name in rows.columns},
    )
    missed = np.abs(found.expected + sum(found.values.values()) - scores).max(initial=0.0)
    return found if missed <= TOLERANCE * max(1e-12, float(np.ptp([*scores, *expected]))) else None


def _one_column_each(encode: Any) -> list[str] | None:
    """Return the input of each encoded column; None where an input has several."""
    names: list[str] = []
    for name, _, columns in encode.transformers_:
        if name in encode.output_indices_ and not name.endswith("_empty") and name != "remainder":
            chosen = encode.output_indices_[name]
            if chosen.stop - chosen.start != len(columns):
                return None
            names += list(columns)
    return names


def _by_coalitions(scored: _Scored, rows: pd.DataFrame, background: pd.DataFrame, seed: int) -> Explained:
    """Return the values of any model: what an input adds to the inputs known before it, averaged over their orders."""
    names = list(rows.columns)
    orders = _orders(len(names), seed)
    masks = np.unique(np.concatenate([_path(order) for order in orders]), axis=0)
    place = {mask.tobytes(): number for number, mask in enumerate(masks)}
    values = np.zeros((len(names), len(rows)))
    for number in range(len(rows)):
        worth = _worth(scored, rows.iloc[number], background, masks)
        for order in orders:
            known = np.array([worth[place[mask.tobytes()]] for mask in _path(order)])
            values[order, number] += np.diff(known) / len(orders)
    return Explained(
        method=COALITIONS,
        expected=float(scored(background).mean()),
        scores=scored(rows),
        values=dict(zip(names, values, strict=True)),
    )


def _orders(inputs: int, seed: int) -> list[NDArray[np.intp]]:
    """Return all orders of few inputs, or drawn ones, each with its reverse (Mitchell et al. 2022, JMLR 23)."""
    if inputs <= EVERY_ORDER:
        return [np.array(order, dtype=np.intp) for order in permutations(range(inputs))]
    drawn = [np.random.default_rng([seed, number]).permutation(inputs) for number in range(DRAWN_ORDERS)]
    return [order for one in drawn for order in (one, one[::-1])]


def _path(order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which inputs are known after each step of an order, shape ``(steps + 1, inputs)``."""
    rank = np.argsort(order)
    return np.asarray(np.arange(order.size + 1)[:, None] > rank[None, :])


def _worth(scored: _Scored, row: "pd.Series[Any]", background: pd.DataFrame, masks: NDArray[np.bool_]) -> Floats:
    """Return the mean score where the masked inputs are those of a row and the others those of the background."""
    at_once, found = max(1, BATCH_ROWS // len(background)), []
    for start in range(0, len(masks), at_once):
        chosen = masks[start : start + at_once]
        mixed = pd.concat([background] * len(chosen), ignore_index=True)
        for column, name in enumerate(background.columns):
            known = np.repeat(chosen[:, column], len(background))
            mixed[name] = mixed[name].where(~known, row[name])
        found.append(scored(mixed).reshape(len(chosen), -1).mean(axis=1))
    return np.concatenate(found)
