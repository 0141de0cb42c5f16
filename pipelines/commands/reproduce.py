"""Train a model version again from what is recorded of it, and say whether the metrics are identical.

Table versions, parameters and seed come from the record; the running code must be that of the recorded commit. A version
that was delivered from another environment is trained again there. Nothing is registered, written or moved.

Examples
--------
  python -m pipelines reproduce flight_delay 3 --env prod
  python -m pipelines reproduce flight_delay 3 --env prod --anyway
"""

import argparse
import datetime as dt

from pipelines.commands.console import Console
from pipelines.commands.options import add_lakehouse_options, opened
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import use_case

HELP = "train a version again and compare the metrics"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which version, and whether other code may be used."""
    parser.add_argument("use_case", metavar="USE_CASE", help="see: python -m pipelines list")
    parser.add_argument(
        "version", metavar="VERSION", type=int, help="number of the version, see: python -m pipelines status"
    )
    parser.add_argument("--anyway", action="store_true", help="also if the running code is not the recorded commit")
    add_lakehouse_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print recorded and reproduced metrics side by side; exit code 1 if any differs or it cannot be done."""
    declared = use_case(arguments.use_case)
    environment(arguments.env)
    with opened(arguments, lived_in=True) as lakehouse:
        from pipelines.execution.context import Context
        from pipelines.lakehouse.registry.model_version import NoModelVersionError
        from pipelines.lakehouse.tables.tables import NoTableVersionError
        from pipelines.tasks.reproduction import ReproductionError, reproduce, require_same_code, require_trained_here

        context = Context(
            lakehouse=lakehouse, use_case=declared, run_id="", now=dt.datetime.now(dt.UTC), say=console.line
        )
        try:
            version = lakehouse.models.version(declared.model, arguments.version)
            require_trained_here(version)
            if not arguments.anyway:
                require_same_code(version)
            done = reproduce(context, version)
        except (NoModelVersionError, NoTableVersionError, ReproductionError) as refused:
            console.error(str(refused))
            return 1
    rows = [(m.metric, m.recorded, m.reproduced, "yes" if m.identical else "no") for m in done.metrics]
    title = f"version {done.version} of {declared.name} in {arguments.env}, trained again"
    console.table(title, ("metric", "recorded", "reproduced", "identical"), rows)
    console.line(done.sentence)
    return 0 if done.identical else 1
