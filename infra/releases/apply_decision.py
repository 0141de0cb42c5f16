"""May a kept plan be applied? A pure decision on what the plan says and what is found here, with every reason against."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra.releases.saved_plan import Manifest

CLOCKS_DIFFER = dt.timedelta(minutes=5)
"""How far in the future a plan may have been made: two machines' clocks are never quite the same."""


@dataclass(frozen=True, kw_only=True)
class ApplyRequest:
    """What is asked for, and what is found where the plan would be applied.

    Attributes
    ----------
    sha256
        The hash that was reviewed.
    now
        UTC.
    commit
        What is checked out.
    wheel
        The sha256 of the wheel of that commit in ``dist/``; None if it is not there.
    files
        The sha256 of every file in the plan's folder.
    """

    environment: str
    sha256: str
    maximum_age: dt.timedelta
    now: dt.datetime
    commit: str
    wheel: str | None
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ApplyDecision:
    """Whether the plan may be applied, and everything that speaks against it."""

    allowed: bool
    reasons: tuple[str, ...]


def decide_apply(manifest: Manifest, asked: ApplyRequest) -> ApplyDecision:
    """Decide whether a kept plan may be applied.

    Parameters
    ----------
    manifest
        What the plan says of itself.
    asked
        What is asked for and found.

    Returns
    -------
    Permission
        Refused unless nothing at all speaks against it.
    """
    reasons = (
        *_identity(manifest, asked),
        *_age(manifest, asked),
        *_wheel(manifest, asked),
        *_completeness(manifest, asked),
    )
    return ApplyDecision(allowed=not reasons, reasons=reasons)


def duration(text: str) -> dt.timedelta:
    """Return a length of time such as ``24h``, ``90m`` or ``14d``.

    Raises
    ------
    ValueError
        If it is none.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    if match is None:
        raise ValueError(f"{text!r} is no length of time: write minutes, hours or days, such as 90m, 24h or 14d.")
    return dt.timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[match[2]]: int(match[1])})


def _identity(manifest: Manifest, asked: ApplyRequest) -> list[str]:
    reasons = []
    if manifest.sha256 != asked.sha256.strip().lower():
        reasons.append(f"its hash is {manifest.sha256}, the reviewed one is {asked.sha256}.")
    if manifest.environment != asked.environment:
        reasons.append(f"it is a plan of {manifest.environment}, not of {asked.environment}.")
    if manifest.commit != asked.commit:
        reasons.append(f"it was made of commit {manifest.commit[:12]}, checked out is {asked.commit[:12]}.")
    return reasons


def _age(manifest: Manifest, asked: ApplyRequest) -> list[str]:
    try:
        made = dt.datetime.fromisoformat(manifest.created_at)
        age = asked.now - made
    except (ValueError, TypeError):
        return [f"it states no time of its making that can be read, but {manifest.created_at!r}."]
    if age > asked.maximum_age:
        return [f"it was made {_told(age)} ago, at {manifest.created_at}; allowed are {_told(asked.maximum_age)}."]
    if -age > CLOCKS_DIFFER:
        return [f"it was made in the future, at {manifest.created_at}: the clocks differ."]
    return []


def _wheel(manifest: Manifest, asked: ApplyRequest) -> list[str]:
    if manifest.wheel is None or manifest.wheel.sha256 == asked.wheel:
        return []
    found = f"dist/ holds one of sha256 {asked.wheel}" if asked.wheel else "dist/ holds no wheel of this commit"
    return [f"it uploads {manifest.wheel.name} of sha256 {manifest.wheel.sha256}; {found}."]


def _completeness(manifest: Manifest, asked: ApplyRequest) -> list[str]:
    expected = manifest.files_of_stacks | set(manifest.files)
    reasons = [] if manifest.stacks else ["it holds no stack: there is nothing to apply."]
    missing = sorted(expected - set(asked.files))
    changed = sorted(n for n, digest in manifest.files.items() if asked.files.get(n, digest) != digest)
    foreign = sorted(set(asked.files) - set(manifest.files))
    for what, names in (("missing", missing), ("changed", changed), ("not of this plan", foreign)):
        if names:
            reasons.append(f"in its folder, {what}: {', '.join(names)}.")
    return reasons


def _told(length: dt.timedelta) -> str:
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
