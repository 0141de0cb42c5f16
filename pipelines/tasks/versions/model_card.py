"""Task of a training or a delivery: the model card of each candidate, from what is recorded of it.

It comes after the verdict and moves nothing. The same records give the same card, so repeating it changes nothing. The file
is written before the row: a row says that the card is complete.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.card.facts import CardFacts, CardMetric, Importances
from ml.card.html_page import card_page
from ml.card.model_card import model_card
from ml.evaluation.record import Evaluation
from ml.gate.verdict import Reason
from ml.labels.maturity import LabelCounts
from ml.monitoring.findings import ALL_ROWS
from ml.spec.metric_names import metric_names
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.tasks.versions.measured import EVALUATION as EVALUATION_ALIAS
from pipelines.tasks.versions.measured import LAST_INSTANT
from pipelines.tasks.versions.promotion import EVALUATED_IN
from pipelines.tasks.versions.training import TRAINING

CARD_FILE = "model_card.html"
"""The name of the card among the artifacts of the version's run."""


def write_model_cards(context: Context) -> TaskResult:
    """Write the card of every candidate of the run's evaluation, into its table and onto its run in MLflow."""
    written = _write(context, context.run_id)
    return TaskResult(rows=written + complete_model_cards(context))


def complete_model_cards(context: Context) -> int:
    """Write the cards of the evaluation that made the champion, if its run ended before it wrote them; return their number."""
    champion = context.lakehouse.models.find_alias(context.use_case.model, CHAMPION)
    if champion is None or champion.tags.get(EVALUATED_IN) != context.lakehouse.environment.name:
        return 0
    evaluation_id = champion.tags["evaluation_id"]
    cards = context.lakehouse.tables.read(context.use_case.table("model_cards"))
    own = (F.col("evaluation_id") == evaluation_id) & (F.col("model_version") == champion.number)
    return 0 if cards.where(own).count() else _write(context, evaluation_id)


def _write(context: Context, evaluation_id: str) -> int:
    use_case, models = context.use_case, context.lakehouse.models
    (evaluated,), (verdict,) = (_of_evaluation(context, evaluation_id, name) for name in ("evaluations", "verdicts"))
    evaluation = Evaluation.from_json(evaluated["evaluation"])
    table = use_case.table("model_cards")
    for candidate in evaluation.candidates:
        version = models.version(use_case.model, candidate.version)
        card = model_card(_facts(context, version, evaluation, verdict))
        row = {
            "model_version": version.number, "evaluation_id": evaluation_id, "decided_at": verdict["decided_at"],
            "card": card.to_json(),
        }  # fmt: skip
        models.log_text(version, card_page(card), CARD_FILE)
        context.lakehouse.tables.merge(table, records(table, [row]))
        context.say(f"model card of version {version.number}: {CARD_FILE} among the artifacts of its run")
    return len(evaluation.candidates)


def _of_evaluation(context: Context, evaluation_id: str, name: str) -> list[dict[str, Any]]:
    rows = context.lakehouse.tables.read(context.use_case.table(name))
    found: list[dict[str, Any]] = rows.where(F.col("evaluation_id") == evaluation_id).toArrow().to_pylist()
    if not found:
        raise TaskError(
            f"table {name} has no row of evaluation {evaluation_id!r}: run the task promote of this run first."
        )
    return found


def _facts(context: Context, version: ModelVersion, evaluation: Evaluation, verdict: dict[str, Any]) -> CardFacts:
    use_case, models = context.use_case, context.lakehouse.models
    trained_here = version.trained_in == context.lakehouse.environment.name
    run = models.run_of(version) if trained_here else None
    training_rows = run.metrics.get("training_rows") if run else None
    return CardFacts(
        model=models.name(use_case.model),
        version=version.number,
        environment=context.lakehouse.environment.name,
        tags=version.tags,
        due_days=use_case.label_due_days,
        without_outcome=use_case.without_outcome,
        evaluation=evaluation,
        measured=_measured(context, version, evaluation),
        sentence=verdict["sentence"],
        decided_at=in_utc(verdict["decided_at"]),
        reasons=[Reason(**reason) for reason in json.loads(verdict["reasons"])],
        policy=use_case.gate if use_case.gate.digest == evaluation.policy_digest else None,
        parameters=run.params if run else None,
        training_rows=None if training_rows is None else int(training_rows),
        training_labels=_training_labels(context, version) if trained_here else None,
        importances=_importances(evaluation, version),
    )


def _measured(context: Context, version: ModelVersion, evaluation: Evaluation) -> Sequence[CardMetric]:
    """Return the version's metrics on all rows of this evaluation, in the order of the declared names."""
    if evaluation.window_end is None:
        return ()
    end = in_utc(dt.datetime.fromisoformat(evaluation.window_end)) + LAST_INSTANT
    rows = context.lakehouse.tables.read(context.use_case.table("metrics")).where(
        (F.col("alias") == EVALUATION_ALIAS) & (F.col("model_version") == version.number)
        & (F.col("slice_key") == ALL_ROWS) & (F.col("window_end") == F.lit(end))
    )  # fmt: skip
    found = {row["metric"]: row for row in rows.toArrow().to_pylist()}
    return [
        CardMetric(**{field: found[name][field] for field in CardMetric.__dataclass_fields__})
        for name in metric_names(evaluation.problem, evaluation.costs)
        if name in found
    ]


def _training_labels(context: Context, version: ModelVersion) -> LabelCounts | None:
    rows = context.lakehouse.tables.read(context.use_case.table("training_set"))
    own = (
        rows.where(F.col("training_set_id") == version.tags.get("training_set_id", "")).select("label_counts").limit(1)
    )
    counted = [row["label_counts"] for row in own.toArrow().to_pylist() if row["label_counts"]]
    found = json.loads(counted[0]).get(TRAINING) if counted else None
    return None if found is None else LabelCounts.of(found)


def _importances(evaluation: Evaluation, version: ModelVersion) -> Importances | None:
    found = evaluation.contender(version.number).importance
    return Importances(metric=evaluation.metric, rows="rows of the evaluation", inputs=found) if found else None
