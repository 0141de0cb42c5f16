"""Waivers: findings that an owner accepts for a stated reason until a date.

An expired waiver excuses nothing and is a finding itself, as is one that ends later than the longest life of a waiver; a
waiver that excuses nothing is reported. What keeps environments apart cannot be waived at all.
"""

import datetime as dt
import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from infra.checks.finding import PolicyFinding
from ml.spec.errors import DeclarationError

WAIVERS = Path(__file__).parents[1] / "waivers.yaml"
EXPIRED, TOO_LONG = "waiver-expired", "waiver-too-long"
LONGEST_DAYS = 366
"""A waiver is looked at once a year at least, by its owner, who then removes or renews it."""
NEVER = frozenset(
    {"environments-are-isolated", "stacks-are-whole", "rights-within-ceilings", "identities-as-declared",
     "networks-as-declared", "no-secret-literal", "state-is-closed", "one-identity-per-stack"}
)  # fmt: skip
"""Checks that no waiver excuses: a deviation from them is a decision about the settings or the ceilings."""


class WaiverError(DeclarationError):
    """The file of waivers cannot be read; the message names every mistake by entry and field."""


class Waiver(BaseModel):
    """One accepted deviation.

    Attributes
    ----------
    check
        Identifier of our check or of Checkov's.
    resource
        ``<stack>/<type>.<name>``; ``*`` stands for any characters.
    expires
        The last day of the waiver.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("check")
    @classmethod
    def _can_be_waived(cls, check: str) -> str:
        if check in NEVER:
            raise ValueError("cannot be waived: change the settings, or the ceilings with whoever owns them")
        return check

    @field_validator("resource")
    @classmethod
    def _names_something(cls, resource: str) -> str:
        if not re.search(r"[a-z]", resource):
            raise ValueError("must name a stack or a type: a waiver for everything is no waiver")
        return resource

    check: str = Field(min_length=1)
    resource: str = Field(min_length=3)
    reason: Annotated[str, Field(min_length=20)]
    owner: str = Field(min_length=1)
    expires: dt.date

    def covers(self, finding: PolicyFinding) -> bool:
        """Return whether this waiver accepts a finding."""
        return self.check == finding.check and fnmatch.fnmatchcase(finding.resource, self.resource)


@dataclass(frozen=True, kw_only=True)
class Review:
    """Findings, divided by the waivers.

    Attributes
    ----------
    open
        Findings that no waiver excuses, including one for each waiver that has expired or ends too late.
    waived
        Accepted findings with the waiver that accepts them.
    unused
        Waivers that excuse nothing any more and can be removed.
    """

    open: tuple[PolicyFinding, ...]
    waived: tuple[tuple[PolicyFinding, Waiver], ...]
    unused: tuple[Waiver, ...]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A waiver and its remaining days: 0 on its last day, below 0 after it."""

    waiver: Waiver
    days_left: int


def standing(waivers: Iterable[Waiver], today: dt.date) -> tuple[Standing, ...]:
    """Return the remaining days of each waiver, the one that ends first in front."""
    found = [Standing(waiver=waiver, days_left=(waiver.expires - today).days) for waiver in waivers]
    return tuple(sorted(found, key=lambda s: (s.days_left, s.waiver.check, s.waiver.resource)))


def review(findings: Iterable[PolicyFinding], waivers: Sequence[Waiver], today: dt.date) -> Review:
    """Return the findings divided by the waivers that hold today."""
    latest = today + dt.timedelta(days=LONGEST_DAYS)
    holding = [waiver for waiver in waivers if today <= waiver.expires <= latest]
    opened: list[PolicyFinding] = []
    waived: list[tuple[PolicyFinding, Waiver]] = []
    for finding in findings:
        waiver = next((waiver for waiver in holding if waiver.covers(finding)), None)
        if waiver is None:
            opened.append(finding)
        else:
            waived.append((finding, waiver))
    used = {id(waiver) for _, waiver in waived}
    expired = [
        PolicyFinding(
            check=EXPIRED,
            resource=waiver.resource,
            message=f"the waiver of {waiver.check} by {waiver.owner} ended on {waiver.expires}; fix the cause or renew it.",
        )
        for waiver in waivers
        if waiver.expires < today
    ]
    too_long = [
        PolicyFinding(
            check=TOO_LONG,
            resource=waiver.resource,
            message=f"the waiver of {waiver.check} by {waiver.owner} ends on {waiver.expires}; {latest} is the latest day.",
        )
        for waiver in waivers
        if waiver.expires > latest
    ]
    unused = tuple(waiver for waiver in holding if id(waiver) not in used)
    return Review(open=(*opened, *expired, *too_long), waived=tuple(waived), unused=unused)


def read_waivers(path: Path = WAIVERS) -> tuple[Waiver, ...]:
    """Read the file of waivers.

    Raises
    ------
    WaiverError
        If the file is wrong, with every mistake at once.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise WaiverError(f"{path.name} cannot be read: {error}") from error
    entries = loaded.get("waivers") if isinstance(loaded, dict) and set(loaded) <= {"waivers"} else None
    if not isinstance(entries, list):
        raise WaiverError(f"{path.name} must hold one list under the key 'waivers'; it may be empty.")
    read, mistakes = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            read.append(Waiver.model_validate(entry))
        except ValidationError as error:
            mistakes.extend(_sentences(path, number, error))
    if mistakes:
        raise WaiverError("\n".join(mistakes))
    return tuple(read)


def _sentences(path: Path, number: int, error: ValidationError) -> list[str]:
    return [
        f"{path.name}, waiver {number}, {'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']}, got {e['input']!r}."
        for e in error.errors()
    ]
