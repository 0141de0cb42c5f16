"""Answer requests in real time with the champion of a use case, on this machine: MLflow's scoring protocol over HTTP.

A request gives its key, its instant and what it knows itself; features are looked up in an online store (a real Postgres in a
private folder), which is kept up to date with the feature tables. The endpoint follows the alias champion without a restart. What
was asked and answered is in the table `answers`. It listens on loopback, and every request needs the token in the file that is named.
It ends with Ctrl-C or SIGTERM, after it has answered what it had accepted.

Examples
--------
  python -m pipelines serve flight_delay --env dev
  python -m pipelines serve flight_delay --env prod --port 5002 --until 2013-02-26
"""

import datetime as dt
from typing import Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Root, UseCaseName, opened
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import use_case as use_case_named


def run(
    use_case: UseCaseName,
    env: EnvironmentName = "dev",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")] = 5001,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="The present of the features, for data of the past.")
    ] = None,
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Serve until told to stop; exit code 2 if there is nothing to serve."""
    console = Console()
    declared = use_case_named(use_case)
    environment(env)
    present = _instant(until) if until else None
    with opened(env, engine, root, must_exist=True) as lakehouse:
        from pipelines.serving.endpoint import EndpointOptions, serve

        serve(lakehouse, declared, EndpointOptions(host=host, port=port, until=present), console.line)
    return 0


def _instant(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(f"--until {text!r} is no instant: write for example 2013-02-26T12:00:00Z.") from error
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found
