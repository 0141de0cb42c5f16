"""The list of teams in the settings, as text: its teams, and the one edit that a new use case needs.

It is edited as text, so comments and order stay; `infra.config` reads and checks the values.
"""

import re
from pathlib import Path

TEAMS_FILE = Path("infra/settings/teams.yaml")
"""The path of the list in a clone of the repository."""

_TEAM = re.compile(r"""^(?P<indent>\s*)-\s+name:\s*["']?(?P<name>[A-Za-z0-9_-]+)["']?\s*(#.*)?$""")
_USE_CASES = re.compile(r"^(?P<before>\s*use_cases:\s*\[)(?P<listed>[^\[\]#]*)(?P<after>\]\s*(#.*)?)$")


def teams(text: str) -> tuple[str, ...]:
    """Return the names of the teams, in their order."""
    return tuple(found["name"] for line in text.splitlines() if (found := _TEAM.match(line)))


def with_use_case(text: str, team: str, use_case: str) -> str | None:
    """Return the text with a use case added to a team's list.

    Returns
    -------
    str or None
        None if the team is not listed exactly once with its use cases on one line, as in
        ``use_cases: [a, b]``: then a person has to edit it.
    """
    lines = text.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if _TEAM.match(line.rstrip("\n"))]
    own = [number for number in places if teams(lines[number]) == (team,)]
    if len(own) != 1:
        return None
    end = next((number for number in places if number > own[0]), len(lines))
    found = [
        (number, match) for number in range(own[0], end) if (match := _USE_CASES.match(lines[number].rstrip("\n")))
    ]
    if len(found) != 1:
        return None
    number, match = found[0]
    listed = [name.strip() for name in match["listed"].split(",") if name.strip()]
    if use_case in listed:  # its folder was removed to be made again
        return text
    ending = "\n" if lines[number].endswith("\n") else ""
    lines[number] = f"{match['before']}{', '.join([*listed, use_case])}{match['after']}{ending}"
    return "".join(lines)
