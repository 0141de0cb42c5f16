"""Checks what a run was given against what its job declares, all mistakes at once, before anything runs."""

import datetime as dt
from collections.abc import Mapping

from pipelines.declarations.job import Job, Kind, Parameter
from pipelines.declarations.mistakes import DeclarationError, unknown

Value = str | int | float | dt.datetime | None


def resolve(job: Job, given: Mapping[str, str], *, now: dt.datetime | None = None) -> dict[str, str]:
    """Return the text of every parameter of a job: as given, or its default.

    Parameters
    ----------
    now
        The instant at which a window ends if ``until`` is not given; None leaves such a window to the task.

    Raises
    ------
    DeclarationError
        Naming every unknown parameter, every value that is not what its parameter takes, and a window that is empty.
    """
    declared = [parameter.name for parameter in job.parameters]
    mistakes = [unknown(f"parameter of {job.address}", name, declared) for name in given if name not in declared]
    texts = {parameter.name: given.get(parameter.name, parameter.default) for parameter in job.parameters}
    for parameter in job.parameters:
        try:
            convert(parameter, texts[parameter.name])
        except DeclarationError as mistake:
            mistakes.append(str(mistake))
    mistakes += [] if mistakes else _window_mistakes(texts, now)
    if mistakes:
        raise DeclarationError("\n".join(mistakes))
    return texts


def empty_window(since: dt.datetime, until: dt.datetime) -> str:
    """Return the sentence for a window that ends before it begins."""
    return (
        f"the window from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} is empty: give a since before its until, "
        "which is now if none is given."
    )


def convert(parameter: Parameter, text: str) -> Value:
    """Return what the text of a parameter stands for.

    Raises
    ------
    DeclarationError
        If the text is not of the parameter's kind or none of its choices.
    """
    if parameter.choices and text not in parameter.choices:
        raise DeclarationError(unknown(f"value of parameter {parameter.name!r}", text, parameter.choices))
    if parameter.kind is Kind.TEXT:
        return text
    try:
        return _CONVERSIONS[parameter.kind](text)
    except ValueError as error:
        raise DeclarationError(
            f"parameter {parameter.name!r}: {text!r} is not {_ALLOWED[parameter.kind]} ({parameter.description})."
        ) from error


def instant(text: str) -> dt.datetime | None:
    """Return the instant that an ISO date or date-time names, in UTC unless it says otherwise; None for no text.

    Raises
    ------
    ValueError
        If the text is no ISO date.
    """
    if not text:
        return None
    found = dt.datetime.fromisoformat(text)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _window_mistakes(texts: Mapping[str, str], now: dt.datetime | None) -> list[str]:
    since, until = instant(texts.get("since", "")), instant(texts.get("until", "")) or now
    return [empty_window(since, until)] if since and until and since >= until else []


def _whole(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError(text)
    return number


def _fraction(text: str) -> float:
    if not 0.0 < (number := float(text)) <= 1.0:
        raise ValueError(text)
    return number


_CONVERSIONS = {Kind.INSTANT: instant, Kind.WHOLE: _whole, Kind.FRACTION: _fraction}
_ALLOWED = {
    Kind.INSTANT: "an ISO date such as 2013-04-01 or 2013-04-01T06:00",
    Kind.WHOLE: "a whole number of 0 or more",
    Kind.FRACTION: "a number above 0 and at most 1",
}
