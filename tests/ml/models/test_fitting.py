"""Any estimator with scikit-learn's interface is trained by name; what prevents training is one sentence."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from ml.metrics.clusters import Units
from ml.metrics.metric_table import metric
from ml.metrics.quality_metrics import roc_auc_score
from ml.models.estimators import TrainingError
from ml.models.fitting import fit
from ml.models.importance import ImportanceRows, permutation_importance
from ml.models.prediction import predict
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec, Problem

NUMERIC, CATEGORICAL = ("distance", "humidity"), ("carrier",)
LOGISTIC = "sklearn.linear_model.LogisticRegression"
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
FOREST = "sklearn.ensemble.RandomForestClassifier"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small fits are slower on several threads than on one, far slower on a busy machine."""
    with threadpool_limits(1):
        yield


def spec(
    estimator: str,
    encoding: Encoding = Encoding.ORDINAL,
    calibration: Calibration = Calibration.NONE,
    **parameters: Any,
) -> EstimatorSpec:
    """One estimator as a use case states it."""
    return EstimatorSpec(
        name="tested", estimator=estimator, encoding=encoding, parameters=parameters, calibration=calibration
    )


def flights(rows: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose label depends on a number with gaps and on a category; the other number is noise."""
    generator = np.random.default_rng(seed)
    inputs = pd.DataFrame(
        {
            "distance": generator.normal(size=rows),
            "humidity": generator.normal(size=rows),
            "carrier": generator.choice(["AA", "UA", None], rows),
        }
    )
    odds = 1.5 * inputs["distance"] + 1.5 * (inputs["carrier"] == "AA") - 0.5
    labels = (generator.random(rows) < 1 / (1 + np.exp(-odds))).to_numpy(dtype=float)
    inputs.loc[::9, "distance"] = np.nan
    return inputs, labels


def trained(
    specification: EstimatorSpec,
    inputs: pd.DataFrame,
    labels: np.ndarray,
    *,
    problem: Problem = Problem.BINARY,
    seed: int = 1,
    **more: Any,
) -> Pipeline:
    """Fit on the columns of `flights`."""
    asked: dict[str, Any] = {"problem": problem, "numeric": NUMERIC, "categorical": CATEGORICAL, "seed": seed}
    return fit(specification, inputs, labels, **asked, **more)


CLASSIFIERS = [
    spec(LOGISTIC, Encoding.ONE_HOT, C=0.5),
    spec(LOGISTIC, Encoding.ORDINAL),
    spec(BOOSTING, max_iter=20),
    spec(BOOSTING, Encoding.ONE_HOT, max_iter=20),
    spec(FOREST, n_estimators=20, min_samples_leaf=5),
    spec("sklearn.naive_bayes.GaussianNB", Encoding.ONE_HOT),
    spec("sklearn.svm.LinearSVC", Encoding.ONE_HOT, Calibration.SIGMOID),
    spec("sklearn.neighbors.KNeighborsClassifier", Encoding.ONE_HOT, Calibration.ISOTONIC, n_neighbors=40),
]


@pytest.mark.parametrize("specification", CLASSIFIERS, ids=lambda s: f"{s.estimator.rpartition('.')[2]}-{s.encoding}")
def test_any_classifier_learns_with_gaps_and_new_categories(specification: EstimatorSpec) -> None:
    """With missing numbers and categories it ranks better than chance, and scores a carrier it has never seen."""
    inputs, labels = flights()
    model = trained(specification, inputs, labels)
    later, truth = flights(seed=1)
    scores = predict(model, later, problem=Problem.BINARY)
    assert roc_auc_score(truth, scores) > 0.65
    unseen = predict(model, later.assign(carrier="ZZ"), problem=Problem.BINARY)
    assert np.isfinite(unseen).all()


@pytest.mark.parametrize(
    ("estimator", "encoding"),
    [
        ("sklearn.linear_model.Ridge", Encoding.ONE_HOT),
        ("sklearn.ensemble.HistGradientBoostingRegressor", Encoding.ORDINAL),
    ],
)
def test_any_regressor_learns(estimator: str, encoding: Encoding) -> None:
    """A regression predicts values in the label's unit."""
    inputs, labels = flights()
    minutes = 30 * inputs["distance"].fillna(0).to_numpy() + 20 * labels
    model = trained(spec(estimator, encoding), inputs, minutes, problem=Problem.REGRESSION)
    found = predict(model, inputs, problem=Problem.REGRESSION)
    assert np.corrcoef(found, minutes)[0, 1] > 0.85


@pytest.mark.parametrize("estimator", [BOOSTING, FOREST])
def test_a_seed_fixes_the_model_and_another_changes_it(estimator: str) -> None:
    """The run's seed becomes the estimator's random state, unless the specification states one."""
    inputs, labels = flights()
    parameters = {"max_features": 0.5, "max_iter": 10} if estimator == BOOSTING else {"n_estimators": 5}
    by_seed = [
        predict(trained(spec(estimator, **parameters), inputs, labels, seed=s), inputs, problem=Problem.BINARY)
        for s in (1, 1, 2)
    ]
    stated = [
        predict(
            trained(spec(estimator, random_state=7, **parameters), inputs, labels, seed=s),
            inputs,
            problem=Problem.BINARY,
        )
        for s in (1, 2)
    ]
    assert np.array_equal(by_seed[0], by_seed[1])
    assert not np.array_equal(by_seed[0], by_seed[2])
    assert np.array_equal(stated[0], stated[1])


def test_every_parameter_has_an_effect() -> None:
    """Changing a parameter, the encoding or the calibration changes the scores."""
    inputs, labels = flights()
    scores = [
        predict(trained(specification, inputs, labels), inputs, problem=Problem.BINARY)
        for specification in (
            spec(LOGISTIC),
            spec(LOGISTIC, C=0.001),
            spec(LOGISTIC, Encoding.ONE_HOT),
            spec(LOGISTIC, calibration=Calibration.ISOTONIC),
        )
    ]
    assert all(not np.allclose(scores[0], other) for other in scores[1:])


def test_boosting_gets_the_categorical_columns() -> None:
    """Histogram gradient boosting treats ordinal codes as categories, unless the specification states otherwise."""
    inputs, labels = flights()
    told = trained(spec(BOOSTING, max_iter=5), inputs, labels)
    untold = trained(spec(BOOSTING, max_iter=5, categorical_features=None), inputs, labels)
    assert told.named_steps["estimate"].is_categorical_.tolist() == [False, False, True]
    assert untold.named_steps["estimate"].is_categorical_ is None


def test_calibration_makes_overconfident_scores_honest() -> None:
    """Naive Bayes on repeated evidence is overconfident; its log loss falls when it is calibrated."""
    inputs, labels = flights(3_000)
    later, truth = flights(3_000, seed=1)
    copies = dict.fromkeys([f"copy{n}" for n in range(8)], inputs["distance"])
    columns = [*NUMERIC, *copies]
    losses = []
    for calibration in (Calibration.NONE, Calibration.ISOTONIC):
        model = fit(
            spec("sklearn.naive_bayes.GaussianNB", Encoding.ONE_HOT, calibration),
            inputs.assign(**copies), labels, problem=Problem.BINARY, numeric=columns, categorical=CATEGORICAL, seed=1,
        )  # fmt: skip
        scored = predict(model, later.assign(**dict.fromkeys(copies, later["distance"])), problem=Problem.BINARY)
        losses.append(float(np.mean((scored - truth) ** 2)))
    assert losses[1] < losses[0] - 0.01


@pytest.mark.parametrize("calibration", [Calibration.SIGMOID, Calibration.ISOTONIC])
def test_a_calibration_is_fitted_on_the_latest_rows_which_fit_nothing_else(calibration: Calibration) -> None:
    """The estimator within is that of the rows before; labels that change late change the calibration alone."""
    inputs, labels = flights(2_000)
    specification = replace(spec(LOGISTIC, calibration=calibration), calibration_share=0.25)
    late = np.arange(2_000) >= 1_500
    rare = np.where(late & (np.random.default_rng(0).random(2_000) < 0.6), 0.0, labels)
    models = [trained(specification, inputs, known) for known in (labels, rare)]
    inner = [model.named_steps["estimate"].calibrated_classifiers_[0].estimator.estimator for model in models]
    alone = trained(spec(LOGISTIC), inputs[~late], labels[~late])
    for estimator in inner:
        assert np.array_equal(estimator.coef_, alone.named_steps["estimate"].coef_)
    means = [predict(model, inputs[late], problem=Problem.BINARY).mean() for model in models]
    assert means == pytest.approx([labels[late].mean(), rare[late].mean()], abs=0.02)
    weights = np.where(late & (labels == 1), 3.0, 1.0)
    weighted = trained(specification, inputs, labels, weights=weights)
    mean = np.average(predict(weighted, inputs[late], problem=Problem.BINARY), weights=weights[late])
    assert mean == pytest.approx(np.average(labels[late], weights=weights[late]), abs=0.02)


@pytest.mark.parametrize("column", ["humidity", "carrier"])
def test_a_column_without_values_is_left_out(column: str) -> None:
    """A column that is always missing in training is left out, also when it has values later."""
    inputs, labels = flights()
    for specification in CLASSIFIERS[:5]:
        model = trained(specification, inputs.assign(**{column: np.nan}), labels)
        scores = [predict(model, rows, problem=Problem.BINARY) for rows in (inputs, inputs.assign(**{column: np.nan}))]
        assert np.array_equal(*scores)


def test_rows_without_any_value_cannot_be_trained_on() -> None:
    """There is nothing to learn from."""
    inputs, labels = flights()
    with pytest.raises(TrainingError, match="no column holds a single value"):
        trained(spec(LOGISTIC), inputs.assign(distance=np.nan, humidity=np.nan, carrier=None), labels)


def test_rare_categories_beyond_the_limit_of_boosting_count_as_unseen() -> None:
    """A thousand tail numbers train; the rare ones count as unseen."""
    inputs, labels = flights(4_000)
    tails = inputs.assign(carrier=[f"N{n % 1_000}" for n in range(4_000)])
    model = trained(spec(BOOSTING, max_iter=3), tails, labels)
    assert np.isfinite(predict(model, tails, problem=Problem.BINARY)).all()


def test_a_model_scores_the_same_after_it_was_stored() -> None:
    """What is pickled and loaded gives the same numbers."""
    inputs, labels = flights()
    for specification in CLASSIFIERS[:3]:
        model = trained(specification, inputs, labels)
        loaded = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
        before, after = (predict(m, inputs, problem=Problem.BINARY) for m in (model, loaded))
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        (spec("sklearn.linear_model.LogisticRegresion"), r"has no .*did you mean 'LogisticRegression'\?"),
        (spec("sklearn.linear_modl.LogisticRegression"), r"there is no module 'sklearn.linear_modl'"),
        (spec("sklearn.metrics.roc_auc_score"), "is not a class with fit and get_params"),
        (spec(LOGISTIC, max_itr=5), r"takes no parameter 'max_itr' \(did you mean 'max_iter'\?\)"),
        (spec(LOGISTIC, max_itr=5, CC=1), "'max_itr'.*and 'CC'"),
        (spec(LOGISTIC, C=-1.0), "could not be fitted on 600 rows.*'C'"),
        (spec("sklearn.svm.LinearSVC"), "needs predict_proba: name another class or state a calibration"),
        (spec("sklearn.linear_model.Ridge"), "does not fit a binary problem"),
        (spec("sklearn.linear_model.Ridge", calibration=Calibration.SIGMOID), "does not fit a binary problem"),
    ],
)
def test_an_invalid_specification_is_refused_with_the_reason(specification: EstimatorSpec, message: str) -> None:
    """One sentence with the estimator's name and the near miss."""
    inputs, labels = flights()
    with pytest.raises(TrainingError, match=f"(?s)estimator 'tested': .*{message}"):
        trained(specification, inputs, labels)


@pytest.mark.parametrize("calibration", [Calibration.NONE, Calibration.SIGMOID])
def test_a_classifier_does_not_train_a_regression(calibration: Calibration) -> None:
    """Neither plain nor calibrated."""
    inputs, labels = flights()
    with pytest.raises(TrainingError, match=r"regression|makes probabilities"):
        trained(spec(LOGISTIC, calibration=calibration), inputs, labels, problem=Problem.REGRESSION)


INPUTS, LABELS = flights(100)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (INPUTS[:0], LABELS[:0], "there is no row to train on"),
        (INPUTS, LABELS[:99], "100 rows and labels of shape"),
        (INPUTS, np.zeros(100), "labels of both classes, 0 and 1, got 0"),
        (INPUTS, LABELS * 2, "got 0, 2"),
        (INPUTS, np.where(np.arange(100) < 3, np.nan, LABELS), "3 labels are NaN or infinite"),
        (INPUTS.drop(columns="humidity"), LABELS, "missing columns: humidity"),
        (INPUTS.assign(label=LABELS), LABELS, "columns the model does not know: label"),
        (INPUTS[["distance", "humidity", "carrier", "carrier"]], LABELS, "columns that repeat: carrier"),
        (INPUTS.assign(distance="far"), LABELS, "column 'distance' must hold numbers and holds string values"),
        (INPUTS.assign(humidity=np.inf), LABELS, "column 'humidity' holds 100 infinite values"),
        (INPUTS.drop(columns="humidity"), np.zeros(100), "both classes.*missing columns"),
    ],
)
def test_unusable_training_rows_are_refused_with_every_mistake(inputs: pd.DataFrame, labels: Any, message: str) -> None:
    """All mistakes at once: no rows, one class, gaps in labels, other columns, text, infinities."""
    with pytest.raises(TrainingError, match=message):
        trained(spec(LOGISTIC), inputs, labels)


def test_constant_inputs_train_to_a_constant_score() -> None:
    """Every score is the same."""
    inputs, labels = flights()
    flat = inputs.assign(distance=1.0, humidity=2.0, carrier="AA")
    for specification in CLASSIFIERS[:4]:
        scores = predict(trained(specification, flat, labels), flat, problem=Problem.BINARY)
        assert np.ptp(scores) < 1e-9


def test_importance_finds_what_the_label_depends_on() -> None:
    """The input that made the label comes first, noise does nothing, and a seed repeats it."""
    inputs, labels = flights(2_000)
    model = trained(spec(LOGISTIC, Encoding.ONE_HOT), inputs, labels)
    rows = ImportanceRows(inputs=inputs, labels=labels, units=Units(days=np.arange(2_000) // 100))
    arguments: dict[str, Any] = {
        "problem": Problem.BINARY,
        "measured": metric("roc_auc_score"),
        "seed": 3,
        "rows": 1_500,
    }
    found = permutation_importance(model, rows, **arguments)
    assert [one.input for one in found] == ["distance", "carrier", "humidity"]
    assert found[1].importance > 0.02 > abs(found[2].importance)
    assert found == permutation_importance(model, rows, **arguments)


@pytest.mark.parametrize("name", ["roc_auc_score", "log_loss"])
def test_the_standard_error_of_importance_is_its_spread_over_test_sets(name: str) -> None:
    """Also where the rows of a day share what an input is worth: by row the error would be a third of it."""
    inputs, labels = flights(2_000)
    model = trained(spec(LOGISTIC, Encoding.ONE_HOT), inputs, labels)
    values, errors, by_row = [], [], []
    for seed in range(40):
        later, truth = flights(1_200, seed=100 + seed)
        days = np.repeat(np.arange(24), 50)
        turned = np.random.default_rng(seed).random(24)[days] < 0.3  # on some days the label has nothing to do with it
        truth = np.where(turned, np.random.default_rng(seed).permutation(truth), truth)
        for units, kept in ((days, errors), (np.arange(1_200), by_row)):
            rows = ImportanceRows(inputs=later, labels=truth, units=Units(days=units))
            (found,) = [
                one for one in permutation_importance(model, rows, problem=Problem.BINARY, measured=metric(name), seed=seed)
                if one.input == "distance"
            ]  # fmt: skip
            kept.append(found.standard_error)
        values.append(found.importance)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.35)
    assert np.mean(by_row) < 0.75 * np.mean(errors)


def test_importance_has_no_error_where_the_metric_has_none() -> None:
    """Or where all rows are of one day; the value stays."""
    inputs, labels = flights(500)
    model = trained(spec(LOGISTIC, Encoding.ONE_HOT), inputs, labels)
    for days, name in ((np.arange(500) // 50, "average_precision_score"), (np.zeros(500, dtype=np.int64), "log_loss")):
        rows = ImportanceRows(inputs=inputs, labels=labels, units=Units(days=days))
        found = permutation_importance(model, rows, problem=Problem.BINARY, measured=metric(name), seed=3)
        assert found[0].importance > 0.02
        assert {one.standard_error for one in found} == {None}


def test_importance_of_an_input_is_positive_for_errors_too() -> None:
    """For a metric that is better when lower, a useful input still has a positive importance."""
    inputs, labels = flights(1_000)
    model = trained(spec(LOGISTIC, Encoding.ONE_HOT), inputs, labels)
    rows = ImportanceRows(inputs=inputs, labels=labels, units=Units(days=np.arange(1_000) // 50))
    found = permutation_importance(model, rows, problem=Problem.BINARY, measured=metric("log_loss"), seed=3)
    assert found[0].importance > 0.05
    assert found[0].standard_error is not None
