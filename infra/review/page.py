"""The record of a review as one page that needs no other file."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra.review.comparing import Meaning
from infra.review.effective_rights import together
from infra.review.markdown import TITLES
from infra.review.record import ReviewRecord
from infra.terraform_cli.changes import Action

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 200
"""How many rights of one step a page names; the JSON names all."""


def page(record: ReviewRecord) -> str:
    """Return the page as HTML, with its style inside."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("review.html").render(
        record=record, titles=TITLES, together=together, counts=counts, shown=SHOWN
    )


def counts(meaning: Meaning) -> tuple[int, ...]:
    """Return how many resources are added, changed, replaced and destroyed, and grants gained and lost."""
    actions = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DESTROY)
    resources = (sum(change.action is action for change in meaning.resources) for action in actions)
    return (*resources, len(meaning.gained), len(meaning.lost))
