"""The comment on a pull request: counts first, then the changes of each environment, cut at the maximum length."""

from collections.abc import Iterator, Mapping, Sequence

from infra.review.comparing import Meaning, ResourceChange
from infra.review.directions import Direction
from infra.review.privileges import Privilege
from infra.review.values import ValueChange
from infra.terraform_cli.changes import Action

MARKER = "<!-- lakehouse-mlops: what this change means -->"
"""The invisible first line of the comment, by which it is found again and updated."""
LIMIT = 150_000
"""Maximum number of characters of a comment in Azure DevOps."""
TITLES: Mapping[Action, str] = {
    Action.DESTROY: "destroyed",
    Action.REPLACE: "replaced: destroyed and created again",
    Action.CREATE: "added",
    Action.UPDATE: "changed",
}
"""Actions, the most dangerous first."""


def comment(meanings: Mapping[str, Meaning], notes: Sequence[str] = (), *, limit: int = LIMIT) -> str:
    """Return the comment.

    Parameters
    ----------
    meanings
        By environment, in order.
    notes
        Sentences below the counts: what was compared, what else changes.
    limit
        Maximum number of characters.
    """
    lines = [MARKER, "## What this change means in each environment", ""]
    if any(meanings.values()):
        lines += [*_counts(meanings), ""]
    else:
        lines += ["No resource and no privilege changes in any environment.", ""]
    lines += [line for note in notes for line in (note, "")]
    lines += _first(meanings)
    for environment, meaning in meanings.items():
        if meaning:
            lines += [*_section(environment, meaning), ""]
    return _cut(lines, limit)


def data_at_risk(meanings: Mapping[str, Meaning]) -> tuple[ResourceChange, ...]:
    """Return every change that loses data, in the order of environments."""
    return tuple(change for meaning in meanings.values() for change in meaning.resources if change.loses_data)


def loosened(meanings: Mapping[str, Meaning]) -> tuple[tuple[str, str, ValueChange], ...]:
    """Return every value that became looser, with its stack and its resource or block."""
    return tuple(
        (stack, place, value)
        for meaning in meanings.values()
        for stack, place, values in (
            *((change.stack, change.address, change.values) for change in meaning.resources),
            *((change.stack, change.block, (change.value,)) for change in meaning.blocks),
        )
        for value in values
        if value.direction is Direction.LOOSENED
    )


def _first(meanings: Mapping[str, Meaning]) -> Iterator[str]:
    """Yield what a reviewer reads first: data at risk, then what became looser."""
    lost = data_at_risk(meanings)
    if lost:
        yield from ("### Data at risk", "")
        yield from (_resource(change) + f" is {TITLES[change.action]}" for change in lost)
        yield ""
    looser = loosened(meanings)
    if looser:
        yield from ("### Loosened", "")
        yield from (f"- {stack}: {_code(place)}: {_code(value.text)}" for stack, place, value in looser)
        yield ""


def _counts(meanings: Mapping[str, Meaning]) -> Iterator[str]:
    yield "| environment | added | changed | replaced | destroyed | privileges gained | privileges lost |"
    yield "|---|---|---|---|---|---|---|"
    for environment, meaning in meanings.items():
        counts = [
            sum(change.action is action for change in meaning.resources)
            for action in (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DESTROY)
        ]
        cells = [str(count or "") for count in (*counts, len(meaning.gained), len(meaning.lost))]
        yield f"| {environment} | {' | '.join(cells)} |"


def _section(environment: str, meaning: Meaning) -> Iterator[str]:
    yield f"### {environment}"
    for title, privileges in (("gained", meaning.gained), ("lost", meaning.lost)):
        if privileges:
            yield ""
            yield f"**Privileges {title}**"
            yield ""
            yield from _privileges(privileges)
    for action, title in TITLES.items():
        changes = [change for change in meaning.resources if change.action is action]
        if changes:
            yield ""
            yield f"**{title.capitalize()}**"
            yield ""
            for change in changes:
                yield _resource(change)
                yield from (f"    - {_code(value.text)}" for value in change.values)
    if meaning.blocks:
        yield from ("", "**Outside of resources**", "")
        yield from (f"- {change.stack}: {_code(change.value.text)}" for change in meaning.blocks)


def _privileges(privileges: Sequence[Privilege]) -> Iterator[str]:
    """Yield a line per principal and object, with every right between the two."""
    rights: dict[tuple[str, str], list[str]] = {}
    for privilege in privileges:
        rights.setdefault((privilege.principal, privilege.on), []).append(privilege.right)
    for (principal, on), words in rights.items():
        yield f"- {_code(principal)}: {', '.join(words)} on {_code(on)}"


def _resource(change: ResourceChange) -> str:
    line = f"- {change.stack}: {_code(change.address)}"
    if change.attributes and not (change.values and change.action is Action.UPDATE):
        line += f": {', '.join(_code(name) for name in change.attributes)}"
    if change.formerly:
        line += f", formerly {_code(change.formerly)}"
    if change.basis:
        why = f", because {_code(change.because)} is" if change.because else ""
        line += f" ({change.basis}{why})"
    return line


def _code(text: str) -> str:
    return f"`{text.replace('`', ' ')}`"


def _cut(lines: Sequence[str], limit: int) -> str:
    """Return the lines as text; the lines beyond the limit are counted."""
    whole = "\n".join(lines).rstrip() + "\n"
    if len(whole) <= limit:
        return whole
    kept: list[str] = []
    room = limit - len(_rest(len(lines)))
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(kept) + _rest(len([line for line in lines[len(kept) :] if line]))


def _rest(count: int) -> str:
    return f"\n\n{count} more lines: `python -m infra review` prints them all.\n"
