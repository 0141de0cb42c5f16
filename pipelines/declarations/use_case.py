"""What one data team declares: sources, feature tables, spine, labels, model, rules."""

import keyword
from collections.abc import Mapping
from dataclasses import dataclass

from ml.spec.estimator import EstimatorSpec, Problem
from ml.spec.gate_policy import GatePolicy
from ml.spec.metric_names import METRIC_NAMES, WITH_STANDARD_ERROR
from ml.spec.monitoring_policy import MonitoringPolicy, RetrainingPolicy
from pipelines.declarations.asset import Model, Table
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError, require_identifier, require_unique, unknown

DELIVERY = "delivery"
"""Name of the job by which an environment receives a model that it does not train."""
RESERVED: Mapping[str, str] = {
    **dict.fromkeys(ENVIRONMENTS, "an environment"),
    "main": "the branch that is deployed",
    "test": "the command that runs all tests",
    "experiments": "the folder of all experiments in a workspace",
}
"""Names that mean something else already where the name of a use case stands, and what."""


def use_case_name_mistakes(name: str) -> list[str]:
    """Return why a use case may not have that name; empty if it may."""
    try:
        require_identifier("use case", name)
    except DeclarationError as mistake:
        return [str(mistake)]
    found = []
    if keyword.iskeyword(name):
        found.append(f"{name!r} is a word of Python: no module can bear it.")
    if name in RESERVED:
        found.append(f"{name!r} is the name of {RESERVED[name]}: take another name.")
    return found


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one column of a source must fulfil, beyond its declared type and being present where not nullable.

    Attributes
    ----------
    minimum, maximum
        Inclusive bounds of a number; None for none.
    allowed
        The only texts allowed; empty for any.
    """

    column: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """One feed and its contract: the bronze table gives types, required columns and key, `rules` the ranges.

    Attributes
    ----------
    reader
        ``module:function``; called with ``location``, ``since`` and ``until``, returns a `pyarrow.Table` with exactly
        the columns of `table`, each as text where the feed delivers text.
    """

    name: str
    reader: str
    table: Table
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        require_identifier("source", self.name)
        for rule in self.rules:
            self.table.column(rule.column)


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """One feature table and how its rows follow from a bronze table.

    Attributes
    ----------
    builder
        ``module:function``; called with a Spark data frame of `source` rows, returns rows of `table`.
    source
        The bronze table it is built from; its time key orders the rows.
    memory_days
        How far back a source row can still change a feature row; bounds what a refresh reads.
    """

    table: Table
    builder: str
    source: Table
    memory_days: int

    def __post_init__(self) -> None:
        if not self.table.is_feature_table or self.source.time_key is None:
            raise DeclarationError(
                f"feature table {self.table.address} and its source need a primary key and a time key."
            )


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Which columns of a feature table join the spine, by which keys, and how old they may be.

    Attributes
    ----------
    keys
        Spine column to feature table key, for example ``{"origin": "origin"}``.
    columns
        Feature table column to input name.
    lookback_hours
        Rows known longer than this before the prediction time count as unknown.
    age_as
        Input name for the hours between the feature row and the prediction; None to leave it out.
    """

    table: Table
    keys: Mapping[str, str]
    columns: Mapping[str, str]
    lookback_hours: int
    age_as: str | None = None

    def __post_init__(self) -> None:
        if set(self.keys.values()) != set(self.table.primary_key):
            raise DeclarationError(
                f"lookup of {self.table.address}: keys {sorted(self.keys.values())} are not its primary key "
                f"{sorted(self.table.primary_key)}."
            )
        for name in self.columns:
            self.table.column(name)


@dataclass(frozen=True, kw_only=True)
class Spine:
    """The rows to predict: which table, which key, and the instant at which a prediction is due.

    Attributes
    ----------
    request_key
        The column that identifies one prediction.
    prediction_time
        The instant of prediction; nothing known at or after it may be used.
    """

    table: Table
    request_key: str
    prediction_time: str


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything one data team states; jobs, tables, grants and dashboards follow from it.

    Attributes
    ----------
    labels
        Table with ``request_key``, ``known_at``, ``outcome`` and ``label``; label is missing where none will come.
    inputs_builder
        ``module:function`` that adds inputs computed from the spine's row alone, such as the hour of the day.
    numeric_inputs, categorical_inputs
        The columns that reach the estimator, in this order.
    slices
        Categorical inputs by whose values evaluation and monitoring are broken down.
    label_due_days
        An outcome that is not known so many days after the prediction is missing.
    gate, monitoring, retraining
        What a candidate must fulfil, when a measurement is a finding, when findings retrain.
    trained_in
        The environments that train their own model. Every other one receives a copy of the champion of the environment
        before it, by the job ``delivery``, and puts it before its own gate.
    integration
        The window of the integration runs; None to place it at the end of what the sources have delivered.
    """

    name: str
    team: str
    description: str
    problem: Problem
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
    tables: tuple[Table, ...]
    jobs: tuple[Job, ...]
    trained_in: tuple[str, ...] = tuple(ENVIRONMENTS)
    integration: IntegrationWindow | None = None

    def __post_init__(self) -> None:
        if mistakes := use_case_name_mistakes(self.name):
            raise DeclarationError(" ".join(mistakes))
        self._check_metrics()
        self._check_trained_in()
        require_unique("table", f"use case {self.name}", [table.address for table in self.tables])
        require_unique("job", f"use case {self.name}", [job.name for job in self.jobs])
        require_unique("estimator", f"use case {self.name}", [spec.name for spec in self.estimators])

    def _check_metrics(self) -> None:
        """Refuse names that no metric of the problem has, and monitors of what has no standard error."""
        known = METRIC_NAMES[self.problem]
        judged = [name for name in known if name in WITH_STANDARD_ERROR]
        monitored = self.monitoring.metrics or (self.gate.metric,)
        mistakes = [
            *(
                unknown(f"metric of the gate of {self.name}", name, known)
                for name in self.gate.compared
                if name not in known
            ),
            *(unknown(f"monitored metric of {self.name}", name, judged) for name in monitored if name not in judged),
        ]
        if mistakes:
            raise DeclarationError(" ".join(mistakes))

    def _check_trained_in(self) -> None:
        first = next(iter(ENVIRONMENTS))
        for name in self.trained_in:
            environment(name)
        if first not in self.trained_in:
            raise DeclarationError(
                f"use case {self.name}: trained_in {list(self.trained_in)} lacks {first!r}, which receives from none."
            )
        delivers = any(job.name == DELIVERY for job in self.jobs)
        if delivers == (set(self.trained_in) == set(ENVIRONMENTS)):
            raise DeclarationError(
                f"use case {self.name}: trained_in is {list(self.trained_in)} here and another in its standard_jobs: "
                "give both the same."
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that reach the estimator, numbers first."""
        return (*self.numeric_inputs, *self.categorical_inputs)

    def table(self, name: str) -> Table:
        """Return one table by its address, or by its name where only one table has it.

        Raises
        ------
        DeclarationError
            If there is none or more than one, with the nearest name.
        """
        found = [table for table in self.tables if name in (table.address, table.name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DeclarationError(
                f"table {name!r} stands in several schemas: say {' or '.join(t.address for t in found)}."
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
