"""The description of a registered version: what it is, from which rows, by which run, and what the gate said."""

from collections.abc import Mapping

from pipelines.declarations.asset import Model

LONGEST = 4_000
"""So many characters a description may have, in every registry."""


def description(model: Model, tags: Mapping[str, str]) -> str:
    """Return the description of a version with these tags."""
    trained_in = tags.get("trained_in", tags.get("environment", "an unknown environment"))
    parts = [
        f"{tags.get('estimator', 'A model')} of {model.use_case}: {model.comment}.",
        f"Trained in {trained_in} on requests from {_day(tags, 'trained_from')} to {_day(tags, 'trained_until')} by run",
        f"{tags.get('training_set_id', 'unknown')}, cause: {tags.get('cause', 'unknown')}.",
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
