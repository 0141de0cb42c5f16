"""The page at the end of a rehearsal: who did what, with which rights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.devops.desired_state import Rights


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line of the rehearsal: what was done, by whom, for how long, and what was found."""

    step: str
    identity: str
    seconds: float
    found: str


def page(told: Sequence[Told], rights: Rights, providers: str, total: str) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    told
        The steps in their order.
    rights
        The rights of each identity for its stacks.
    providers
        What stood for Terraform's providers.
    total
        How long all of it took.
    """
    return "\n".join([
        "# Rehearsal", "", providers, "", f"{total}.", "", "| | who | step | seconds | found |", "|---:|---|---|---:|---|",
        *(f"| {number} | {one.identity} | {_cell(one.step)} | {one.seconds:.0f} | {_cell(one.found)} |"
          for number, one in enumerate(told, 1)),
        "", "## With which rights", "", *_rights(rights), "",
    ])  # fmt: skip


def _rights(rights: Rights) -> Iterator[str]:
    for identity, needed in rights.items():
        yield f"**{identity}**"
        yield ""
        for right in dict.fromkeys((one.authority.value, one.right, one.scope) for one in needed):
            yield f"- {right[0]}: {right[1]}{f' on {right[2]}' if right[2] else ''}"
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
