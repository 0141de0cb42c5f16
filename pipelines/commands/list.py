"""List every declared job with its tasks and parameters."""

from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.job_tables import as_markdown, print_jobs


def run(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print one table for a page, as in the README.")] = False,
) -> int:
    """Print the jobs table."""
    if not markdown:
        return print_jobs()
    Console().line(as_markdown())
    return 0
