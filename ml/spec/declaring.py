"""What all declared values share: fields of the declared types, and mistakes that are gathered instead of raised one by one.

A declaration is checked when it is constructed. While a whole use case is read, `gathering` lets every part note its
mistake and go on, so that a reader sees all of them at once.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from enum import Enum
from typing import Any

from ml.spec.errors import DeclarationError

WORDS: Mapping[type, str] = types.MappingProxyType(
    {str: "a text", int: "a whole number", float: "a number", bool: "True or False", date: "a date", type(None): "None"}
)
"""How a sentence calls the types of the standard library; any other is called by its name."""

_takers: list[Callable[[DeclarationError], None]] = []


@contextmanager
def gathering(take: Callable[[DeclarationError], None]) -> Iterator[None]:
    """Let values that are constructed in this block hand their mistakes to `take`; they are constructed nevertheless."""
    _takers.append(take)
    try:
        yield
    finally:
        _takers.pop()


def gathered(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a ``__post_init__`` that raises its mistake, or hands it on in a block of `gathering`."""

    def checked(self: Any) -> None:
        try:
            check(self)
        except DeclarationError as mistake:
            if not _takers:
                raise
            _takers[-1](mistake)

    return checked


def type_mistakes(declared: Any) -> list[str]:
    """Return a part of a sentence for each field of a dataclass whose value is not of the declared type.

    Enumerations are left to the checks that know their values, and so is what a type only known by its name stands for.
    """
    found = []
    for field in dataclasses.fields(declared):
        value = getattr(declared, field.name, None) if field.init else None
        if not field.init or _fits(value, field.type):
            continue
        if typing.get_origin(field.type) is tuple and not isinstance(value, tuple):
            found.append(f"{field.name} is {value!r}; give a tuple, of one value with a comma: (x,)")
        else:
            found.append(f"{field.name} is {_shown(value, field.type)}; give {_said(field.type)}")
    return found


def _fits(value: Any, kind: Any) -> bool:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, parts[0]) for one in value)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, part) for part in parts)
    if isinstance(origin, type):
        return isinstance(value, origin) and (
            not isinstance(value, Mapping) or all(_fits(name, parts[0]) for name in value)
        )
    if not isinstance(kind, type) or kind is Any or issubclass(kind, Enum):
        return True
    if kind in (int, float):
        return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind)


def _shown(value: Any, kind: Any) -> str:
    """Return a wrong value; of a tuple only what is wrong in it."""
    if isinstance(value, tuple):
        wrong = [one for one in value if not _fits(one, typing.get_args(kind)[0])]
        return f"a tuple with {', '.join(map(repr, wrong))}"
    return repr(value)


def _said(kind: Any) -> str:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return f"a tuple whose values are each {_said(parts[0])}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_said(part) for part in parts)
    if isinstance(origin, type):
        return f"a mapping whose names are each {_said(parts[0])}"
    name = getattr(kind, "__name__", str(kind))
    return WORDS.get(kind, f"a{'n' * name.startswith(tuple('AEIO'))} {name}")
