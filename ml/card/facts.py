"""What a model card is made from: the records of a version's training, its evaluation and the gate's decision.

What is not recorded, or is out of reach in this environment, is None and is said as unknown; nothing is filled in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ml.evaluation.record import Evaluation
from ml.gate.verdict import Reason
from ml.labels.maturity import LabelCounts
from ml.models.importance import InputImportance
from ml.spec.gate_policy import GatePolicy


@dataclass(frozen=True, kw_only=True)
class CardMetric:
    """One metric of the version on the rows of its evaluation.

    Attributes
    ----------
    standard_error, degrees_of_freedom
        None for a metric without a standard error.
    """

    metric: str
    value: float | None
    standard_error: float | None
    degrees_of_freedom: float | None


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The recorded importance of the inputs.

    Attributes
    ----------
    metric
        The one that gets worse.
    rows
        On which rows it was measured, for example ``rows of the evaluation``.
    """

    metric: str
    rows: str
    inputs: Sequence[InputImportance]


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything that is recorded of one version.

    Attributes
    ----------
    model
        The registered model's name.
    environment
        Where the gate decided.
    tags
        Those of the version, by `pipelines.tasks.versions.candidates` and the gate.
    parameters, training_rows
        Of the run that trained it; None where that run is out of reach, as for a copy.
    training_labels
        What decided and what was left out of the training rows; of the evaluation the record has it.
    due_days, without_outcome
        When an outcome is due, and what a due request without one means, as the use case declares.
    evaluation
        The evaluation by which the gate decided.
    measured
        The version's metrics with their errors, by the units of the evaluation.
    policy
        The policy that decided; None if it is not known any more.
    sentence, decided_at, reasons
        The verdict about the evaluation.
    importances
        None if not recorded.
    """

    model: str
    version: int
    environment: str
    tags: Mapping[str, str]
    due_days: int
    without_outcome: float | None
    evaluation: Evaluation
    measured: Sequence[CardMetric]
    sentence: str
    decided_at: datetime
    reasons: Sequence[Reason]
    policy: GatePolicy | None = None
    parameters: Mapping[str, str] | None = None
    training_rows: int | None = None
    training_labels: LabelCounts | None = None
    importances: Importances | None = None
