"""The description of a registered version: what it is, from which rows, by which run, and what the gate said."""

from collections.abc import Mapping

from pipelines.lakehouse.registry.model_version import ModelVersion

LONGEST = 4_000
"""So many characters a description may have, in every registry."""


def description(version: ModelVersion, *, changed: Mapping[str, str] | None = None) -> str:
    """Return the description of a version, from its tags.

    Parameters
    ----------
    changed
        Tags that were set since the version was read.
    """
    tags = {**version.tags, **(changed or {})}
    parts = [
        f"{tags.get('estimator', 'A model')} of {version.model.use_case}: {version.model.comment}. Trained in "
        f"{tags.get('trained_in', tags.get('environment', 'an unknown environment'))} on requests from "
        f"{_day(tags, 'trained_from')} to {_day(tags, 'trained_until')} by run {tags.get('training_set_id', 'unknown')}, "
        f"cause: {tags.get('cause', 'unknown')}."
    ]
    if "copied_from" in tags:
        parts.append(
            f"A copy of {tags['copied_from']}, which there had {tags.get('source_evaluated', 'no evaluation')}."
        )
    if "verdict" in tags:
        parts.append(
            f"Evaluated in {tags.get('evaluated_in', 'an unknown environment')}: {tags.get('evaluated', '')}. "
            f"Verdict: {tags['verdict']} ({tags.get('verdict_reasons', '').rstrip('.')})."
        )
    else:
        parts.append("No gate has decided about it here.")
    return " ".join(parts)[:LONGEST]


def _day(tags: Mapping[str, str], name: str) -> str:
    return tags.get(name, "unknown")[:10]
