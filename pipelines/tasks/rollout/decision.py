"""Task of the job that moves a challenger: judges it, keeps the decision, and carries it out in the registry.

A run decides once. The decision is kept before anything moves, so a run that was cut off and goes on carries out what it had
decided, and repeating that ends in the same state. What must be quick comes first: of a return, the requests.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.gate.verdict import Outcome, Reason
from ml.monitoring.returned_challenger import returned_finding
from ml.rollout.decision import RolloutDecision, RolloutMove, decide_rollout
from ml.spec.rollout_policy import WHOLE
from pipelines.declarations.answers import ROLLOUT_ID
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.windows import window_of
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout, set_state, state_of
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.tasks.kept_findings import keep_finding
from pipelines.tasks.rollout.evidence import look_at
from pipelines.tasks.versions.promotion import RETURNED

NO_ROLLOUT = "none"
"""The task's answer where there is nothing to decide."""


def decide(context: Context, *, until: dt.datetime | None, stop: str) -> TaskResult:
    """Judge the challenger of the rollout that goes on, and carry the decision out."""
    kept = _decision_of_run(context)
    if kept is None:
        state = current_rollout(context.lakehouse.models, context.use_case.model)
        if state is None:
            context.say("no rollout goes on: nothing to decide")
            return TaskResult(values={"move": NO_ROLLOUT})
        kept = _decided(context, state, until or context.now, stop.strip())
    _carry_out(context, kept)
    context.say(kept["sentence"])
    return TaskResult(rows=1, values={"move": kept["move"], "following": str(kept["following"])})


def _decided(context: Context, state: RolloutState, until: dt.datetime, stop: str) -> dict[str, Any]:
    """Return the decision about a rollout, which is kept."""
    looks = _looks(context, state)
    look = look_at(
        context, state, until=until, looks=len(looks), stopped=stop,
        asked_today=any(instant.date() == until.date() for instant in looks),
    )  # fmt: skip
    decision = decide_rollout(look.evidence, context.use_case.rollout)
    table = context.use_case.table("rollouts")
    record = {
        "run_id": context.run_id, "decided_at": until, ROLLOUT_ID: state.rollout_id, "model_version": decision.version,
        "champion": decision.champion, "percentage": decision.percentage, "move": decision.move.value,
        "following": decision.following, "look": look.number, "sentence": decision.sentence,
        "reasons": _reasons(decision), "evaluation": look.evaluation.to_json() if look.evaluation else None,
    }  # fmt: skip
    context.lakehouse.tables.merge(table, records(table, [record]))
    return record


def _reasons(decision: RolloutDecision) -> str:
    """Return the reasons as JSON, those that returned the challenger first."""
    ordered = sorted(decision.reasons, key=lambda reason: reason.passed or reason.rule not in decision.returning)
    return json.dumps([asdict(reason) for reason in ordered])


def _decision_of_run(context: Context) -> dict[str, Any] | None:
    rows = context.lakehouse.tables.read(context.use_case.table("rollouts"))
    found = rows.where(F.col("run_id") == context.run_id).toArrow().to_pylist()
    return {**found[0], "decided_at": in_utc(found[0]["decided_at"])} if found else None


def _looks(context: Context, state: RolloutState) -> list[dt.datetime]:
    """Return when the gate has decided in the present stage of a rollout."""
    rows = context.lakehouse.tables.read(context.use_case.table("rollouts"))
    own = rows.where(
        (F.col(ROLLOUT_ID) == state.rollout_id) & (F.col("model_version") == state.version)
        & (F.col("percentage") == state.percentage) & F.col("look").isNotNull()
    )  # fmt: skip
    return [in_utc(row["decided_at"]) for row in own.select("decided_at").toArrow().to_pylist()]


def _carry_out(context: Context, kept: Mapping[str, Any]) -> None:
    models, model = context.lakehouse.models, context.use_case.model
    state = state_of(models.version(model, kept["model_version"]))
    if state is None or state.rollout_id != kept[ROLLOUT_ID] or kept["move"] == RolloutMove.WAIT:
        return
    if kept["move"] == RolloutMove.RETURN:
        _return(context, state, kept)
    elif kept["following"] < WHOLE:
        if not state.ended and state.percentage == kept["percentage"]:
            set_state(models, model, replace(state, percentage=kept["following"], since=kept["decided_at"]))
    else:
        _finish(context, state, kept)


def _finish(context: Context, state: RolloutState, kept: Mapping[str, Any]) -> None:
    """Make the challenger champion; the verdict is kept first, the alias moves by one call."""
    models, model = context.lakehouse.models, context.use_case.model
    now = models.find_alias(model, CHAMPION)
    if now is None or now.number not in (state.champion, state.version):
        raise TaskError(
            f"the rollout of version {state.version} began against version {state.champion}, and the champion is "
            f"{f'version {now.number}' if now else 'none'} now: another decision came first. Run the job again."
        )
    _keep_verdict(context, state, kept, outcome=Outcome.PROMOTE.value, promoted=state.version)
    models.set_alias(models.version(model, state.version), CHAMPION)
    set_state(models, model, replace(state, percentage=WHOLE, ended="it is champion"))


def _return(context: Context, state: RolloutState, kept: Mapping[str, Any]) -> None:
    """Take the requests from the challenger, then say so: verdict and finding."""
    set_state(context.lakehouse.models, context.use_case.model, replace(state, ended=kept["sentence"]))
    _keep_verdict(context, state, kept, outcome=RETURNED, promoted=None)
    first = Reason(**json.loads(kept["reasons"])[0])
    at = kept["decided_at"]
    finding = returned_finding(
        window_of(at, "day"), version=state.version, champion=state.champion, rule=first.rule, value=first.value,
        threshold=first.threshold, why=kept["sentence"].partition(": ")[2], at=at,
    )  # fmt: skip
    keep_finding(context, finding, at=at)


def _keep_verdict(
    context: Context, state: RolloutState, kept: Mapping[str, Any], *, outcome: str, promoted: int | None
) -> None:
    table = context.use_case.table("verdicts")
    record = {
        "evaluation_id": f"rollout {kept['run_id']}", "decided_at": kept["decided_at"],
        "policy": context.use_case.gate.name, "outcome": outcome, "champion": state.champion, "promoted": promoted,
        "challenger": state.version, "sentence": kept["sentence"], "reasons": kept["reasons"],
    }  # fmt: skip
    context.lakehouse.tables.merge(table, records(table, [record]))
