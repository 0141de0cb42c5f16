"""What starts a pipeline: branches, tags and paths of a push, a schedule, the branch policy for a pull request.

After the documentation of the YAML schema: a pattern without a wildcard is the name itself or a folder, ``*`` stands for
anything; what is excluded is excluded although it is included; without ``include`` everything is.
"""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

BRANCH, TAG = "refs/heads/", "refs/tags/"


class TriggerError(ValueError):
    """A trigger says something that is not known here."""


def started_by_push(pipeline: Mapping[str, Any], ref: str, paths: Collection[str] = ()) -> bool:
    """Return whether a push starts the pipeline.

    Parameters
    ----------
    pipeline
        Expanded.
    ref
        ``refs/heads/...`` or ``refs/tags/...``.
    paths
        What the pushed commits change; paths do not filter tags.
    """
    trigger = _known(pipeline, "trigger", {"batch", "branches", "tags", "paths"})
    if trigger is None:
        return False
    if ref.startswith(TAG):
        return "tags" in trigger and _passes(trigger["tags"], [ref.removeprefix(TAG)])
    if not ref.startswith(BRANCH):
        raise TriggerError(f"{ref} is neither a branch nor a tag.")
    branches = trigger.get("branches", {"include": []} if "tags" in trigger else {})
    return _passes(branches, [ref.removeprefix(BRANCH)]) and _passes(trigger.get("paths", {}), paths or [""])


def started_by_yaml_for_pull_requests(pipeline: Mapping[str, Any]) -> bool:
    """Return whether the file has a trigger for pull requests, which GitHub follows and Azure Repos ignores."""
    if "pr" not in pipeline:
        return True  # not stated means all
    return pipeline["pr"] != "none"


def schedules(pipeline: Mapping[str, Any], branch: str) -> list[Mapping[str, Any]]:
    """Return the schedules that run the pipeline for a branch."""
    stated = pipeline.get("schedules", [])
    for schedule in stated:
        if set(schedule) - {"cron", "displayName", "branches", "always"}:
            raise TriggerError(f"a schedule says more than is known here: {schedule}")
    return [schedule for schedule in stated if _passes(schedule["branches"], [branch])]


def _known(pipeline: Mapping[str, Any], key: str, words: Collection[str]) -> Mapping[str, Any] | None:
    if key not in pipeline:
        raise TriggerError(f"the pipeline does not say its {key}, which means every branch.")
    stated = pipeline[key]
    if stated == "none":
        return None
    if not isinstance(stated, Mapping) or set(stated) - set(words):
        raise TriggerError(f"the {key} says more than is known here: {stated}")
    return stated


def _passes(filters: Mapping[str, Any], names: Collection[str]) -> bool:
    """Return whether any name is included and not excluded."""
    if set(filters) - {"include", "exclude"}:
        raise TriggerError(f"a filter has include and exclude, not {', '.join(filters)}.")
    include, exclude = filters.get("include", ["*"]), filters.get("exclude", [])
    return any(_matches(name, include) and not _matches(name, exclude) for name in names)


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(
        fnmatchcase(name, p) if "*" in p or "?" in p else name == p or name.startswith(f"{p}/") for p in patterns
    )
