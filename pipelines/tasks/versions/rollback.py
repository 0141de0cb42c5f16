"""Gives the alias champion back to the version that had it before, on a person's request and with the reason stored.

The task of the job ``rollback`` calls it. The verdicts, which include
earlier rollbacks, say which version that was; if they do not, nothing is moved. Monitoring finds whether a champion
has become worse, and a person decides. Where somebody has deleted the alias or its version, the one that had it last,
or the one before it, gets it back.
"""

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from ml.gate.verdict import Outcome, Reason
from ml.models.prediction import PredictionError, known_inputs
from ml.spec.errors import sentence_of
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import DeletedVersionError, ModelVersion
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.versions.promotion import ROLLBACK

ROLLED_BACK = "rolled_back"
"""The tag of a version that was taken back: when, in favour of which version, and why."""


class RollbackError(TaskError):
    """The champion stays: no earlier champion is recorded, or it cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Which version gives the alias to which.

    Attributes
    ----------
    champion
        None if the alias is gone, or names a version that was deleted.
    previous
        None if the verdicts name no version to go back to.
    sentence
        How it was found, or why it was not.
    """

    champion: int | None
    previous: int | None
    sentence: str


def take_back(context: Context, *, reason: str) -> TaskResult:
    """Give the alias back to the previous champion.

    Raises
    ------
    RollbackError
        If no reason is given, or as `roll_back` says.
    """
    if not reason.strip():
        raise RollbackError(
            "the parameter reason is empty: say why, for those who read the verdicts. Nothing was moved."
        )
    done = roll_back(context.lakehouse, context.use_case, reason=reason.strip(), now=context.now)
    instead_of = str(done.champion or "none")
    context.say(f"version {done.previous} is champion instead of {instead_of}: {done.sentence}")
    return TaskResult(rows=1, values={"champion": str(done.previous), "instead_of": instead_of})


def roll_back(lakehouse: Lakehouse, use_case: UseCase, *, reason: str, now: dt.datetime) -> Rollback:
    """Point the alias champion to the previous champion.

    The verdict with its reason is kept first, the alias moves by one call at the end: an error leaves it where it was.

    Raises
    ------
    RollbackError
        If there was no champion or no previous one, the previous one cannot be loaded, or another process has moved
        the alias meanwhile.
    """
    table = use_case.table("verdicts")
    champion, previous, decision, verdicts = _to_take_back(lakehouse, use_case)
    begun = (unfinished(champion.number, verdicts) if champion else None) or now
    lakehouse.tables.merge(table, records(table, [_record(decision, reason, begun)]))
    if champion:
        tag = f"{begun.isoformat()} to version {previous.number}: {reason}"
        lakehouse.models.set_tags(champion, {ROLLED_BACK: tag})
    current = _champion(lakehouse, use_case)
    if (current and current.number) != decision.champion:
        was = f"version {decision.champion} is no longer the champion" if champion else "there is a champion again"
        raise RollbackError(f"{was}: look at the verdicts and ask again.")
    lakehouse.models.set_alias(previous, CHAMPION)
    return decision


def require_previous(lakehouse: Lakehouse, use_case: UseCase) -> None:
    """Refuse before a run begins that would fail because no earlier champion can be used.

    Raises
    ------
    RollbackError
        If there was no champion or no previous one, or the previous one cannot be loaded.
    """
    _to_take_back(lakehouse, use_case)


def _to_take_back(
    lakehouse: Lakehouse, use_case: UseCase
) -> tuple[ModelVersion | None, ModelVersion, Rollback, list[dict[str, Any]]]:
    """Return the champion, the version to go back to, the decision for it, and the verdicts that it was read from."""
    champion = _champion(lakehouse, use_case)
    verdicts = lakehouse.tables.read(use_case.table("verdicts")).toArrow().to_pylist()
    if champion:
        decision = decide(champion.number, verdicts)
    else:
        there = [version.number for version in lakehouse.models.versions(use_case.model)]
        decision = decide_without_champion(lakehouse.models.name(use_case.model), verdicts, there)
    if decision.previous is None:
        raise RollbackError(decision.sentence)
    return champion, _usable(lakehouse, use_case, decision.previous), decision, verdicts


def _champion(lakehouse: Lakehouse, use_case: UseCase) -> ModelVersion | None:
    """Return the version with the alias; None if nobody has it, or if its version was deleted."""
    try:
        return lakehouse.models.find_alias(use_case.model, CHAMPION)
    except DeletedVersionError:
        return None


def decide(champion: int, verdicts: Sequence[Mapping[str, Any]]) -> Rollback:
    """Return which version had the alias before; pure.

    The verdict that promoted a version names the champion of that moment. A version that was itself taken back since
    it was promoted is passed over for the one before it.

    Parameters
    ----------
    champion
        The version that has the alias now.
    verdicts
        Rows of the verdicts table, in any order.
    """
    previous, why = _before(champion, verdicts)
    sentence = why if previous else f"there is nothing to go back to: {why}. Version {champion} stays champion."
    return Rollback(champion=champion, previous=previous, sentence=sentence)


def decide_without_champion(model: str, verdicts: Sequence[Mapping[str, Any]], there: Collection[int]) -> Rollback:
    """Return which version had the alias last, where nobody has it now or its version was deleted; pure.

    Parameters
    ----------
    verdicts
        Rows of the verdicts table, in any order.
    there
        The numbers of the registered versions: one that was deleted is passed over for the one before it.
    """
    moved = [row for row in verdicts if row["outcome"] in (Outcome.PROMOTE, ROLLBACK) and row["promoted"] is not None]
    if not moved:
        nobody = f"{model} has no champion, so there is nothing to take back: no version of it has passed the gate yet."
        return Rollback(champion=None, previous=None, sentence=nobody)
    last = max(moved, key=lambda row: row["decided_at"])["promoted"]
    deleted: list[int] = []
    found, why = last, f"version {last} was champion last, and its alias is gone"
    while found is not None and found not in there and found not in deleted:
        deleted.append(found)
        found, why = _before(found, verdicts)
    if not deleted:
        return Rollback(champion=None, previous=last, sentence=why)
    gone = f"version{'s' if len(deleted) > 1 else ''} {', '.join(map(str, deleted))} {'were' if len(deleted) > 1 else 'was'} deleted"
    if found is None or found in deleted:
        remedy = "Delete the alias champion, if it is still there, and train again"
        return Rollback(champion=None, previous=None, sentence=f"{gone}, and {why}. {remedy}.")
    return Rollback(champion=None, previous=found, sentence=f"{why}, and {gone}")


def _before(champion: int, verdicts: Sequence[Mapping[str, Any]]) -> tuple[int | None, str]:
    """Return which version had the alias before another one, and how that is known, or why it is not."""
    taken_back = {row["champion"]: row["decided_at"] for row in _ordered(verdicts, ROLLBACK)}
    promotions = {row["promoted"]: row for row in _ordered(verdicts, Outcome.PROMOTE)}
    seen, version = {champion}, champion
    while version in promotions:
        previous = promotions[version]["champion"]
        if previous is None:
            return None, f"version {version} was the first champion"
        if previous in seen:
            return None, f"before version {version} was version {previous}, which has been passed over"
        since = promotions[previous]["decided_at"] if previous in promotions else None
        if previous not in taken_back or (since is not None and since > taken_back[previous]):
            return int(previous), f"version {previous} was champion when version {version} was promoted"
        seen.add(previous)
        version = previous
    return None, f"no verdict shows which version was champion before version {version}"


def unfinished(champion: int, verdicts: Sequence[Mapping[str, Any]]) -> dt.datetime | None:
    """Return when a rollback of the champion was decided that has not moved the alias; None if there is none.

    It was interrupted after its verdict was kept: repeating it must not leave a second one.
    """
    promoted = [row["decided_at"] for row in _ordered(verdicts, Outcome.PROMOTE) if row["promoted"] == champion]
    taken_back = [row["decided_at"] for row in _ordered(verdicts, ROLLBACK) if row["champion"] == champion]
    if not taken_back or (promoted and promoted[-1] > taken_back[-1]):
        return None
    return cast("dt.datetime", taken_back[-1]).astimezone(dt.UTC)


def _ordered(verdicts: Sequence[Mapping[str, Any]], outcome: str) -> list[Mapping[str, Any]]:
    """Return the verdicts of one outcome, the oldest first: of several about one version the last one stays."""
    return sorted((row for row in verdicts if row["outcome"] == outcome), key=lambda row: row["decided_at"])


def _usable(lakehouse: Lakehouse, use_case: UseCase, number: int) -> ModelVersion:
    """Return a version that is there, can be loaded, and finds its inputs."""
    try:
        version = lakehouse.models.version(use_case.model, number)
        model = lakehouse.models.load(version)
    except Exception as error:
        raise RollbackError(
            f"version {number} was champion before and cannot be loaded ({sentence_of(error)}): no alias was "
            "moved; train another one."
        ) from error
    try:
        known_inputs(model, use_case.inputs)
    except PredictionError as error:
        raise RollbackError(
            f"version {number} was champion before and could not score, so no alias was moved: {error}"
        ) from error
    return version


def _record(decision: Rollback, reason: str, now: dt.datetime) -> dict[str, Any]:
    stored = Reason(
        rule=ROLLBACK, candidate=decision.previous, passed=True, value=None, threshold=None, sentence=decision.sentence
    )
    begin = f"roll back from version {decision.champion}" if decision.champion else "give the alias that was gone back"
    back = f"{begin} to version {decision.previous}"
    return {
        "evaluation_id": f"{ROLLBACK} {now.isoformat()}", "decided_at": now, "policy": ROLLBACK, "outcome": ROLLBACK,
        "champion": decision.champion, "promoted": decision.previous, "challenger": None,
        "sentence": f"{back}: {reason}", "reasons": json.dumps([asdict(stored)]),
    }  # fmt: skip
