"""The use case as declared: features used at prediction time, inputs, estimators, gate, monitoring, retraining."""

import datetime as dt
from dataclasses import replace

from pipelines.api import (
    Clusters,
    Encoding,
    Entity,
    EntityKind,
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
from pipelines.use_cases.next_visit.tables import CHECKOUTS, FEATURES, HERE, HOUSEHOLD_HISTORY, LABELS, NAME, SOURCES

LOOKUPS = (
    Lookup(
        table=HOUSEHOLD_HISTORY,
        keys={"household_id": "household_id"},
        columns={name: name for name in ("visits_7d", "visits_28d", "mean_amount_28d")},
        lookback_hours=24 * 90,
        age_as="hours_since_visit",
    ),
)
NUMERIC_INPUTS = (
    "hour", "products", "amount", "discount", "visits_7d", "visits_28d", "mean_amount_28d", "hours_since_visit",
)  # fmt: skip
CATEGORICAL_INPUTS = ("weekday", "age")

MODEL = Model(use_case=NAME, name="next_visit", comment="probability that a household is back within seven days")
ESTIMATORS = (
    EstimatorSpec(
        name="logistic",
        estimator="sklearn.linear_model.LogisticRegression",
        encoding=Encoding.ONE_HOT,
        parameters={"C": 1.0, "max_iter": 500},
    ),
    EstimatorSpec(
        name="gradient_boosting",
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        encoding=Encoding.ORDINAL,
        parameters={"max_iter": 60, "learning_rate": 0.15, "min_samples_leaf": 50},
    ),
)

USE_CASE = UseCase(
    name=NAME,
    team="loyalty",
    description="whether a household is back at a till within seven days, at each checkout",
    problem=Problem.BINARY,
    sources=SOURCES,
    features=FEATURES,
    labels=LABELS,
    spine=Spine(table=CHECKOUTS, request_key="basket_id", prediction_time="paid_at"),
    lookups=LOOKUPS,
    inputs_builder=f"{HERE}.inputs:inputs",
    numeric_inputs=NUMERIC_INPUTS,
    categorical_inputs=CATEGORICAL_INPUTS,
    slices=("age", "weekday"),
    # A household pays on many days, and the next model will meet others: those of the files are a sample.
    clusters=Clusters(entities=(Entity(column="household_id", kind=EntityKind.SAMPLED),)),
    label_due_days=7,
    # Who has not been seen again within seven days did not return: nobody reports that.
    without_outcome=0.0,
    estimators=ESTIMATORS,
    gate=replace(policy("default", Problem.BINARY), name=NAME),
    monitoring=MonitoringPolicy(metrics=("roc_auc_score", "log_loss")),
    retraining=RetrainingPolicy(kinds=("metric_fell",)),
    model=MODEL,
    integration=IntegrationWindow(
        trained_until=dt.date(2017, 3, 12), until=dt.date(2017, 4, 2), evaluation_days=30, sample=0.5
    ),
)
