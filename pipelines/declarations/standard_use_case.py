"""A use case with the standard tables and the standard jobs: what a team states, each thing once."""

from ml.spec.estimator import EstimatorSpec, Problem
from ml.spec.gate_policy import GatePolicy
from ml.spec.monitoring_policy import MonitoringPolicy, RetrainingPolicy
from pipelines.declarations.asset import Model
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.declarations.standard_jobs import standard_jobs
from pipelines.declarations.standard_tables import column, standard_tables
from pipelines.declarations.use_case import FeatureTable, Lookup, Source, Spine, UseCase


def standard_use_case(
    *,
    name: str,
    team: str,
    description: str,
    problem: Problem,
    sources: tuple[Source, ...],
    features: tuple[FeatureTable, ...],
    labels: FeatureTable,
    spine: Spine,
    lookups: tuple[Lookup, ...],
    inputs_builder: str,
    numeric_inputs: tuple[str, ...],
    categorical_inputs: tuple[str, ...],
    slices: tuple[str, ...],
    label_due_days: int,
    estimators: tuple[EstimatorSpec, ...],
    gate: GatePolicy,
    monitoring: MonitoringPolicy,
    retraining: RetrainingPolicy,
    model: Model,
    trained_in: tuple[str, ...] = tuple(ENVIRONMENTS),
    integration: IntegrationWindow | None = None,
) -> UseCase:
    """Return the use case with its tables and jobs; what each parameter means says `UseCase`.

    Raises
    ------
    DeclarationError
        If the parts do not belong together.
    """
    inputs = (
        *(column(wanted, "double") for wanted in numeric_inputs),
        *(column(wanted, "string") for wanted in categorical_inputs),
    )
    tables = standard_tables(name, inputs)
    return UseCase(
        name=name,
        team=team,
        description=description,
        problem=problem,
        sources=sources,
        features=features,
        labels=labels,
        spine=spine,
        lookups=lookups,
        inputs_builder=inputs_builder,
        numeric_inputs=numeric_inputs,
        categorical_inputs=categorical_inputs,
        slices=slices,
        label_due_days=label_due_days,
        estimators=estimators,
        gate=gate,
        monitoring=monitoring,
        retraining=retraining,
        model=model,
        tables=(*(s.table for s in sources), *(f.table for f in features), labels.table, *tables.values()),
        jobs=standard_jobs(
            use_case=name,
            sources=sources,
            features=features,
            labels=labels,
            spine=spine.table,
            model=model,
            estimators=estimators,
            tables=tables,
            trained_in=trained_in,
        ),
        trained_in=trained_in,
        integration=integration,
    )
