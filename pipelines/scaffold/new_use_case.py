"""Makes the folder of a new use case from templates: all of it, or nothing.

The templates run on the packaged flights as they are, or on the file of which they were proposed; their comments say what
to replace and what to decide.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ml.spec.estimator import Problem
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.use_case_checks import use_case_name_mistakes
from pipelines.scaffold.from_file import quoted, template_values
from pipelines.scaffold.proposal import Proposal
from pipelines.scaffold.teams_file import TEAMS_FILE, teams, with_use_case

TEMPLATES = ("__init__.py", "declaration.py", "tables.py", "sources.py", "features.py", "inputs.py")
NO_TEAM = "my_team"
"""The team in the declaration until a real one is named."""
WORDS: Mapping[Problem, Mapping[str, str]] = {
    Problem.BINARY: {
        "question": "Will a flight from New York depart more than 15 minutes late?",
        "description": "the probability that a flight departs more than 15 minutes late",
        "label": "late departures",
        "minutes": "by which it departed late",
        "linear": "LogisticRegression",
        "kind": "Classifier",
    },
    Problem.REGRESSION: {
        "question": "How many minutes will a flight from New York take from gate to gate?",
        "description": "the minutes that a flight takes from gate to gate",
        "label": "minutes from gate to gate",
        "minutes": "from gate to gate",
        "linear": "Ridge",
        "kind": "Regressor",
    },
}
"""What the example predicts, for each kind of problem."""


@dataclass(frozen=True, kw_only=True)
class Created:
    """What was made.

    Attributes
    ----------
    folder
        The use case's folder.
    listed
        Whether the use case was added to the team's list; if not, a person has to add it.
    """

    folder: Path
    team: str
    listed: bool


def create(
    name: str,
    *,
    repository: Path,
    taken: Sequence[str],
    team: str | None = None,
    problem: Problem = Problem.BINARY,
    proposal: Proposal | None = None,
) -> Created:
    """Make the folder of a use case, and add it to its team in the settings.

    Parameters
    ----------
    name
        Of the folder, the schemas, the jobs and the model.
    repository
        The clone of the repository to write to.
    taken
        The names of the use cases that exist.
    team
        The owner, as named in the settings; None to name it later.
    proposal
        What is made of one's own file; None for the example on packaged flights.

    Raises
    ------
    DeclarationError
        With every mistake in the arguments; nothing is written then.
    """
    target = repository / "pipelines" / "use_cases" / name
    listing = repository / TEAMS_FILE
    text = listing.read_text(encoding="utf-8") if listing.is_file() else ""
    found = [*_name_mistakes(name, taken, target), *_team_mistakes(team, text)]
    if not (repository / "pyproject.toml").is_file():
        found.append(f"{repository} is no clone of the repository, so what is written there is never deployed.")
    if found:
        raise DeclarationError(f"no use case was made: {' '.join(found)}")
    edited = with_use_case(text, team, name) if team else None
    values = _example(problem) if proposal is None else template_values(proposal)
    folder = "" if proposal is None else "own_file/"
    _write(target, _rendered(folder, {**values, "name": name, "team": team or NO_TEAM}))
    if edited is not None:
        _replace(listing, edited)
    return Created(folder=target, team=team or NO_TEAM, listed=edited is not None)


def _name_mistakes(name: str, taken: Sequence[str], target: Path) -> list[str]:
    found = use_case_name_mistakes(name)
    if not found and (name in taken or target.exists()):
        found.append(
            f"the use case {name!r} exists already: take another name, or remove its folder pipelines/use_cases/{name} to make "
            "it again."
        )
    return found


def _team_mistakes(team: str | None, text: str) -> list[str]:
    if team is None or team in teams(text):
        return []
    known = unknown(f"team of {TEAMS_FILE}", team, teams(text))
    return [
        f"{known} A new team is an entry there, made like the others (docs/platform.md); without --team it is named later."
    ]


def _example(problem: Problem) -> dict[str, Any]:
    return {**WORDS[problem], "problem": problem.name, "binary": problem is Problem.BINARY}


def _rendered(folder: str, values: Mapping[str, Any]) -> dict[str, str]:
    environment = Environment(
        loader=PackageLoader("pipelines.scaffold"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,  # noqa: S701 - Python is written, not HTML
    )  # fmt: skip
    environment.filters["quoted"] = quoted
    return {file: environment.get_template(f"{folder}{file}.jinja").render(values) for file in TEMPLATES}


def _write(target: Path, files: Mapping[str, str]) -> None:
    """Write all files to a temporary folder and rename it last: the folder exists completely, or not at all."""
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        for file, text in files.items():
            (aside / file).write_text(text, encoding="utf-8")
        aside.chmod(0o755)  # mkdtemp's folder is its owner's alone
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(file: Path, text: str) -> None:
    """Replace the text of a file in one step."""
    aside = file.with_name(f".{file.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(file)
