"""Checks that declarations share; a mistake is one sentence, with the name that was probably meant."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.near_miss import unknown

__all__ = [
    "DeclarationError",
    "gathered",
    "refuse",
    "refuse_all",
    "require_identifier",
    "require_types",
    "require_unique",
    "unknown",
]

LONGEST = 63
IDENTIFIER = re.compile(r"[a-z](_?[a-z0-9])*")


def require_identifier(kind: str, name: str) -> None:
    """Raise unless `name` is a lower-case identifier that Unity Catalog, Terraform and Python all take.

    Longer names are derived from it. A schema, ``<name>_<layer>``, stays far below the 255 characters of Unity Catalog; where a
    resource may have no more than these 63, `infra.config.naming` cuts. It replaces several ``_`` or ``-`` by one and drops
    the last, so ``a__b`` and ``a_`` would get the Terraform addresses of ``a_b`` and ``a``.

    Raises
    ------
    DeclarationError
        If the name has other characters than ``a-z``, ``0-9`` and single ``_`` between them, or more than 63 of them.
    """
    if len(name) > LONGEST or not IDENTIFIER.fullmatch(name):
        raise DeclarationError(
            f"{kind} {name!r} is not a name: use 1 to {LONGEST} of a-z, 0-9 and single '_' between them, beginning with a "
            "letter."
        )


def refuse(mistakes: Iterable[str]) -> None:
    """Raise if there are mistakes, each a sentence.

    Raises
    ------
    DeclarationError
        With all of them.
    """
    if said := " ".join(mistakes):
        raise DeclarationError(said)


def refuse_all(checks: Iterable[Callable[[], object]]) -> None:
    """Raise if any of the checks does.

    Raises
    ------
    DeclarationError
        With what each of them says, the same sentence once.
    """
    said: dict[str, None] = {}
    for check in checks:
        try:
            check()
        except DeclarationError as mistake:
            said[str(mistake)] = None
    refuse(said)


def require_unique(kind: str, where: str, names: Iterable[str]) -> None:
    """Raise if a name is given twice.

    Raises
    ------
    DeclarationError
        With every name that is given more than once.
    """
    seen: set[str] = set()
    twice = {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value] # set.add
    if twice:
        raise DeclarationError(f"{where} declares {kind} {', '.join(sorted(twice))} more than once: keep one.")


def require_types(where: str, declared: Any) -> None:
    """Raise unless every field has a value of its type: ``("a")`` without a comma is a text, ``"7"`` is no number.

    Raises
    ------
    DeclarationError
        With every such field, what it was given, and what it takes.
    """
    if mistakes := type_mistakes(declared):
        raise DeclarationError(f"{where}: {'; '.join(mistakes)}.")
