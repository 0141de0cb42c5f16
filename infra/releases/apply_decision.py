"""The decision whether a saved plan may be applied: a pure function of the plan's manifest and of what is present here."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra.releases.saved_plan import Manifest
from ml.spec.errors import RequestError

CLOCKS_DIFFER = dt.timedelta(minutes=5)
"""How far in the future a plan may have been made: the clocks of two machines differ."""


@dataclass(frozen=True, kw_only=True)
class ApplyRequest:
    """What is requested, and what is present where the plan would be applied.

    Attributes
    ----------
    sha256
        The hash that was reviewed.
    now
        UTC.
    commit
        The commit that is checked out.
    wheel
        The sha256 of the wheel of that commit in ``dist/``; None if it was not built.
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
    """Whether the plan may be applied, and every reason against it."""

    allowed: bool
    reasons: tuple[str, ...]


def decide_apply(manifest: Manifest, request: ApplyRequest) -> ApplyDecision:
    """Decide whether a saved plan may be applied.

    Parameters
    ----------
    manifest
        The manifest of the plan.
    request
        What is requested and present.

    Returns
    -------
    ApplyDecision
        Refused if there is any reason against it.
    """
    reasons = (
        *_identity(manifest, request),
        *_age(manifest, request),
        *_wheel(manifest, request),
        *_completeness(manifest, request),
    )
    return ApplyDecision(allowed=not reasons, reasons=reasons)


def duration(text: str) -> dt.timedelta:
    """Return a length of time such as ``24h``, ``90m`` or ``14d``.

    Raises
    ------
    RequestError
        If the text is not a length of time.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    if match is None:
        raise RequestError(f"{text!r} is not a length of time: write minutes, hours or days, such as 90m, 24h or 14d.")
    return dt.timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[match[2]]: int(match[1])})


def _identity(manifest: Manifest, request: ApplyRequest) -> list[str]:
    reasons = []
    if manifest.sha256 != request.sha256.strip().lower():
        reasons.append(f"its hash is {manifest.sha256}, the reviewed hash is {request.sha256}.")
    if manifest.environment != request.environment:
        reasons.append(f"it is a plan of {manifest.environment}, not of {request.environment}.")
    if manifest.commit != request.commit:
        reasons.append(f"it was made of commit {manifest.commit[:12]}, but {request.commit[:12]} is checked out.")
    return reasons


def _age(manifest: Manifest, request: ApplyRequest) -> list[str]:
    try:
        made = dt.datetime.fromisoformat(manifest.created_at)
        age = request.now - made
    except (ValueError, TypeError):
        return [f"its creation time {manifest.created_at!r} cannot be read."]
    if age > request.maximum_age:
        return [
            f"it was made {_length(age)} ago, at {manifest.created_at}; the maximum age is {_length(request.maximum_age)}."
        ]
    if -age > CLOCKS_DIFFER:
        return [f"it was made in the future, at {manifest.created_at}: the clocks differ."]
    return []


def _wheel(manifest: Manifest, request: ApplyRequest) -> list[str]:
    if manifest.wheel is None or manifest.wheel.sha256 == request.wheel:
        return []
    found = f"dist/ holds a wheel of sha256 {request.wheel}" if request.wheel else "dist/ holds no wheel of this commit"
    return [f"it uploads {manifest.wheel.name} of sha256 {manifest.wheel.sha256}; {found}."]


def _completeness(manifest: Manifest, request: ApplyRequest) -> list[str]:
    expected = manifest.files_of_stacks | set(manifest.files)
    reasons = [] if manifest.stacks else ["it has no stack: there is nothing to apply."]
    missing = sorted(expected - set(request.files))
    changed = sorted(n for n, digest in manifest.files.items() if request.files.get(n, digest) != digest)
    foreign = sorted(set(request.files) - set(manifest.files))
    for what, names in (("missing", missing), ("changed", changed), ("not part of this plan", foreign)):
        if names:
            reasons.append(f"in its folder, {what}: {', '.join(names)}.")
    return reasons


def _length(length: dt.timedelta) -> str:
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
