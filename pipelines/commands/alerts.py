"""List every alert that can fire: its own words, how urgent it is, whose it is, the first command and the run-book.

Examples
--------
  python -m pipelines alerts
  python -m pipelines alerts "has stopped"
"""

from typing import Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.on_call.alerts import ALERTS, as_markdown


def run(
    words: Annotated[
        str | None, typer.Argument(metavar="[WORDS]", help="What the alert says, or its name. Default: all alerts.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables of the page for people on call.")
    ] = False,
) -> int:
    """Print the alerts."""
    console = Console()
    if markdown:
        console.line(as_markdown())
        return 0
    asked = (words or "").lower()
    found = [alert for alert in ALERTS if not asked or any(_in(asked, text) for text in (alert.name, alert.words))]
    if not found:
        raise RequestError(f"no alert says {words!r}: `alerts` without words lists all.")
    console.table(
        "alerts",
        ("severity", "alert", "it is", "whose", "first command", "run-book"),
        [(alert.severity, alert.name, alert.area, alert.owner, alert.command, f"docs/{alert.page}") for alert in found],
    )
    return 0


def _in(asked: str, text: str) -> bool:
    return asked in text.lower() or text.lower() in asked
