"""What a use case is declared with: the one module that data teams import.

The extension points of each part are described in ``docs/add-a-use-case.md``. Quick to import: no engine is loaded.
"""

from ml.spec.clusters import Clusters, Entity, EntityKind
from ml.spec.costs import ClassCosts, Costs
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec, Problem
from ml.spec.gate_policy import Correction, GatePolicy, GuardRail, Method, policy
from ml.spec.monitoring_policy import MonitoringPolicy, RetrainingPolicy
from ml.spec.online_policy import OnlinePolicy, PublishMode
from ml.spec.rollout_policy import RolloutPolicy, RolloutWay
from ml.spec.search import OneOf, Real, Search, Whole
from ml.spec.streaming_policy import StreamingPolicy, StreamTrigger
from ml.spec.target import MultiClass
from ml.spec.weights import Weight
from pipelines.declarations.asset import Column, Layer, Model, Table, column, key
from pipelines.declarations.delivery import CsvFormat, Delivered
from pipelines.declarations.environment_data import DataKind, EnvironmentData, Redaction, RedactionRule
from pipelines.declarations.feature_table import FeatureTable, Lookup, Spine
from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.declarations.shared_features import SharedFeatures
from pipelines.declarations.source import Corrections, Rule, Source
from pipelines.declarations.use_case import UseCase

__all__ = [
    "Calibration",
    "ClassCosts",
    "Clusters",
    "Column",
    "Correction",
    "Corrections",
    "Costs",
    "CsvFormat",
    "DataKind",
    "Delivered",
    "Encoding",
    "Entity",
    "EntityKind",
    "EnvironmentData",
    "EstimatorSpec",
    "FeatureTable",
    "GatePolicy",
    "GuardRail",
    "IntegrationWindow",
    "Layer",
    "Lookup",
    "Method",
    "Model",
    "MonitoringPolicy",
    "MultiClass",
    "OneOf",
    "OnlinePolicy",
    "Problem",
    "PublishMode",
    "Real",
    "Redaction",
    "RedactionRule",
    "RetrainingPolicy",
    "RolloutPolicy",
    "RolloutWay",
    "Rule",
    "Search",
    "SharedFeatures",
    "Source",
    "Spine",
    "StreamTrigger",
    "StreamingPolicy",
    "Table",
    "UseCase",
    "Weight",
    "Whole",
    "column",
    "key",
    "policy",
]
