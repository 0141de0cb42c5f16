"""The use case as declared: features used at prediction time, inputs, estimators, gate, monitoring, retraining."""

import datetime as dt
from dataclasses import replace

from pipelines.api import (
    Encoding,
    EstimatorSpec,
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
from pipelines.use_cases.flight_delay.tables import (
    AIRCRAFT_FEATURES,
    AIRPORT_HOUR_HISTORY,
    CARRIER_HISTORY,
    FEATURES,
    HERE,
    LABELS,
    NAME,
    ROUTE_HISTORY,
    SCHEDULE,
    SOURCES,
    TAIL_HISTORY,
    WEATHER_FEATURES,
)


def _recent(prefix: str) -> dict[str, str]:
    return {
        "late_rate_1d": f"{prefix}_late_rate_1d",
        "mean_delay_1d": f"{prefix}_mean_delay_1d",
        "late_rate_28d": f"{prefix}_late_rate_28d",
        "mean_delay_28d": f"{prefix}_mean_delay_28d",
    }


LOOKUPS = (
    Lookup(table=CARRIER_HISTORY, keys={"carrier": "carrier"}, columns=_recent("carrier"), lookback_hours=24 * 7),
    Lookup(
        table=ROUTE_HISTORY,
        keys={"origin": "origin", "destination": "destination"},
        columns=_recent("route"),
        lookback_hours=24 * 28,
    ),
    Lookup(
        table=AIRPORT_HOUR_HISTORY,
        keys={"origin": "origin", "departure_hour": "departure_hour"},
        columns=_recent("airport_hour"),
        lookback_hours=24 * 28,
    ),
    Lookup(
        table=TAIL_HISTORY,
        keys={"tailnum": "tailnum"},
        columns={"last_arrival_delay": "tail_last_delay", "mean_delay_7d": "tail_mean_delay_7d"},
        lookback_hours=24 * 7,
        age_as="tail_hours_since_landing",
    ),
    Lookup(
        table=WEATHER_FEATURES,
        keys={"origin": "origin"},
        columns={
            name: name for name in ("temperature", "humidity", "wind_speed", "precipitation", "pressure", "visibility")
        },
        lookback_hours=6,
    ),
    Lookup(
        table=AIRCRAFT_FEATURES,
        keys={"tailnum": "tailnum"},
        columns={"built": "aircraft_built", "seats": "aircraft_seats"},
        lookback_hours=24 * 365 * 100,
    ),
)
NUMERIC_INPUTS = (
    "scheduled_hour",
    "weekday",
    "distance",
    "scheduled_minutes",
    *(name for lookup in LOOKUPS for name in (*lookup.columns.values(), *((lookup.age_as,) if lookup.age_as else ()))),
)
CATEGORICAL_INPUTS = ("carrier", "origin", "destination")

MODEL = Model(use_case=NAME, name="flight_delay", comment="probability that a flight arrives more than 15 minutes late")
ESTIMATORS = (
    EstimatorSpec(
        name="logistic_regression",
        estimator="sklearn.linear_model.LogisticRegression",
        encoding=Encoding.ONE_HOT,
        parameters={"C": 0.01, "max_iter": 100, "tol": 1e-3},
    ),
    EstimatorSpec(
        name="gradient_boosting",
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        encoding=Encoding.ORDINAL,
        parameters={
            "max_iter": 100,
            "learning_rate": 0.06,
            "max_leaf_nodes": 15,
            "min_samples_leaf": 300,
            "l2_regularization": 10.0,
        },
    ),
)

# Scoring is a batch every hour: below half a second for 1,000 flights a slower model does no harm.
GATE = replace(policy("default", Problem.BINARY), name="flight_delay", latency_floor=0.5)

# The first ten weeks of the packaged year: seven to train and evaluate on, three to score.
INTEGRATION = IntegrationWindow(
    trained_until=dt.date(2013, 2, 19), until=dt.date(2013, 3, 12), evaluation_days=16, sample=0.5
)

USE_CASE = UseCase(
    name=NAME,
    team="operations",
    description="the probability that a flight arrives more than 15 minutes late, two hours before departure",
    problem=Problem.BINARY,
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
    monitoring=MonitoringPolicy(),
    retraining=RetrainingPolicy(),
    model=MODEL,
    integration=INTEGRATION,
)
