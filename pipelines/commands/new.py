"""Make a new use case: a folder that runs at once, to be changed into your own.

The steps after it are those of docs/add-a-use-case.md. With --from, keys, times, label and types are proposed from your
own CSV or Parquet file, and what the file does not say is listed (docs/own-data.md).

Examples
--------
  python -m pipelines new late_departures --team revenue
  python -m pipelines new gate_to_gate --problem regression
  python -m pipelines new returns --team revenue --from orders.csv --time-zone Europe/Berlin
"""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pipelines
from ml.spec.errors import RequestError
from ml.spec.estimator import Problem
from ml.spec.target import MULTI_CLASS
from pipelines.command_line.console import Console
from pipelines.declarations.delivery import require_clock
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases
from pipelines.scaffold.given import Given

if TYPE_CHECKING:
    from pipelines.scaffold.proposal import Proposal

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
        str | None,
        typer.Option(
            "--problem",
            metavar="PROBLEM",
            help=(
                f"What is predicted: {', '.join(Problem)}, of a file also {MULTI_CLASS}; by default {Problem.BINARY}, or what "
                "the file has."
            ),
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Your own CSV or Parquet file, of which the use case is proposed."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="COLUMNS", help="Columns of the file that name a row, with commas.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="Column with the instant of prediction.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="Column with what is to be predicted.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="ZONE", help="Zone of instants that do not say theirs.")
    ] = None,
) -> int:
    """Make the folder and print the next steps."""
    console = Console()
    kinds = [*map(str, Problem), MULTI_CLASS]
    if problem is not None and problem not in kinds:
        raise RequestError(unknown("problem", problem, kinds))
    from pipelines.scaffold.from_file import next_commands
    from pipelines.scaffold.new_use_case import create
    from pipelines.scaffold.teams_file import TEAMS_FILE

    about_file = Given(
        key=tuple(part.strip() for part in (key or "").split(",") if part.strip()), time=time or "", label=label or "",
        time_zone=time_zone or "", problem=problem,
    )  # fmt: skip
    proposal = _proposal(file, about_file)
    taken = [declared.name for declared in use_cases()]
    wanted = Problem.BINARY if problem in (None, MULTI_CLASS) else Problem(problem)
    created = create(name, repository=REPOSITORY, taken=taken, team=team, problem=wanted, proposal=proposal)
    shown = created.folder.relative_to(REPOSITORY)
    console.line(f"made {shown}: {', '.join(sorted(file.name for file in created.folder.iterdir()))}")
    for other in difflib.get_close_matches(name, taken, n=1, cutoff=0.8):
        console.line(f"{other!r} has nearly the same name: people may take one for the other.")
    if proposal is not None:
        _show(proposal, console)
    if created.listed:
        console.line(f"entered it under team {created.team} in {TEAMS_FILE}")
    else:
        console.line(f"still to do: in {TEAMS_FILE} write its name under its team: use_cases: [..., {name}]")
    if team is None:
        console.line(f"still to do: name that team in {shown / 'declaration.py'}, where team={created.team!r} stands")
    console.line(NEXT.format(name=name) if proposal is None else next_commands(proposal, name))
    return 0


def _proposal(file: Path | None, given: Given) -> "Proposal | None":
    """Return what is proposed from a file; None if there is none.

    Raises
    ------
    RequestError
        If something is said about a file and none is named.
    DeclarationError
        If no use case can be made of the file.
    """
    if file is None:
        if given.problem == MULTI_CLASS:
            raise RequestError(f"--problem {MULTI_CLASS} is about a file: name it with --from.")
        if given.about_a_file:
            raise RequestError("--key, --time, --label and --time-zone are about a file: name it with --from.")
        return None
    from pipelines.scaffold.own_file import read_own_file
    from pipelines.scaffold.proposal import propose

    require_clock("--time-zone", given.time_zone, "")
    return propose(read_own_file(file.expanduser().resolve()), given)


def _show(proposal: "Proposal", console: Console) -> None:
    """Write what was chosen, and what the file does not say."""
    for sentence in proposal.proposed:
        console.line(f"proposed: {sentence}")
    for sentence in proposal.decide:
        console.line(f"to decide: {sentence}")
