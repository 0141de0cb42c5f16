"""Fitting an estimator named by configuration, and scoring with what was fitted.

What reaches the estimator is prepared here and nowhere else, so a model scores what it was trained on. Which rows are
used, and where the model is kept, is the caller's concern.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags

from ml.metrics import metric
from ml.specification import Calibration, Encoding, EstimatorSpec, Problem

Floats = NDArray[np.float64]

ORDINAL_CATEGORIES = 250
"""Distinct codes per column; rarer categories share one (histogram gradient boosting takes at most 255)."""
RARE_CATEGORY = 20
"""One-hot columns are made for categories with at least so many training rows; rarer ones share a column."""
CALIBRATION_FOLDS = 3


class TrainingError(ValueError):
    """Rows or a specification that cannot be trained on; the message names what, where and the remedy."""


class PredictionError(ValueError):
    """Scores that must not be used: other columns than at training, missing values, no probabilities."""


def fit(
    spec: EstimatorSpec,
    inputs: pd.DataFrame,
    labels: Floats,
    *,
    problem: Problem,
    numeric: Sequence[str],
    categorical: Sequence[str],
    seed: int,
) -> Pipeline:
    """Fit one estimator behind the encoding its specification asks for.

    Parameters
    ----------
    inputs
        One row per label, exactly the columns of `numeric` and `categorical` in any order. Missing values are
        allowed in both, infinities are not.
    labels
        Shape ``(rows,)``: 0 and 1 for a binary problem, finite numbers for a regression.
    seed
        Becomes the estimator's ``random_state`` where it takes one and the specification does not set it.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``encode`` and ``estimate``; score with `predict`.

    Raises
    ------
    TrainingError
        If the class or one of its parameters does not exist, or rows and labels cannot be trained on.
    """
    values = np.asarray(labels, dtype=np.float64)
    _check_rows(spec, inputs, values, problem, [*numeric, *categorical])
    estimator = build(spec, problem=problem, seed=seed)
    pipeline = Pipeline(
        [
            ("encode", _encoder(spec.encoding, estimator, numeric, categorical)),
            ("estimate", _calibrated(spec, _with_categories(spec, estimator, len(numeric), len(categorical)))),
        ]
    )
    frame = _typed(inputs, numeric, categorical)
    _check_infinities(spec, frame, numeric)
    pipeline.fit(frame, values.astype(np.int64) if problem is Problem.BINARY else values)
    return pipeline


def predict(model: Any, inputs: pd.DataFrame, *, problem: Problem) -> Floats:
    """Score rows with a fitted model.

    Parameters
    ----------
    model
        What `fit` returned, or any estimator with scikit-learn's interface fitted on a data frame.
    inputs
        Exactly the columns of training, in any order.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``, float64: the probability of the positive class, or the predicted value.

    Raises
    ------
    PredictionError
        If columns are missing or extra, or a score is NaN, infinite or no probability.
    """
    frame = _as_trained(model, inputs)
    if frame.empty:
        return np.empty(0, dtype=np.float64)
    if problem is Problem.BINARY:
        scores = _positive_probability(model, frame)
    else:
        scores = np.asarray(model.predict(frame), dtype=np.float64)
    return checked_scores(scores, rows=len(frame), problem=problem)


def checked_scores(scores: Floats, *, rows: int, problem: Problem) -> Floats:
    """Return the scores if they can be used.

    Raises
    ------
    PredictionError
        If there is not one finite score per row, or a binary problem's score lies outside 0 to 1.
    """
    if scores.shape != (rows,):
        raise PredictionError(
            f"the model returned scores of shape {scores.shape} for {rows} rows: one number per row is needed."
        )
    broken = int(np.sum(~np.isfinite(scores)))
    if broken:
        raise PredictionError(
            f"the model returned {broken} scores of {rows} that are NaN or infinite: it cannot be used."
        )
    if problem is Problem.BINARY and rows and (scores.min() < 0 or scores.max() > 1):
        raise PredictionError(
            f"the model returned scores from {scores.min():.6g} to {scores.max():.6g}: probabilities lie between 0 and 1."
        )
    return scores


def build(spec: EstimatorSpec, *, problem: Problem, seed: int) -> Any:
    """Return the unfitted estimator that a specification names.

    Raises
    ------
    TrainingError
        If the class does not exist, takes no such parameter, or cannot give what the problem needs.
    """
    where = f"estimator {spec.name!r}"
    constructor = _load(spec.estimator, where)
    allowed = _constructor_parameters(constructor)
    unknown = [name for name in spec.parameters if allowed is not None and name not in allowed]
    if unknown:
        sentences = "; ".join(_near(name, allowed or ()) for name in unknown)
        raise TrainingError(
            f"{where}: {spec.estimator} takes no parameter {sentences}. It takes: {', '.join(allowed or ())}."
        )
    parameters = dict(spec.parameters)
    if allowed is not None and "random_state" in allowed:
        parameters.setdefault("random_state", seed)
    try:
        estimator = constructor(**parameters)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{where}: {spec.estimator} refused its parameters {parameters}: {error}") from error
    _check_interface(spec, estimator, problem, where)
    return estimator


def split_by_time(
    times: pd.Series,
    *,
    evaluation_from: pd.Timestamp,
    training_from: pd.Timestamp | None = None,
    known_at: pd.Series | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Split rows into training and later evaluation.

    Parameters
    ----------
    times
        Instant of each row's prediction.
    evaluation_from
        First instant of evaluation.
    training_from
        First instant of training; None for everything before.
    known_at
        Instant at which each label became known. Given, rows whose label was not known before `evaluation_from` are
        left out of training: on that day nobody could have trained on them.

    Returns
    -------
    tuple of numpy.ndarray
        Masks of shape ``(rows,)`` for training and evaluation; no row is in both.

    Raises
    ------
    TrainingError
        If a time is missing, the bounds are the wrong way round, or either part is empty.
    """
    if times.isna().any():
        raise TrainingError(f"{int(times.isna().sum())} rows have no time: a split by time needs one for every row.")
    if training_from is not None and training_from >= evaluation_from:
        raise TrainingError(f"training_from {training_from} must be before evaluation_from {evaluation_from}.")
    evaluation = (times >= evaluation_from).to_numpy(dtype=np.bool_)
    training = ~evaluation
    if training_from is not None:
        training &= (times >= training_from).to_numpy(dtype=np.bool_)
    if known_at is not None:
        training &= (known_at < evaluation_from).to_numpy(dtype=np.bool_)
    for part, mask in (("training", training), ("evaluation", evaluation)):
        if not mask.any():
            raise TrainingError(
                f"no row is left for {part}: {len(times)} rows from {times.min()} to {times.max()}, split at "
                f"{evaluation_from}; move the split or widen the window."
            )
    return training, evaluation


def permutation_importance(
    model: Any,
    inputs: pd.DataFrame,
    labels: Floats,
    *,
    problem: Problem,
    metric_name: str,
    seed: int,
    rows: int = 5_000,
    repeats: int = 3,
) -> pd.DataFrame:
    """Measure how much worse a metric gets when one input is shuffled.

    Breiman (2001), "Random forests", section 10, on a seeded sample of at most `rows` rows.

    Returns
    -------
    pandas.DataFrame
        Columns ``input``, ``importance`` (mean fall in the metric, positive means that the input helps) and
        ``standard_deviation`` over repeats, the most important first.
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(inputs))[:rows])
    sample, truth = inputs.iloc[chosen].reset_index(drop=True), np.asarray(labels, dtype=np.float64)[chosen]
    measured = metric(metric_name, problem)
    whole = measured.function(truth, predict(model, sample, problem=problem))
    records = []
    for column in sample.columns:
        falls = [
            measured.sign * (whole - measured.function(truth, predict(model, shuffled, problem=problem)))
            for shuffled in (_shuffled(sample, column, generator) for _ in range(repeats))
        ]
        records.append((column, float(np.mean(falls)), float(np.std(falls))))
    frame = pd.DataFrame(records, columns=["input", "importance", "standard_deviation"])
    return frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _shuffled(sample: pd.DataFrame, column: str, generator: np.random.Generator) -> pd.DataFrame:
    return sample.assign(**{column: sample[column].to_numpy()[generator.permutation(len(sample))]})


def _check_rows(
    spec: EstimatorSpec, inputs: pd.DataFrame, labels: Floats, problem: Problem, columns: list[str]
) -> None:
    where = f"estimator {spec.name!r}"
    mistakes = _column_mistakes(inputs.columns, columns)
    if labels.shape != (len(inputs),):
        mistakes.append(f"{len(inputs)} rows and labels of shape {labels.shape}: one label per row is needed")
    elif len(inputs) == 0:
        mistakes.append("there is no row to train on: widen the training window")
    elif not np.isfinite(labels).all():
        mistakes.append(
            f"{int(np.sum(~np.isfinite(labels)))} labels are NaN or infinite: leave such rows out and count them"
        )
    elif problem is Problem.BINARY and not np.array_equal(np.unique(labels), [0.0, 1.0]):
        found = ", ".join(f"{value:g}" for value in np.unique(labels)[:5])
        mistakes.append(
            f"a binary problem needs labels of both classes, 0 and 1, got {found}: widen the training window"
        )
    if mistakes:
        raise TrainingError(f"{where}: " + "; ".join(mistakes) + ".")


def _column_mistakes(got: Sequence[str], wanted: Sequence[str]) -> list[str]:
    missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    repeated = sorted({name for name in got if list(got).count(name) > 1})
    parts = (("missing columns", missing), ("columns nobody declared", extra), ("repeated columns", repeated))
    return [f"{kind}: {', '.join(map(str, found))}" for kind, found in parts if found]


def _check_infinities(spec: EstimatorSpec, frame: pd.DataFrame, numeric: Sequence[str]) -> None:
    counts = np.isinf(frame[list(numeric)].to_numpy(dtype=np.float64)).sum(axis=0)
    found = [f"{name} ({count})" for name, count in zip(numeric, counts, strict=True) if count]
    if found:
        raise TrainingError(
            f"estimator {spec.name!r}: infinite values in {', '.join(found)}: mark unknown as missing instead."
        )


def _typed(inputs: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]) -> pd.DataFrame:
    """Return the columns in the order of training: numbers as float64, categories as text with NaN where missing."""
    columns: dict[str, Any] = {}
    for name in numeric:
        try:
            columns[name] = pd.to_numeric(inputs[name], errors="raise").to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise PredictionError(f"column {name!r} is declared numeric and holds other values: {error}.") from error
    for name in categorical:
        column = inputs[name]
        columns[name] = column.astype(str).astype(object).where(column.notna(), np.nan)
    return pd.DataFrame(columns, index=inputs.index)


def _as_trained(model: Any, inputs: pd.DataFrame) -> pd.DataFrame:
    wanted = getattr(model, "feature_names_in_", None)
    if wanted is None:
        raise PredictionError(
            "the model does not say which columns it was trained on (feature_names_in_): fit it on a data frame."
        )
    mistakes = _column_mistakes(inputs.columns, list(wanted))
    if mistakes:
        raise PredictionError(f"the rows do not match the model's signature: {'; '.join(mistakes)}.")
    encoder = getattr(model, "named_steps", {}).get("encode")
    if encoder is None:
        return inputs[list(wanted)]
    columns = {name: list(chosen) for name, _, chosen in encoder.transformers_}
    return _typed(inputs, columns.get("numeric", []), columns.get("categorical", []))


def _positive_probability(model: Any, frame: pd.DataFrame) -> Floats:
    classes = list(getattr(model, "classes_", ()))
    if not hasattr(model, "predict_proba") or 1 not in classes:
        raise PredictionError(
            f"the model gives no probability of class 1 (its classes: {classes}): train a classifier on labels 0 and 1."
        )
    return np.asarray(model.predict_proba(frame), dtype=np.float64)[:, classes.index(1)]


def _encoder(
    encoding: Encoding, estimator: Any, numeric: Sequence[str], categorical: Sequence[str]
) -> ColumnTransformer:
    allow_nan, sparse = _accepts(estimator)
    if encoding is Encoding.ONE_HOT:
        numbers: Any = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
        )
        categories: Any = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=RARE_CATEGORY, sparse_output=sparse, dtype=np.float64
        )
    else:
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan,
            max_categories=ORDINAL_CATEGORIES, dtype=np.float64,
        )  # fmt: skip
        # Minus one is no category's code; an estimator that takes NaN is shown what is missing as it is.
        numbers = "passthrough" if allow_nan else SimpleImputer(strategy="median", keep_empty_features=True)
        categories = codes if allow_nan else make_pipeline(codes, SimpleImputer(strategy="constant", fill_value=-1.0))
    parts = [("numeric", numbers, list(numeric)), ("categorical", categories, list(categorical))]
    return ColumnTransformer(
        [part for part in parts if part[2]], sparse_threshold=0.3 if sparse else 0.0, verbose_feature_names_out=False
    )


def _accepts(estimator: Any) -> tuple[bool, bool]:
    """Return whether the estimator takes missing values and sparse matrices; one that does not say takes neither."""
    try:
        tags = get_tags(estimator).input_tags
    except (AttributeError, TypeError):
        return False, False
    return bool(tags.allow_nan), bool(tags.sparse)


def _with_categories(spec: EstimatorSpec, estimator: Any, n_numeric: int, n_categorical: int) -> Any:
    """Tell histogram gradient boosting which encoded columns are categories, unless the specification does."""
    takes = "categorical_features" in estimator.get_params(deep=False)
    if spec.encoding is Encoding.ORDINAL and takes and "categorical_features" not in spec.parameters and n_categorical:
        estimator.set_params(categorical_features=[*[False] * n_numeric, *[True] * n_categorical])
    return estimator


def _calibrated(spec: EstimatorSpec, estimator: Any) -> Any:
    if spec.calibration is Calibration.NONE:
        return estimator
    return CalibratedClassifierCV(estimator, method=spec.calibration.value, cv=CALIBRATION_FOLDS, ensemble=False)


def _load(path: str, where: str) -> Callable[..., Any]:
    module_name, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise TrainingError(f"{where}: module {module_name!r} of {path!r} cannot be imported: {error}.") from error
    found = getattr(module, class_name, None)
    if inspect.isclass(found) and hasattr(found, "fit") and hasattr(found, "get_params"):
        return found
    classes = [name for name, value in vars(module).items() if inspect.isclass(value) and hasattr(value, "fit")]
    what = "has no class" if found is None else "has no estimator (fit, get_params)"
    raise TrainingError(f"{where}: {module_name} {what} {_near(class_name, classes)}.")


def _near(name: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, allowed, n=1)
    return f"{name!r}, did you mean {near[0]!r}?" if near else repr(name)


def _constructor_parameters(constructor: Callable[..., Any]) -> list[str] | None:
    """Return the keywords the constructor takes, or None where it takes any."""
    parameters = inspect.signature(constructor).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters]


def _check_interface(spec: EstimatorSpec, estimator: Any, problem: Problem, where: str) -> None:
    if problem is Problem.REGRESSION and spec.calibration is not Calibration.NONE:
        raise TrainingError(
            f"{where}: calibration={spec.calibration.value!r} makes probabilities; a regression has none, leave it out."
        )
    needs = "predict" if problem is Problem.REGRESSION or spec.calibration is not Calibration.NONE else "predict_proba"
    if not hasattr(estimator, needs):
        raise TrainingError(
            f"{where}: {spec.estimator} has no {needs}, which a {problem.value} problem needs: choose another class"
            + (" or give a calibration." if needs == "predict_proba" else ".")
        )
    if (
        problem is Problem.BINARY
        and not hasattr(estimator, "predict_proba")
        and not hasattr(estimator, "decision_function")
    ):
        raise TrainingError(
            f"{where}: {spec.estimator} is no classifier: it gives neither predict_proba nor decision_function."
        )
