"""List every declared job with its tasks and parameters.

Examples
--------
  python -m pipelines list
  python -m pipelines list --markdown
"""

from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.job_tables import as_markdown, print_jobs


def run(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables, as in docs/jobs.md.")] = False,
) -> int:
    """Print the jobs table."""
    if not markdown:
        return print_jobs()
    Console().line(as_markdown())
    return 0
