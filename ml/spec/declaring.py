"""What all declared values share: fields of the declared types, and mistakes that are gathered instead of raised one by one.

A declaration is checked when it is constructed. While a whole use case is read, `gathering` lets every part note its
mistake and go on, so that a reader sees all of them at once.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from enum import Enum
from typing import Any

from ml.spec.errors import DeclarationError

WORDS: Mapping[type, str] = types.MappingProxyType(
    {str: "a text", int: "a whole number", float: "a number", bool: "True or False", date: "a date", type(None): "None"}
)
"""How a sentence calls the types of the standard library; any other is called by its name."""

Check = Callable[[Any], bool]

_known: dict[type, tuple[tuple[str, Any, Check], ...]] = {}
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
    for name, kind, fits in _types(type(declared)):
        value = getattr(declared, name)
        if fits(value):
            continue
        if typing.get_origin(kind) is tuple and not isinstance(value, tuple):
            found.append(f"{name} is {value!r}; give a tuple, of one value with a comma: (x,)")
        else:
            found.append(f"{name} is {_shown(value, kind)}; give {_said(kind)}")
    return found


def _types(declared: type) -> tuple[tuple[str, Any, Check], ...]:
    """Return the fields that a constructor takes and that can be wrong, each with its type and check; once for each class."""
    if declared not in _known:
        kinds = [(field.name, field.type) for field in dataclasses.fields(declared) if field.init]
        _known[declared] = tuple((name, kind, fits) for name, kind in kinds if (fits := _check(kind)) is not None)
    return _known[declared]


def _check(kind: Any) -> Check | None:
    """Return what says whether a value is of a type; None if every value passes."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _each_in(tuple, _check(parts[0]))
    if origin in (types.UnionType, typing.Union):
        checks = [_check(part) for part in parts]
        wanted = [one for one in checks if one is not None]
        return None if len(wanted) < len(checks) else lambda value: any(fits(value) for fits in wanted)
    if isinstance(origin, type):
        return _each_in(origin, _check(parts[0]) if issubclass(origin, Mapping) else None)
    if not isinstance(kind, type) or kind is Any or issubclass(kind, Enum):
        return None
    if kind in (int, float):
        numbers = int if kind is int else (int, float)
        return lambda value: isinstance(value, numbers) and not isinstance(value, bool)
    return lambda value: isinstance(value, kind)


def _each_in(container: type[Iterable[Any]], fits: Check | None) -> Check:
    """Return the check of a container, and of each value, or of each name, that it iterates over."""
    if fits is None:
        return lambda value: isinstance(value, container)
    return lambda value: isinstance(value, container) and all(map(fits, value))


def _shown(value: Any, kind: Any) -> str:
    """Return a wrong value; of a tuple only what is wrong in it."""
    if isinstance(value, tuple):
        fits = _check(typing.get_args(kind)[0])
        wrong = [one for one in value if fits and not fits(one)]
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
