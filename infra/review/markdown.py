"""The comment on a pull request: counts first, then the changes of each environment, cut at the maximum length."""

from collections.abc import Iterator, Mapping, Sequence

from infra.review.comparing import Meaning, ResourceChange
from infra.review.effective_rights import RightsChange, WayChange, together
from infra.review.privileges import Privilege
from infra.review.record import ReviewRecord, ReviewSeverity
from infra.terraform_cli.changes import Action

MARKER = "<!-- lakehouse-mlops: what this change means -->"
"""The invisible first line of the comment, by which it is found again and updated."""
LIMIT = 150_000
"""Maximum number of characters of a comment in Azure DevOps."""
TITLES: Mapping[Action, str] = {
    Action.DESTROY: "destroyed",
    Action.REPLACE: "replaced: destroyed and created again",
    Action.FORGET: "forgotten: it stays, and Terraform no longer looks after it",
    Action.CREATE: "added",
    Action.UPDATE: "changed",
}
"""Actions, the most dangerous first."""


def comment(record: ReviewRecord, *, limit: int = LIMIT) -> str:
    """Return the comment.

    Parameters
    ----------
    limit
        Maximum number of characters.
    """
    lines = [MARKER, "## What this change means in each environment", ""]
    if any(record.meanings.values()):
        lines += [*_counts(record.meanings), ""]
    else:
        lines += ["No resource and no privilege changes in any environment.", ""]
    if record.severity is not ReviewSeverity.NONE:
        why = "; ".join(reason for _, reason in record.reasons) or "nothing is loosened, nobody gains a right"
        lines += [f"**Severity: {record.severity}.** {why[0].upper()}{why[1:]}.", ""]
    lines += [line for note in record.notes for line in (note, "")]
    lines += _first(record)
    for environment, meaning in record.meanings.items():
        if meaning:
            lines += [*_section(environment, meaning), ""]
    return _cut(lines, limit)


def _first(record: ReviewRecord) -> Iterator[str]:
    """Yield what a reviewer reads first: data at risk, then paths, what became looser, rights, waivers and cost."""
    data = [_resource(change) + f" is {TITLES[change.action]}" for change in record.data_at_risk]
    looser = [f"- {stack}: {_code(place)}: {_code(value.text)}" for stack, place, value in record.loosened]
    than_staging = [f"- {_code(one.sentence)}" for one in record.looser]
    waivers = [f"- {change.sentence}" for change in record.waivers]
    for title, lines in (
        ("Data at risk", data),
        ("Paths between environments", list(_ways(record.ways))),
        ("Loosened", looser),
        ("Looser in prod than in staging", than_staging),
        ("Rights in effect", list(_rights(record.rights))),
        ("Waivers", waivers),
        ("Cost of a month", list(_cost(record))),
    ):
        if lines:
            yield from (f"### {title}", "", *lines, "")


def _ways(ways: Sequence[WayChange]) -> Iterator[str]:
    for way in ways:
        note = "" if way.declared or not way.opened else ", **which no setting opens**"
        yield f"- {'opened' if way.opened else 'closed'}, from {way.reader} into {way.owner}{note}: {way.path}"


def _rights(changes: Sequence[RightsChange]) -> Iterator[str]:
    """Yield a line for each principal and kind of right: steps that give the same words on other objects are counted."""
    alike: dict[tuple[object, ...], list[tuple[tuple[str, ...], RightsChange]]] = {}
    for principals, change in together(changes):
        words = frozenset(right.partition(" on ")[0] for right in change.rights)
        alike.setdefault((principals, change.environment, change.gained, words), []).append((principals, change))
    for those in alike.values():
        principals, change = those[0]
        verb = f"{'gain' if change.gained else 'lose'}{'' if len(principals) > 1 else 's'}"
        more = sum(len(one.rights) for _, one in those) - 1
        who = ", ".join(_code(name) for name in principals)
        further = f" (and {len(those) - 1} steps alike)" if len(those) > 1 else ""
        rest = f" and {more} more" if more else ""
        yield f"- {change.environment}: {who} {verb} {_code(change.rights[0])}{rest}: {change.path}{further}"


def _cost(record: ReviewRecord) -> Iterator[str]:
    if not record.changed_costs:
        return
    yield "| environment | before | after |"
    yield "|---|---|---|"
    for one in record.cost:
        yield f"| {one.environment} | {' | '.join(one.texts)} |"
    differing = [f"- {one.environment}: {quantity.sentence}" for one in record.cost for quantity in one.quantities]
    if differing:
        yield from ("", *differing)


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
