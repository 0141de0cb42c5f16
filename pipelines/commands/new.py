"""Make a new use case: a folder that runs at once, to be changed into your own.

The steps after it are those of docs/add-a-use-case.md.

Examples
--------
  python -m pipelines new late_departures --team revenue
  python -m pipelines new gate_to_gate --problem regression
"""

import argparse
import difflib
from pathlib import Path

import pipelines
from ml.spec.estimator import Problem
from pipelines.commands.console import Console
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.registry import use_cases

HELP = "make the folder of a new use case from templates"
REPOSITORY = Path(pipelines.__file__).parent.parent
NEXT = """next, as docs/add-a-use-case.md explains:
  .venv/bin/python -m pipelines run {name}.features --env dev --param until=2013-03-01
  .venv/bin/python -m pipelines run {name}.training --env dev --param until=2013-03-01 --param evaluation_days=21
  .venv/bin/python -m pipelines run {name}.features --env dev --param until=2013-03-21
  .venv/bin/python -m pipelines run {name}.scoring --env dev --param since=2013-03-01 --param until=2013-03-21
  .venv/bin/python -m pipelines run {name}.monitoring --env dev --param until=2013-03-21 --skip retrain
  .venv/bin/python -m pipelines report --env dev --use-case {name}"""
"""The guide's own commands; a test compares them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which name, whose it is and what kind of quantity is predicted."""
    parser.add_argument(
        "name", metavar="NAME", help="of the folder, the schemas, the jobs and the model, for example late_departures"
    )
    parser.add_argument(
        "--team", metavar="TEAM", help="who owns it, as named in infra/settings/teams.yaml; entered there"
    )
    parser.add_argument(
        "--problem", default=Problem.BINARY.value, metavar="PROBLEM",
        help=f"what is predicted: {' or '.join(Problem)} (default: {Problem.BINARY})",
    )  # fmt: skip


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Make the folder and say what to do next."""
    kinds = [problem.value for problem in Problem]
    if arguments.problem not in kinds:
        raise DeclarationError(unknown("problem", arguments.problem, kinds))
    from pipelines.scaffold.new_use_case import create
    from pipelines.scaffold.teams_file import TEAMS_FILE

    taken = [declared.name for declared in use_cases()]
    created = create(
        arguments.name, repository=REPOSITORY, taken=taken, team=arguments.team, problem=Problem(arguments.problem)
    )
    shown = created.folder.relative_to(REPOSITORY)
    console.line(f"made {shown}: {', '.join(sorted(file.name for file in created.folder.iterdir()))}")
    for other in difflib.get_close_matches(arguments.name, taken, n=1, cutoff=0.8):
        console.line(f"{other!r} has nearly the same name: people may take one for the other.")
    if created.listed:
        console.line(f"entered it under team {created.team} in {TEAMS_FILE}")
    else:
        console.line(f"still to do: in {TEAMS_FILE} write its name under its team: use_cases: [..., {arguments.name}]")
    if arguments.team is None:
        console.line(f"still to do: name that team in {shown / 'declaration.py'}, where team={created.team!r} stands")
    console.line(NEXT.format(name=arguments.name))
    return 0
