"""Arguments that several commands share, each with its type and its help."""

from pathlib import Path
from typing import Annotated

import typer

from infra.config.loading import FOLDER
from infra.config.stack_names import ACCOUNT
from infra.releases.apply_decision import duration
from ml.spec.errors import RequestError
from pipelines.declarations.environment import ENVIRONMENTS

PLACES = (ACCOUNT, *ENVIRONMENTS)
OUT = Path("cdktf.out")
STATES = Path("build/offline")

Place = Annotated[
    str,
    typer.Argument(
        metavar="ENVIRONMENT", help="dev, staging, prod, or account for what all of them share.",
        autocompletion=lambda: list(PLACES),
    ),
]  # fmt: skip
SettingsFolder = Annotated[
    Path,
    typer.Option(
        "--settings",
        metavar="FOLDER",
        help="Folder of the settings files. Default: infra/settings.",
        show_default=False,
    ),
]
SynthesizedFolder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder that `synth` wrote.")]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="No network, no credentials: an offline environment with states of its own."),
]
States = Annotated[
    Path | None,
    typer.Option("--states", metavar="FOLDER", help=f"States of the offline environment. Default: {STATES}."),
]
Details = Annotated[bool, typer.Option("--details", help="Print the plans as Terraform does, not only their summary.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the commands and run none; the default.")]
Expect = Annotated[
    str | None,
    typer.Option("--expect", metavar="SHA256", help="Refuse a wheel of any other hash, and leave none behind."),
]
WaiversFile = Annotated[
    Path,
    typer.Option(
        "--waivers", metavar="FILE", help="File of accepted findings. Default: infra/waivers.yaml.", show_default=False
    ),
]


def length_of_time(text: str) -> str:
    """Return a text that is a length of time, unchanged.

    Raises
    ------
    RequestError
        If it is none, with examples.
    """
    duration(text)
    return text


def refuse_both(*, dry_run: bool, apply: bool) -> None:
    """Refuse ``--dry-run`` together with ``--apply``.

    Raises
    ------
    RequestError
        If both are given.
    """
    if dry_run and apply:
        raise RequestError("--dry-run changes nothing and --apply does: give one of them.")


def offline_states(*, offline: bool, states: Path | None) -> Path | None:
    """Return the folder of the offline environment; None for the real one.

    Raises
    ------
    RequestError
        If a folder of states is given for the real environment.
    """
    if states is not None and not offline:
        raise RequestError("--states belongs to an offline environment: give --offline as well, or leave it out.")
    return (states or STATES) if offline else None


__all__ = [
    "FOLDER",
    "OUT",
    "PLACES",
    "Details",
    "DryRun",
    "Expect",
    "Offline",
    "Place",
    "SettingsFolder",
    "States",
    "SynthesizedFolder",
    "WaiversFile",
    "length_of_time",
    "offline_states",
    "refuse_both",
]  # fmt: skip
