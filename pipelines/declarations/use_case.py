"""The use case: what one data team declares. Its tables and jobs are derived."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ml.spec.clusters import INDEPENDENT_DAYS, Clusters
from ml.spec.costs import ClassCosts, Costs
from ml.spec.estimator import EstimatorSpec
from ml.spec.gate_policy import GatePolicy
from ml.spec.monitoring_policy import MonitoringPolicy, RetrainingPolicy
from ml.spec.online_policy import OnlinePolicy
from ml.spec.rollout_policy import DIRECT, RolloutPolicy
from ml.spec.streaming_policy import StreamingPolicy
from ml.spec.target import PREDICTED_CLASS, MultiClass, Target, score_column
from ml.spec.weights import SAMPLE_WEIGHT, Weight
from pipelines.declarations.answers import rollout_tables
from pipelines.declarations.asset import OWN_LAYERS, Layer, Model, Table, column
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.feature_table import FeatureTable, Lookup, Spine
from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError, gathered, refuse, require_types, require_unique, unknown
from pipelines.declarations.shared_features import SharedFeatures
from pipelines.declarations.source import Source
from pipelines.declarations.standard_jobs.delivery import delivery_job
from pipelines.declarations.standard_jobs.features import features_job
from pipelines.declarations.standard_jobs.maintenance import HISTORY_DAYS, maintenance_job
from pipelines.declarations.standard_jobs.monitoring import monitoring_job
from pipelines.declarations.standard_jobs.parameters import EVALUATION_DAYS, TRAINING_DAYS
from pipelines.declarations.standard_jobs.rollback import rollback_job
from pipelines.declarations.standard_jobs.rollout import rollout_job
from pipelines.declarations.standard_jobs.scoring import scoring_job
from pipelines.declarations.standard_jobs.streaming import streaming_job, streams_table
from pipelines.declarations.standard_jobs.training import training_job
from pipelines.declarations.standard_tables import standard_tables
from pipelines.declarations.use_case_checks import use_case_mistakes


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything one data team states; tables, jobs, grants and dashboards are derived from it.

    Attributes
    ----------
    name
        The name of its folder; schemas, jobs and Terraform addresses begin with it.
    team
        Who owns it, as named in the settings.
    problem
        Whether a probability or a quantity is predicted, or with a `ml.spec.target.MultiClass` one of several classes.
    sources
        The feeds, each with its contract.
    features
        The feature tables.
    labels
        Table with ``request_key``, ``known_at``, ``outcome`` and ``label``; label is missing where none will come. Of several
        classes it is the place of the class in ``classes``, from 0 on.
    spine
        The rows to predict.
    lookups
        What is joined to them from the feature tables.
    shared_features
        The feature tables of other use cases that lookups read, each with what this one relies on.
    formerly_shared
        Names of feature tables that were shared and are no longer: their schemas stay in every environment and are managed no
        more. Without it a deployment would destroy them.
    inputs_builder
        ``module:function`` that adds inputs computed from the spine's row alone, such as the hour of the day.
    numeric_inputs, categorical_inputs
        The columns that reach the estimator, in this order.
    deprecated_inputs
        Inputs that new versions are fitted without. The champion still gets them, in scoring and in the gate's comparison;
        once a version without them is champion, they can be taken out of the declaration.
    slices
        Categorical inputs by whose values evaluation and monitoring are broken down.
    clusters
        Which rows depend on each other besides those of one day: entities such as stores or accounts, each an input or
        a column of the spine, and days that depend on the day before. By default days are the units, independent of each
        other.
    label_due_days
        So many days after the prediction its outcome is due. Only requests whose outcome is due decide, in training,
        evaluation and monitoring, each by its outcome as it was known then.
    without_outcome
        The label of a due request without an outcome, such as 0.0 for a customer who did not return; None to leave such
        requests out and count them. A row of labels whose label is missing gives no label either way.
    weight
        The column that says how much a row counts when a model is fitted, and in the metrics if it says so.
    costs
        Of errors, a `ml.spec.costs.ClassCosts` where there are several classes: predictions then carry the decision that
        costs least in expectation, and there is a metric ``cost_per_request_loss`` that gate and monitors may judge.
    estimators
        Each becomes a task of the training job and a candidate.
    gate, monitoring, retraining
        What a candidate must fulfil, when a measurement is a finding, when findings retrain.
    rollout
        How a version that has passed the gate takes over at the endpoint: at once, as a shadow first, or as a canary.
    streaming
        Whether requests are scored as they come, by a schedule or all the time; None to score them by the job ``scoring`` alone.
    online
        Whether the features that predictions look up are published to the online store of deployed environments; None to let
        requests to a deployed endpoint give them. The endpoint of a laptop publishes them by itself.
    scoring_look_back_days
        Scoring without ``since`` also scores requests without a prediction that fell due up to so many days before the
        newest prediction: those that were delivered late.
    training_days, evaluation_days
        On how many days a scheduled training and a retraining train, and on how many later ones they evaluate: as many as have
        the rows that the gate asks for.
    history_days
        Versions of its tables stay at least so long; the job ``maintenance`` removes older ones. What a model in use was
        trained on stays longer.
    trained_in
        The environments that train their own model. Every other one receives a copy of the champion of the environment
        before it, by the job ``delivery``, and puts it before its own gate.
    integration
        The window of the integration runs; None to place it at the end of what the sources have delivered.
    """

    name: str
    team: str
    description: str
    problem: Target
    sources: tuple[Source, ...]
    features: tuple[FeatureTable, ...]
    labels: FeatureTable
    spine: Spine
    lookups: tuple[Lookup, ...]
    inputs_builder: str
    numeric_inputs: tuple[str, ...]
    categorical_inputs: tuple[str, ...]
    slices: tuple[str, ...]
    label_due_days: int
    estimators: tuple[EstimatorSpec, ...]
    gate: GatePolicy
    monitoring: MonitoringPolicy
    retraining: RetrainingPolicy
    model: Model
    deprecated_inputs: tuple[str, ...] = ()
    shared_features: tuple[SharedFeatures, ...] = ()
    formerly_shared: tuple[str, ...] = ()
    without_outcome: float | None = None
    clusters: Clusters = INDEPENDENT_DAYS
    weight: Weight | None = None
    costs: Costs | ClassCosts | None = None
    rollout: RolloutPolicy = DIRECT
    streaming: StreamingPolicy | None = None
    online: OnlinePolicy | None = None
    scoring_look_back_days: int = 7
    training_days: int = int(TRAINING_DAYS.default)
    evaluation_days: int = int(EVALUATION_DAYS.default)
    history_days: int = HISTORY_DAYS
    trained_in: tuple[str, ...] = tuple(ENVIRONMENTS)
    integration: IntegrationWindow | None = None

    @gathered
    def __post_init__(self) -> None:
        require_types(f"use case {self.name}", self)
        refuse(use_case_mistakes(self))
        require_unique("table", f"use case {self.name}", [table.address for table in self.tables])
        require_unique("job", f"use case {self.name}", [job.name for job in self.jobs])

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that reach the estimator, numbers first."""
        return (*self.numeric_inputs, *self.categorical_inputs)

    @property
    def fitted_inputs(self) -> tuple[str, ...]:
        """The inputs of new versions: those that are not deprecated."""
        return tuple(name for name in self.inputs if name not in self.deprecated_inputs)

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """The inputs, then the columns of `clusters` that are none: what training rows and predictions keep."""
        return tuple(dict.fromkeys((*self.inputs, *self.clusters.columns)))

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of a label's row that training rows keep: the label, and the weight if it stands there."""
        stored = [column.name for column in self.labels.table.columns]
        return ("label", self.weight.column) if self.weight and self.weight.column in stored else ("label",)

    @property
    def weight_in_metrics(self) -> bool:
        """Whether metrics count rows by weight."""
        return self.weight is not None and self.weight.in_metrics

    @property
    def is_delivered(self) -> bool:
        """Whether some environment receives the model from another instead of training it."""
        return set(self.trained_in) != set(ENVIRONMENTS)

    @property
    def feature_tables(self) -> tuple[Table, ...]:
        """The feature tables that its tasks read: its own, then those that others share with it."""
        return (*(one.table for one in self.features), *(one.table for one in self.shared_features))

    @property
    def available_after(self) -> Mapping[str, int]:
        """After how many minutes a row of each feature table may be used, by the table's address."""
        own = {one.table.address: one.available_after_minutes for one in self.features}
        return own | {one.table.address: one.available_after_minutes for one in self.shared_features}

    @property
    def schemas(self) -> Mapping[str, Layer]:
        """The schemas that it has in every environment, each with its layer: one per layer, and one per shared table."""
        own = {f"{self.name}_{layer}": layer for layer in OWN_LAYERS}
        return own | {one.table.schema: Layer.SHARED for one in self.features if one.is_shared}

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that it declares (bronze, features, labels), then those that every use case has."""
        inputs = (
            *(column(name, "double") for name in self.numeric_inputs),
            *(column(name, "string") for name in self.categorical_inputs),
        )
        kept = (column(name, "string") for name in self.kept_columns if name not in self.inputs)
        own = (*(s.table for s in self.sources), *(f.table for f in self.features), self.labels.table)
        weights = (column(SAMPLE_WEIGHT, "double", f"{self.weight.column} as a weight"),) if self.weight else ()
        of_requests = weights if self.label_columns == ("label",) else ()
        of_classes = (
            (
                column(PREDICTED_CLASS, "string", "the most probable class; score is its probability"),
                *(column(score_column(name), "double", f"the probability of {name}") for name in self.problem.classes),
            )
            if isinstance(self.problem, MultiClass)
            else ()
        )
        decided = (column(name, *said) for name, said in self.costs.columns.items()) if self.costs else ()
        of_predictions = (*of_requests, *of_classes, *decided)
        standard = standard_tables(self.name, (*inputs, *kept), of_training=weights, of_predictions=of_predictions)
        predictions = next(table for table in standard if table.name == "predictions")
        rollout = () if self.rollout.is_direct else rollout_tables(predictions)
        streams = (streams_table(predictions),) if self.streaming else ()
        return (*own, *standard, *rollout, *streams)

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that every use case has; delivery, rollout and stream where it declares them."""
        training = training_job(self)
        delivery = delivery_job(self) if self.is_delivered else None
        jobs = (features_job(self), training, scoring_job(self), monitoring_job(self, training, delivery))
        streams = (streaming_job(self, self.streaming),) if self.streaming else ()
        rollout = () if self.rollout.is_direct else (rollout_job(self),)
        others = (*((delivery,) if delivery else ()), *rollout, *streams)
        return (*jobs, rollback_job(self), maintenance_job(self), *others)

    @cached_property
    def _tables_by_name(self) -> Mapping[str, list[Table]]:
        found: dict[str, list[Table]] = {}
        for table in self.tables:
            found.setdefault(table.address, []).append(table)
            found.setdefault(table.name, []).append(table)
        return found

    def table(self, name: str) -> Table:
        """Return one table by its address, or by its name where only one table has it.

        Raises
        ------
        DeclarationError
            If there is none or more than one, with the nearest name.
        """
        found = self._tables_by_name.get(name, ())
        if len(found) == 1:
            return found[0]
        if found:
            raise DeclarationError(
                f"table {name!r} is in several schemas: say {' or '.join(t.address for t in found)}."
            )
        raise DeclarationError(unknown("table", name, [table.address for table in self.tables]))

    def job(self, name: str) -> Job:
        """Return one job by its short name or its address.

        Raises
        ------
        DeclarationError
            If there is none, with the nearest name.
        """
        for job in self.jobs:
            if name in (job.name, job.address):
                return job
        raise DeclarationError(unknown("job", name, [job.address for job in self.jobs]))
