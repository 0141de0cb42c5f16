"""Tasks of the delivery job: an environment receives a model that another one trained, and evaluates it on its own rows.

The tasks after these, evaluate and promote, are those of a training. Until the gate has decided, the copy is a
candidate and no alias moves. A delivery evaluates one version, the one that it copied; candidates of other runs stay.
"""

import datetime as dt
from collections.abc import Mapping

import pandas as pd

from pipelines.dataframes.training_rows import requests
from pipelines.declarations.environment import Environment, environment
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import TRAINED_IN, ModelVersion, NoModelVersionError
from pipelines.lakehouse.registry.models import CANDIDATE, CANDIDATE_RUN
from pipelines.tasks.data.labels import labelled_by
from pipelines.tasks.versions.model_card import complete_model_cards
from pipelines.tasks.versions.promotion import EVALUATED_IN, EVALUATED_UNTIL, SAID_BY_THE_GATE
from pipelines.tasks.versions.rollback import ROLLED_BACK
from pipelines.tasks.versions.serving import serve
from pipelines.tasks.versions.training import EVALUATION, append_rows, sample_of
from pipelines.tasks.versions.version_description import description

COPIED_FROM = "copied_from"
"""The tag of a copy: which version of which environment's model it is, for people. Its run identifies it."""
SAID_THERE = (*SAID_BY_THE_GATE, ROLLED_BACK)
"""Tags with the decisions about the original; a copy has them as ``source_...`` and gets its own from this gate."""


def copy(context: Context, *, source: str, version: int) -> TaskResult:
    """Copy a version with its signature, lineage and evaluation and make it the one candidate.

    A version that is the champion here already is not evaluated again, nor one that was rolled back here, unless it is
    named by its number. The delivery that made it champion may have ended before its model card and its endpoint: then this
    one completes them.

    Raises
    ------
    TaskError
        If this environment trains the model itself or receives from none, or there is no such version to deliver.
    """
    models = context.lakehouse.models
    origin = origin_of(context, source)
    theirs = models.of(origin)
    found = _asked_for(context, origin, version)
    copied = _copy_of(context, found) or models.copy(found, theirs)
    name = f"{origin.name} version {found.number}"
    _tag(context, copied, found, name)
    # A run that goes on after its own gate has judged the copy has the outcome that it had before.
    judged_by_run = copied.tags.get("evaluation_id") == context.run_id
    settled = None if judged_by_run else _settled(context, copied, by_number=bool(version))
    if settled is None and not judged_by_run:
        models.set_tags(copied, {CANDIDATE: "true", CANDIDATE_RUN: context.run_id})
    if settled is not None and _is_champion(context, copied):
        complete_model_cards(context)
        serve(context)
    message = settled or f"there it had {found.tags['evaluated']}"
    context.say(f"{name} is version {copied.number} here; {message}")
    judged = str(settled is None).lower()
    return TaskResult(rows=1, values={"version": str(copied.number), "judged": judged, "message": message})


def assemble(
    context: Context, *, until: dt.datetime | None, evaluation_days: int, sample: float, seed: int
) -> TaskResult:
    """Join labels with what was known at prediction time, on rows later than those the contenders were trained or chosen on.

    Like those of a training, the days end where outcomes are due.

    Raises
    ------
    TaskError
        If there is no such row that decides.
    """
    end = until or context.now
    due = end - dt.timedelta(days=context.use_case.label_due_days)
    asked, bound = due - dt.timedelta(days=evaluation_days), _seen_until(context)
    start = max(asked, bound) if bound else asked
    here = context.lakehouse.environment.name
    if start >= due:
        raise TaskError(
            f"the model was trained or chosen on rows until {start:%Y-%m-%d %H:%M}, and {here!r} is asked for rows whose "
            f"outcome is due by {end:%Y-%m-%d %H:%M}, those before {due:%Y-%m-%d %H:%M}: deliver again once there are later "
            "ones (until)."
        )
    chosen = sample_of(context, requests(context, start, end), sample, seed)
    written = append_rows(context, {EVALUATION: labelled_by(context, chosen, at=end)}, since=start, until=end)
    if not written.rows:
        remedy = "or widen evaluation_days" if start == asked else "and deliver again later"
        raise TaskError(
            f"{here!r} has no labelled row from {start:%Y-%m-%d %H:%M} to {due:%Y-%m-%d %H:%M}, after what the model was "
            f"trained and chosen on and before outcomes are not due yet: run the features job, wait until labels have "
            f"arrived, {remedy}."
        )
    context.say(f"evaluation set {context.run_id}: {written.rows:,} rows from {start:%Y-%m-%d}")
    return TaskResult(rows=written.rows, values={"training_set_id": context.run_id})


def origin_of(context: Context, source: str) -> Environment:
    """Return the environment whose model is copied.

    Raises
    ------
    TaskError
        If this environment trains its own model, or the source is not the one it receives from.
    """
    here, use_case = context.lakehouse.environment, context.use_case
    if here.name in use_case.trained_in:
        raise TaskError(
            f"{use_case.name} is trained in {here.name!r} itself (its declaration says so in trained_in): run "
            f"{use_case.job('training').address} there."
        )
    if source not in ("", here.receives_from):
        raise TaskError(f"{here.name!r} receives models from {here.receives_from!r}, not from {source!r}.")
    return environment(str(here.receives_from))


def _asked_for(context: Context, origin: Environment, number: int) -> ModelVersion:
    """Return the version to deliver; the gate of its environment must have decided about it."""
    model, theirs = context.use_case.model, context.lakehouse.models.of(origin)
    try:
        found = theirs.version(model, number) if number else theirs.by_alias(model, CHAMPION)
    except NoModelVersionError as error:
        raise TaskError(f"{error} Nothing was copied.") from error
    if found.tags.get(EVALUATED_IN) != origin.name:
        raise TaskError(
            f"version {found.number} of {theirs.name(model)} has no evaluation of {origin.name!r}: only what its gate has "
            "judged there is delivered. Let that job run to its end, or name another version. Nothing was copied."
        )
    return found


def _copy_of(context: Context, original: ModelVersion) -> ModelVersion | None:
    """Return the copy of an earlier delivery, finished or not: the version that was made by the same run."""
    versions = context.lakehouse.models.versions(context.use_case.model)
    return next((version for version in versions if version.run_id == original.run_id), None)


def _tag(context: Context, copied: ModelVersion, original: ModelVersion, name: str) -> None:
    """Tag a copy with its origin, and keep the decisions about the original apart from those made here."""
    models = context.lakehouse.models
    there = {f"source_{tag}": original.tags[tag] for tag in SAID_THERE if tag in original.tags}
    here = context.lakehouse.environment.name
    own = {**there, COPIED_FROM: name, TRAINED_IN: original.trained_in or "", "environment": here}
    models.set_tags(copied, own)
    if copied.tags.get(EVALUATED_IN) != here:
        models.describe(copied, description(copied.model, {**_without_verdict(copied.tags), **own}))
    if copied.tags.get(EVALUATED_IN) != context.lakehouse.environment.name:
        models.delete_tags(copied, [tag for tag in SAID_THERE if tag in copied.tags])


def _without_verdict(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a copy without the decisions about the original."""
    return {name: value for name, value in tags.items() if name not in SAID_THERE}


def _settled(context: Context, copied: ModelVersion, *, by_number: bool) -> str | None:
    """Return why a copy does not need an evaluation; None if it does."""
    if _is_champion(context, copied):
        return "it is the champion already"
    judged_here = copied.tags.get(EVALUATED_IN) == context.lakehouse.environment.name
    if judged_here and ROLLED_BACK in copied.tags and not by_number:
        return f"it was rolled back here ({copied.tags[ROLLED_BACK]}): name it by its number to have it judged again"
    return None


def _is_champion(context: Context, version: ModelVersion) -> bool:
    champion = context.lakehouse.models.find_alias(context.use_case.model, CHAMPION)
    return champion is not None and champion.number == version.number


def _seen_until(context: Context) -> dt.datetime | None:
    """Return the first instant after what candidate and champion were trained on and the candidate was chosen by."""
    models, model = context.lakehouse.models, context.use_case.model
    champion = models.find_alias(model, CHAMPION)
    candidates = models.candidates_of(model, context.run_id)
    stated = [version.tags.get("trained_until") for version in (*candidates, *([champion] if champion else []))]
    stated += [version.tags.get(f"source_{EVALUATED_UNTIL}") for version in candidates]
    seen = [pd.Timestamp(text).to_pydatetime() + dt.timedelta(microseconds=1) for text in stated if text]
    return max(seen, default=None)
