"""The use case as declared: features used at prediction time, inputs, estimators, gate, monitoring, retraining."""

import datetime as dt
from dataclasses import replace

from pipelines.api import (
    Encoding,
    EstimatorSpec,
    GuardRail,
    IntegrationWindow,
    Lookup,
    Model,
    MonitoringPolicy,
    Problem,
    RetrainingPolicy,
    Spine,
    UseCase,
    policy,
)
from pipelines.use_cases.air_time.tables import FEATURES, HERE, LABELS, NAME, ROUTE_HISTORY, SCHEDULE, SOURCES

LOOKUPS = (
    Lookup(
        table=ROUTE_HISTORY,
        keys={"origin": "origin", "destination": "destination"},
        columns={"mean_air_time_7d": "route_air_time_7d", "mean_air_time_21d": "route_air_time_21d"},
        lookback_hours=24 * 28,
    ),
)
NUMERIC_INPUTS = ("scheduled_hour", "scheduled_minutes", "route_air_time_7d", "route_air_time_21d")
# Not the destination: a model would learn how long the flight there took in the season that it was trained on.
CATEGORICAL_INPUTS = ("carrier", "origin")

MODEL = Model(use_case=NAME, name="air_time", comment="minutes that a flight is in the air")
ESTIMATORS = (
    EstimatorSpec(
        name="ridge",
        estimator="sklearn.linear_model.Ridge",
        encoding=Encoding.ONE_HOT,
        parameters={"alpha": 10.0},
    ),
    EstimatorSpec(
        name="gradient_boosting",
        estimator="sklearn.ensemble.HistGradientBoostingRegressor",
        encoding=Encoding.ORDINAL,
        # The gate decides by the absolute error, so the model minimises it.
        parameters={"loss": "absolute_error", "max_iter": 60, "learning_rate": 0.15, "min_samples_leaf": 50},
    ),
)

GATE = replace(
    policy("default", Problem.REGRESSION),
    name=NAME,
    # Tolerances are shares of the error of a constant prediction, here 70 minutes, most of which distance alone
    # explains. Half a percent is a third of a minute in a mean error of eight; the default's 2% would be 1.4 minutes.
    guard_rails=(GuardRail(metric="root_mean_squared_error", tolerance=0.005),),
    slice_tolerance=0.005,
    # In standard deviations of the label, 94 minutes, for the same reason: predictions may be off by five on average.
    calibration_limit=0.05,
    calibration_allowance=0.01,
    # The route's mean of the last week, which needs no model, is off by seven to nine minutes.
    limit=10.0,
    # Scoring is a batch every hour: below half a second for 1,000 flights a slower model does no harm.
    latency_floor=0.5,
)
MONITORING = MonitoringPolicy(
    # Planners need a small typical error, dispatchers few large ones; both are in minutes, as is the tolerance.
    metrics=("mean_absolute_error", "root_mean_squared_error"),
    metric_tolerance=0.5,
    metric_unit="minutes",
)
RETRAINING = RetrainingPolicy(
    # Winds change with the season, and the inputs with them: only larger errors are a reason to retrain.
    kinds=("metric_fell",),
)

# The model has few parameters, which hold for every route: prod receives the model of staging, through its own gate.
TRAINED_IN = ("dev", "staging")

# The first ten weeks of the packaged year: seven to train and evaluate on, three to score.
INTEGRATION = IntegrationWindow(
    trained_until=dt.date(2013, 2, 19), until=dt.date(2013, 3, 12), evaluation_days=16, sample=0.5
)

USE_CASE = UseCase(
    name=NAME,
    team="revenue",
    description="the minutes that a flight will be in the air, two hours before departure",
    problem=Problem.REGRESSION,
    sources=SOURCES,
    features=FEATURES,
    labels=LABELS,
    spine=Spine(table=SCHEDULE, request_key="flight_id", prediction_time="prediction_at"),
    lookups=LOOKUPS,
    inputs_builder=f"{HERE}.inputs:inputs",
    numeric_inputs=NUMERIC_INPUTS,
    categorical_inputs=CATEGORICAL_INPUTS,
    slices=("carrier", "origin"),
    label_due_days=7,
    estimators=ESTIMATORS,
    gate=GATE,
    monitoring=MONITORING,
    retraining=RETRAINING,
    model=MODEL,
    trained_in=TRAINED_IN,
    integration=INTEGRATION,
)
