"""Task of a training or a delivery: the alias champion moves only on a positive verdict about a complete evaluation.

Where a use case declares another way than a direct one, a positive verdict begins a rollout instead: the version becomes
challenger, and the job `rollout` moves it on. The first champion of all is direct: there is nothing to compare it with.

The order of writes makes every crash harmless: the verdict is kept first, the alias moves last and by one call, and
repeating it ends in the same state. If the alias was moved since the evaluation, it is not moved again. A run handles
the candidates of its own evaluation and no others.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.gate.verdict import Outcome, Verdict
from ml.rollout.decision import said
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout, set_state, state_of
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.versions.version_description import description

EVALUATED_IN, EVALUATED_UNTIL = "evaluated_in", "evaluated_until"
ROLLBACK = "rollback"
"""What the verdicts table has as the outcome and the policy of a rollback."""
BEGINS, RETURNED = "rollout", "returned"
"""What it has as the outcome of a positive verdict that begins a rollout, and of the end of one without a promotion."""
SAID_BY_THE_GATE = (
    "verdict", "verdict_reasons", "evaluation_id", "evaluation_digest", "evaluated", EVALUATED_IN, EVALUATED_UNTIL,
)  # fmt: skip
"""The tags of a version with the decision of an environment's gate about it, and the rows it was based on."""


def promote(context: Context) -> TaskResult:
    """Decide about the run's evaluation and carry the decision out."""
    use_case = context.use_case
    evaluation, not_trained = _evaluation(context)
    verdict = decide(evaluation, use_case.gate, use_case.costs)
    sentence = verdict.sentence + (
        f" There was no candidate of {', '.join(not_trained)}, which could not be trained." if not_trained else ""
    )
    decided_at = _decided_at(context, verdict)
    _require_unmoved(context, verdict)  # a verdict that cannot be carried out would name a champion who never was one
    _keep(context, verdict, evaluation, sentence=sentence, decided_at=decided_at)
    context.say(sentence)
    _move_aliases(context, verdict, [candidate.version for candidate in evaluation.candidates], decided_at)
    promoted = "" if _begins_a_rollout(context, verdict) else str(verdict.promoted or "")
    return TaskResult(rows=1, values={"outcome": _outcome(context, verdict), "promoted": promoted})


def _begins_a_rollout(context: Context, verdict: Verdict) -> bool:
    """Return whether the promoted version becomes champion step by step."""
    return verdict.promoted is not None and verdict.champion is not None and not context.use_case.rollout.is_direct


def _outcome(context: Context, verdict: Verdict) -> str:
    return BEGINS if _begins_a_rollout(context, verdict) else verdict.outcome.value


def _evaluation(context: Context) -> tuple[Evaluation, list[str]]:
    """Return the run's evaluation, and the estimators that could not be trained for it."""
    table = context.use_case.table("evaluations")
    rows = context.lakehouse.tables.read(table)
    found = rows.where(rows["evaluation_id"] == context.run_id).toArrow().to_pylist()
    if not found:
        raise TaskError(f"there is no evaluation {context.run_id!r}: run the task evaluate of this run first.")
    return Evaluation.from_json(found[0]["evaluation"]), sorted(json.loads(found[0]["not_trained"] or "{}"))


def _decided_at(context: Context, verdict: Verdict) -> dt.datetime:
    """Return when the verdict was first kept: an interrupted promotion that is repeated is the same decision.

    Raises
    ------
    TaskError
        If the promoted version was taken back since: then the verdict has been carried out, and does not hold any more.
    """
    verdicts = context.lakehouse.tables.read(context.use_case.table("verdicts")).toArrow().to_pylist()
    kept = [
        row
        for row in verdicts
        if row["evaluation_id"] == verdict.evaluation_id and row["outcome"] == _outcome(context, verdict)
    ]
    if not kept:
        return context.now
    decided_at: dt.datetime = kept[0]["decided_at"]
    back = [row for row in verdicts if row["outcome"] == ROLLBACK and row["champion"] == verdict.promoted]
    if verdict.promoted is not None and any(row["decided_at"] > decided_at for row in back):
        raise TaskError(
            f"version {verdict.promoted} was promoted by the evaluation {verdict.evaluation_id!r} and has been taken back "
            "since: run the job again for another evaluation. No alias was moved."
        )
    return decided_at


def _keep(
    context: Context, verdict: Verdict, evaluation: Evaluation, *, sentence: str, decided_at: dt.datetime
) -> None:
    """Store the verdict in its table and with every version it is about."""
    table = context.use_case.table("verdicts")
    record = {
        "evaluation_id": verdict.evaluation_id, "decided_at": decided_at, "policy": verdict.policy,
        "outcome": _outcome(context, verdict), "champion": verdict.champion,
        "promoted": None if _begins_a_rollout(context, verdict) else verdict.promoted,
        "challenger": verdict.challenger, "sentence": sentence,
        "reasons": json.dumps([asdict(reason) for reason in verdict.reasons]),
    }  # fmt: skip
    context.lakehouse.tables.merge(table, records(table, [record]))
    models, model = context.lakehouse.models, context.use_case.model
    for version in (models.version(model, candidate.version) for candidate in evaluation.candidates):
        failed = [r.sentence for r in verdict.failed if r.candidate in (None, version.number)]
        promoted = version.number == verdict.promoted
        said = verdict.sentence if promoted else "; ".join(failed) or f"version {verdict.promoted} was better"
        values = (
            "promote" if promoted else "not promoted", said, evaluation.evaluation_id, evaluation.digest,
            _evaluated(evaluation, version.number), context.lakehouse.environment.name, evaluation.window_end or "",
        )  # fmt: skip
        tags = dict(zip(SAID_BY_THE_GATE, values, strict=True))
        models.set_tags(version, tags)
        models.describe(version, description(model, {**version.tags, **tags}))


def _evaluated(evaluation: Evaluation, version: int) -> str:
    """Return in words what an evaluation found of a version, for its tags."""
    measured = next((c for c in evaluation.contenders if c.version == version), None)
    if measured is None or evaluation.metric not in measured.metrics:
        return f"no {evaluation.metric} on {evaluation.rows:,} rows"
    return f"{evaluation.metric} {measured.metrics[evaluation.metric]:.4f} on {evaluation.rows:,} rows"


def _require_unmoved(context: Context, verdict: Verdict) -> None:
    """Refuse a promotion if the alias was moved since the evaluation by another one."""
    current = context.lakehouse.models.find_alias(context.use_case.model, CHAMPION)
    now = current.number if current else None
    if verdict.outcome is Outcome.PROMOTE and now not in (verdict.champion, verdict.promoted):
        raise TaskError(
            f"the champion was version {verdict.champion} when it was evaluated and is version {now} now: "
            "another promotion came first. Run the job again."
        )


def _move_aliases(context: Context, verdict: Verdict, judged: Sequence[int], decided_at: dt.datetime) -> None:
    models, model = context.lakehouse.models, context.use_case.model
    _require_unmoved(context, verdict)
    begins, going_on = _begins_a_rollout(context, verdict), current_rollout(models, model)
    if begins and verdict.promoted is not None:
        begin_rollout(
            context, models.version(model, verdict.promoted), champion=verdict.champion or 0,
            rollout_id=verdict.evaluation_id, at=decided_at,
        )  # fmt: skip
    elif verdict.challenger is not None and going_on is None:
        models.set_alias(models.version(model, verdict.challenger), CHALLENGER)
    models.clear_candidates(model, judged)
    if verdict.outcome is Outcome.PROMOTE and verdict.promoted is not None and not begins:
        models.set_alias(models.version(model, verdict.promoted), CHAMPION)


def begin_rollout(
    context: Context, version: ModelVersion, *, champion: int, rollout_id: str, at: dt.datetime
) -> None:  # fmt: skip
    """Make a version the challenger of a new rollout; one that goes on with another version ends. A second time changes nothing.

    Parameters
    ----------
    champion
        The version that it is to take over from.
    rollout_id
        Names the rollout, and decides which requests the challenger answers.
    at
        When its first stage begins.
    """
    models, model = context.lakehouse.models, context.use_case.model
    going_on, before = current_rollout(models, model), state_of(version)
    if before is not None and before.rollout_id == rollout_id:
        models.set_alias(version, CHALLENGER)
        return
    first = context.use_case.rollout.stages[0]
    state = RolloutState(rollout_id=rollout_id, version=version.number, champion=champion, percentage=first, since=at)
    set_state(models, model, state)
    models.set_alias(version, CHALLENGER)
    if going_on is not None and going_on.version != version.number:
        set_state(models, model, replace(going_on, ended=f"version {version.number} has come after it"))
    context.say(
        f"version {version.number} is challenger: its rollout begins at {said(first)}, and version {champion} stays champion"
    )
