"""Tasks of the delivery job: an environment receives a model that another one trained, and judges it on its own rows.

What follows, evaluate and promote, is the training job's. Until the gate has decided, the copy is a candidate and no
alias moves.
"""

import datetime as dt

import pandas as pd

from pipelines.context import Context, TaskError, TaskResult
from pipelines.declarations.environment import Environment, environment
from pipelines.tasks.aliases import CHAMPION
from pipelines.tasks.training import append_rows, labelled_requests, sample_of
from pipelines.workspace.model_version import ModelVersion, NoModelVersionError
from pipelines.workspace.models import CANDIDATE

COPIED_FROM = "copied_from"
"""The tag of a copy: which version of which environment's model it is."""
SAID_THERE = ("evaluation_id", "evaluation_digest", "evaluated", "verdict", "verdict_reasons")
"""Tags about the original's evaluation; the copy keeps them under `source_…` and gets its own."""


def copy(context: Context, *, source: str, version: int) -> TaskResult:
    """Copy a version with its signature, lineage and evaluation and make it a candidate; doing it again changes nothing.

    Raises
    ------
    TaskError
        If this environment trains the model itself, receives from none, or the version cannot be had.
    """
    use_case, models = context.use_case, context.workspace.models
    origin = origin_of(context, source)
    theirs = models.of(origin)
    try:
        found = theirs.version(use_case.model, version) if version else theirs.by_alias(use_case.model, CHAMPION)
    except NoModelVersionError as error:
        raise TaskError(f"{error} Nothing was copied.") from error
    if "evaluation_id" not in found.tags:
        raise TaskError(
            f"version {found.number} of {theirs.name(use_case.model)} has no evaluation: only what was evaluated where "
            f"it was trained is delivered. Run the training job in {origin.name!r} to its end, or name another version."
        )
    name = f"{origin.name} version {found.number}"
    copied = _copy_of(context, name) or models.copy(found, theirs)
    champion = models.find_alias(use_case.model, CHAMPION)
    already = champion is not None and champion.number == copied.number
    if already:
        context.say(f"{name} is version {copied.number} here and the champion already")
    else:
        carried = {f"source_{tag}": found.tags[tag] for tag in SAID_THERE if tag in found.tags}
        models.set_tags(copied, {COPIED_FROM: name, **carried, CANDIDATE: "true"})
        context.say(f"{name} is version {copied.number} here; there it had {found.tags.get('evaluated', 'no metric')}")
    return TaskResult(rows=1, values={"version": str(copied.number), "champion": str(already).lower()})


def assemble(
    context: Context, *, until: dt.datetime | None, evaluation_days: int, sample: float, seed: int
) -> TaskResult:
    """Join labels with what was known at prediction time, from after all that candidates and champion were trained on.

    Raises
    ------
    TaskError
        If there is no such row with a label.
    """
    end = until or context.now
    start = max([end - dt.timedelta(days=evaluation_days), *_trained_until(context)])
    rows = sample_of(context, labelled_requests(context, start, end), sample, seed)
    written = append_rows(context, rows, evaluation_from=start, since=start, until=end)
    if written.rows == 0:
        raise TaskError(
            f"{context.workspace.environment.name!r} has no labelled row between {start:%Y-%m-%d %H:%M} and "
            f"{end:%Y-%m-%d %H:%M}, after what the model was trained on: run the features job, wait until labels have "
            "arrived, or widen evaluation_days."
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
    here, use_case = context.workspace.environment, context.use_case
    if here.name in use_case.trained_in:
        raise TaskError(
            f"{use_case.name} is trained in {here.name!r} itself (its declaration says so in trained_in): run "
            f"{use_case.job('training').address} there."
        )
    if source not in ("", here.receives_from):
        raise TaskError(f"{here.name!r} receives models from {here.receives_from!r}, not from {source!r}.")
    return environment(str(here.receives_from))


def _copy_of(context: Context, name: str) -> ModelVersion | None:
    """Return the copy of an earlier delivery; one that was not finished has no such tag and is left alone."""
    versions = context.workspace.models.versions(context.use_case.model)
    return next((version for version in versions if version.tags.get(COPIED_FROM) == name), None)


def _trained_until(context: Context) -> list[dt.datetime]:
    """Return the first instant after what each contender was trained on."""
    models, model = context.workspace.models, context.use_case.model
    champion = models.find_alias(model, CHAMPION)
    contenders = [*models.candidates(model), *([champion] if champion else [])]
    stated = [version.tags["trained_until"] for version in contenders if "trained_until" in version.tags]
    return [(pd.Timestamp(text) + pd.Timedelta(microseconds=1)).to_pydatetime() for text in stated]
