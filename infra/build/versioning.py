"""What a new version of the product changes, and whether it may be made: pure functions of the texts that state versions."""

import datetime as dt
import re
import tomllib
from dataclasses import dataclass

UNRELEASED = "Unreleased"
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
"""MAJOR.MINOR.PATCH without leading zeros and without further parts (https://semver.org)."""
_STATED = re.compile(r'(?m)^version = "[^"]*"$')
_HEADINGS = re.compile(r"(?m)^## .*$")


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A version that may be made, or why it may not.

    Attributes
    ----------
    project, changes
        The new texts of pyproject.toml and CHANGELOG.md; as they were where there are mistakes.
    mistakes
        Why the version may not be made, all of them; empty if it may.
    """

    number: str
    project: str
    changes: str
    mistakes: tuple[str, ...]

    @property
    def tag(self) -> str:
        """The name of its tag."""
        return f"v{self.number}"


def new_version(number: str, *, project: str, changes: str, tags: tuple[str, ...], today: dt.date) -> NewVersion:
    """Return what making a version changes: its number in pyproject.toml, its section in CHANGELOG.md.

    The section *Unreleased* becomes that of the version, with the day; an empty one takes its place.

    Parameters
    ----------
    number
        MAJOR.MINOR.PATCH, above the version that the project states.
    project, changes
        The texts of pyproject.toml and CHANGELOG.md.
    tags
        The tags of the repository.
    """
    mistakes = _mistakes(number, stated_version(project), unreleased(changes), tags)
    if mistakes:
        return NewVersion(number=number, project=project, changes=changes, mistakes=mistakes)
    return NewVersion(
        number=number,
        project=_STATED.sub(f'version = "{number}"', project, count=1),
        changes=changes.replace(f"## {UNRELEASED}\n", f"## {UNRELEASED}\n\n## {number} ({today})\n", 1),
        mistakes=(),
    )


def stated_version(project: str) -> str:
    """Return the version that the text of a pyproject.toml states."""
    return str(tomllib.loads(project)["project"]["version"])


def unreleased(changes: str) -> str:
    """Return what the text of a CHANGELOG.md says under *Unreleased*; empty if nothing."""
    _, _, after = changes.partition(f"## {UNRELEASED}\n")
    heading = _HEADINGS.search(after)
    return after[: heading.start() if heading else None].strip()


def tag_mistakes(tag: str, *, project: str, changes: str) -> tuple[str, ...]:
    """Return why a commit with these texts may not have this tag; empty if it may."""
    number = tag.removeprefix("v")
    stated, dated = stated_version(project), re.findall(r"(?m)^## (\S+) \(\d{4}-\d{2}-\d{2}\)$", changes)
    found = []
    if stated != number:
        found.append(f"the tag {tag} is on a commit whose pyproject.toml states {stated}")
    if number not in dated:
        found.append(f"the tag {tag} is on a commit whose CHANGELOG.md has no section {number} with its day")
    if unreleased(changes):
        found.append(f"the tag {tag} is on a commit whose CHANGELOG.md has changes under {UNRELEASED}")
    return tuple(found)


def _mistakes(number: str, before: str, notes: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    if not VERSION.fullmatch(number):
        return (f"the version is {number!r}: state three numbers, MAJOR.MINOR.PATCH, such as 1.4.0",)
    found = []
    if _parts(number) <= _parts(before):
        found.append(f"the version is {number}, and pyproject.toml states {before}: state a higher one")
    if f"v{number}" in tags:
        found.append(f"the tag v{number} exists: a version is released once, state a higher one")
    if not notes:
        found.append(
            f"CHANGELOG.md says nothing under {UNRELEASED}: state there what somebody who uses the product notices"
        )
    return tuple(found)


def _parts(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split("."))
