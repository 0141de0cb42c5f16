"""``python -m pipelines``: the one entry point, on a laptop and on a cluster.

Exit codes: 0 done, 1 a task failed or a check did not hold, 2 what was asked for cannot be right, 3 a deployed
environment could not be asked, 4 a deployed environment is not what was released (`smoke` alone), 130 interrupted.
"""

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from pipelines.commands.console import Console
from pipelines.declarations.mistakes import DeclarationError, unknown

COMMANDS = (
    "new",
    "list",
    "run",
    "task",
    "status",
    "assets",
    "report",
    "promote",
    "rollback",
    "reproduce",
    "integration",
    "smoke",
    *(("demo",) if importlib.util.find_spec("pipelines.demo") else ()),
)
"""Every command; the module `pipelines.commands.<command>` has its arguments and its work.

The demonstration is no part of the product: a company may delete its folder, and the command goes with it.
"""

EXAMPLES = """examples:
  python -m pipelines new late_departures --team revenue
  python -m pipelines list
  python -m pipelines run flight_delay.features --env dev --param until=2013-02-01
  python -m pipelines run flight_delay.training --env dev --skip train_logistic_regression
  python -m pipelines run flight_delay.training --env staging --remote --cancel-on-interrupt
  python -m pipelines status --env prod --root demo
  python -m pipelines integration --env staging
  python -m pipelines promote air_time --from staging --to prod
  python -m pipelines rollback flight_delay --env prod --reason "its scores are stuck since the new feed"
  python -m pipelines reproduce flight_delay 3 --env prod
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    # OpenMP's threads wait by spinning, which on a busy machine takes the time from those that work. Set before any
    # library loads it; whoever sets it otherwise is heard.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    console = Console()
    try:
        arguments = _parser(given).parse_args(given)
        return int(arguments.command_module.run(arguments, console))
    except _UsageError as mistake:
        console.error(str(mistake))
        return 2
    except KeyboardInterrupt:
        console.error("interrupted; what was written before stays, and running it again goes on from there.")
        return 130
    except Exception as error:  # noqa: BLE001 - the one place where what nobody expected becomes a sentence
        if "--debug" in given:
            console.traceback()
        console.error(str(error) if isinstance(error, DeclarationError) else f"{type(error).__name__}: {error}")
        return 2 if isinstance(error, DeclarationError) else 1


class _UsageError(Exception):
    """The words of the call are off."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}. See: {self.prog} --help")


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pipelines", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    word = next((word for word in given if not word.startswith("-")), None)
    if word is not None and word not in COMMANDS:
        raise _UsageError(unknown("command", word, COMMANDS))
    for name in COMMANDS:
        # Only the command that was asked for is imported: the others may be slow to load.
        module = _module(name) if word in (None, name) else None
        sub = commands.add_parser(
            name, help=module.HELP if module else None, description=module.__doc__ if module else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if module:
            module.add_arguments(sub)
            sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
            sub.set_defaults(command_module=module)
    return parser


def _module(name: str) -> ModuleType:
    return importlib.import_module("pipelines.demo.command" if name == "demo" else f"pipelines.commands.{name}")


if __name__ == "__main__":
    sys.exit(main())
