"""Options that several commands share: which environment, on which engine, where, with which parameters."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.lakehouse.engines.choice import ENGINES, LOCAL

if TYPE_CHECKING:
    from pipelines.lakehouse.lakehouse import Lakehouse


def add_lakehouse_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--env``, ``--engine`` and ``--root``."""
    parser.add_argument("--env", default="dev", metavar="ENV", help=f"{', '.join(ENVIRONMENTS)} (default: dev)")
    add_place_options(parser)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine`` and ``--root``, for commands that name their environments themselves."""
    parser.add_argument(
        "--engine", default="embedded", metavar="ENGINE", help=f"{', '.join(ENGINES)} (default: embedded)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("lakehouse"), metavar="FOLDER",
        help="folder of the local lakehouse (default: lakehouse); the databricks engine has no use for it",
    )  # fmt: skip


def add_parameter_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--param``, which may be given several times."""
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", dest="parameters", help="a parameter of the job"
    )


def parameters_of(texts: Sequence[str]) -> dict[str, str]:
    """Return what ``--param`` options give, by name.

    Raises
    ------
    DeclarationError
        If one of them is not ``name=value``.
    """
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise DeclarationError(f"--param {wrong[0]!r} is not NAME=VALUE: write for example --param until=2013-04-01.")
    return dict(text.split("=", 1) for text in texts)


@contextmanager
def opened(arguments: argparse.Namespace, *, lived_in: bool = False) -> Iterator["Lakehouse"]:
    """Open the lakehouse that the options name; the engine is only loaded once the names are known to be right.

    Parameters
    ----------
    lived_in
        Whether something must have run there: a mistyped folder is refused instead of made.

    Raises
    ------
    DeclarationError
        If nothing has run where something must have.
    """
    folder = arguments.root / environment(arguments.env).catalog
    if lived_in and arguments.engine in LOCAL and not folder.is_dir():
        raise DeclarationError(
            f"nothing has run in {arguments.env!r} under {arguments.root}: run a job there first, or name another "
            "environment or folder."
        )
    from pipelines.lakehouse.lakehouse import open_lakehouse

    with open_lakehouse(arguments.env, engine=arguments.engine, root=arguments.root) as lakehouse:
        yield lakehouse
