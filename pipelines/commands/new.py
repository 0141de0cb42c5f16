"""Make a new use case: a folder that runs at once, to be changed into your own.

The steps after it are those of docs/add-a-use-case.md.

Examples
--------
  python -m pipelines new late_departures --team revenue
  python -m pipelines new gate_to_gate --problem regression
"""

import difflib
from pathlib import Path
from typing import Annotated

import typer

import pipelines
from ml.spec.errors import RequestError
from ml.spec.estimator import Problem
from pipelines.command_line.console import Console
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases

REPOSITORY = Path(pipelines.__file__).parent.parent
NEXT = """next, as docs/add-a-use-case.md explains:
  .venv/bin/python -m pipelines run {name}.features --env dev --param until=2013-03-01
  .venv/bin/python -m pipelines run {name}.training --env dev --param until=2013-03-01 --param evaluation_days=21
  .venv/bin/python -m pipelines run {name}.features --env dev --param until=2013-03-21
  .venv/bin/python -m pipelines run {name}.scoring --env dev --param since=2013-03-01 --param until=2013-03-21
  .venv/bin/python -m pipelines run {name}.monitoring --env dev --param until=2013-03-21 --skip retrain
  .venv/bin/python -m pipelines report --env dev --use-case {name}"""
"""The guide's own commands; a test compares them."""


def run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the folder, the schemas, the jobs and the model, for example late_departures."
        ),
    ],
    team: Annotated[
        str | None,
        typer.Option(
            "--team", metavar="TEAM", help="Owner, a team of infra/settings/teams.yaml; the name is entered there."
        ),
    ] = None,
    problem: Annotated[
        str, typer.Option("--problem", metavar="PROBLEM", help=f"What is predicted: {' or '.join(Problem)}.")
    ] = Problem.BINARY.value,
) -> int:
    """Make the folder and print the next steps."""
    console = Console()
    kinds = [kind.value for kind in Problem]
    if problem not in kinds:
        raise RequestError(unknown("problem", problem, kinds))
    from pipelines.scaffold.new_use_case import create
    from pipelines.scaffold.teams_file import TEAMS_FILE

    taken = [declared.name for declared in use_cases()]
    created = create(name, repository=REPOSITORY, taken=taken, team=team, problem=Problem(problem))
    shown = created.folder.relative_to(REPOSITORY)
    console.line(f"made {shown}: {', '.join(sorted(file.name for file in created.folder.iterdir()))}")
    for other in difflib.get_close_matches(name, taken, n=1, cutoff=0.8):
        console.line(f"{other!r} has nearly the same name: people may take one for the other.")
    if created.listed:
        console.line(f"entered it under team {created.team} in {TEAMS_FILE}")
    else:
        console.line(f"still to do: in {TEAMS_FILE} write its name under its team: use_cases: [..., {name}]")
    if team is None:
        console.line(f"still to do: name that team in {shown / 'declaration.py'}, where team={created.team!r} stands")
    console.line(NEXT.format(name=name))
    return 0
