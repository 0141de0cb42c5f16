"""Write the report: what happened in an environment month by month, and why each decision was taken.

Examples
--------
  python -m pipelines report --env prod --root demo --use-case flight_delay
  python -m pipelines report --env staging --root demo --use-case air_time --out staging.html
"""

import argparse
from pathlib import Path

from pipelines.commands.console import Console
from pipelines.commands.options import add_lakehouse_options
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.registry import use_case, use_cases

HELP = "write what happened, and why, as one HTML file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which environment, which use case and where to write."""
    add_lakehouse_options(parser)
    parser.add_argument(
        "--use-case", metavar="NAME",
        help=f"{', '.join(u.name for u in use_cases())} (default: the only one that has run there)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: report.html in the root)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Write the report of an environment, the others beside it where they can be read."""
    environment(arguments.env)
    declared = use_case(arguments.use_case) if arguments.use_case else None
    from pipelines.report.writing import only_use_case, write_report

    declared = declared or only_use_case(arguments.root, arguments.env, engine=arguments.engine)

    # On Databricks a workspace sees its own catalog only; the folder of a laptop holds all environments.
    beside = (arguments.env,) if arguments.engine == "databricks" else tuple(ENVIRONMENTS)
    with console.working(f"reading {', '.join(beside)}"):
        file = write_report(
            arguments.root,
            declared,
            environments=beside,
            main=arguments.env,
            engine=arguments.engine,
            out=arguments.out,
        )
    console.line(f"wrote {file}; open it in a browser.")
    return 0
