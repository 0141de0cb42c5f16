"""Train a model version again from what is recorded of it, and say whether the metrics are identical.

Table versions, parameters and seed come from the record; the running code must be that of the recorded commit. A version
that was delivered from another environment is trained again there. Nothing is registered, written or moved.

Examples
--------
  python -m pipelines reproduce flight_delay 3 --env prod
  python -m pipelines reproduce flight_delay 3 --env prod --anyway
"""

import datetime as dt
import sys
from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.options import ROOT, EngineName, EnvironmentName, Root, UseCaseName, VersionNumber, opened
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.lakehouse.engines.choice import LOCAL


def run(
    use_case: UseCaseName,
    version: VersionNumber,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also if the running code is not the recorded commit.")
    ] = False,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Print recorded and reproduced metrics side by side; exit code 1 if any differs or it cannot be done."""
    console = Console()
    declared = use_case_named(use_case)
    environment(env)
    with opened(env, engine, root, must_exist=True) as lakehouse:
        from pipelines.execution.context import Context
        from pipelines.reproduction import reproduce, require_same_code, require_trained_here

        context = Context(
            lakehouse=lakehouse, use_case=declared, run_id="", now=dt.datetime.now(dt.UTC), say=console.line
        )
        recorded = lakehouse.models.version(declared.model, version)
        require_trained_here(recorded)
        if not anyway:
            place = ["--engine", engine] if engine else []
            place += ["--root", str((root or ROOT).absolute())] if engine is None or engine in LOCAL else []
            again = [sys.executable, "-m", "pipelines", "reproduce", use_case, str(version), "--env", env, *place]
            require_same_code(recorded, again=again)
        done = reproduce(context, recorded)
    rows = [(m.metric, m.recorded, m.reproduced, "yes" if m.identical else "no") for m in done.metrics]
    title = f"version {done.version} of {declared.name} in {env}, trained again"
    console.table(title, ("metric", "recorded", "reproduced", "identical"), rows)
    console.line(done.sentence)
    return 0 if done.identical else 1
