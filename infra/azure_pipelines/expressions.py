"""Expressions of Azure Pipelines: reading and evaluating them as the service does, as far as the pipelines use them.

Semantics after the documentation "Expressions" of Azure Pipelines: names of functions and comparison of texts ignore
case, the right side of a comparison is cast to the type of the left, a missing key is null. What is not known here is an
error: an expression that this module lets through without understanding would prove nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.spec.errors import LakehouseError

Value = Any
"""A bool, float, str, None, list or dict."""


class ExpressionError(LakehouseError, ValueError):
    """The expression is not understood; the message holds it and says where."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an expression can see.

    Attributes
    ----------
    names
        ``variables``, ``parameters``, ``dependencies`` and so on, and what ``each`` has named.
    functions
        Beside the general ones: status functions such as ``succeeded``.
    """

    names: Mapping[str, Value]
    functions: Mapping[str, Callable[..., Value]]


def evaluate(text: str, scope: Scope) -> Value:
    """Return the value of an expression.

    Raises
    ------
    ExpressionError
        If it cannot be read, or names a function, a context or a number of arguments that is not known.
    """
    parser = _Parser(text, scope)
    value = parser.expression()
    parser.end()
    return value


def is_true(value: Value) -> bool:
    """Cast to boolean: null, zero, the empty text and False are false, everything else is true."""
    return bool(value) if isinstance(value, bool | int | float | str | None) else True


def as_text(value: Value) -> str:
    """Cast to text, as in an expression that stands inside a longer text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float | int):
        return str(int(value)) if float(value).is_integer() else str(value)
    if isinstance(value, str):
        return value
    raise ExpressionError(f"{value!r} is no text.")


TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>[()\[\],.*]))"
)
CONSTANTS = {"true": True, "false": False, "null": None}


class _Parser:
    """Reads and evaluates in one pass. Both sides of every function are read; nothing unknown is skipped."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text, self._scope, self._place = text, scope, 0

    def expression(self) -> Value:
        kind, token = self._next()
        if kind == "number":
            return float(token)
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind != "name":
            raise self._error(f"{token!r} begins no expression")
        if self._peek() == "(":
            return self._call(token)
        if token.lower() in CONSTANTS:
            return CONSTANTS[token.lower()]
        if token not in self._scope.names:
            raise self._error(f"nothing is called {token!r} here, only {', '.join(sorted(self._scope.names))}")
        return self._followed(self._scope.names[token])

    def end(self) -> None:
        if self._text[self._place :].strip():
            raise self._error("the expression goes on after its end")

    def _call(self, name: str) -> Value:
        self._expect("(")
        arguments = []
        while self._peek() != ")":
            arguments.append(self.expression())
            if self._peek() == ",":
                self._expect(",")
            elif self._peek() != ")":
                raise self._error("a comma or a closing bracket is missing")
        self._expect(")")
        special = {key.lower(): function for key, function in self._scope.functions.items()}
        if name.lower() in special:
            return special[name.lower()](*arguments)
        if name.lower() not in FUNCTIONS:
            raise self._error(f"there is no function {name!r} here")
        least, most, function = FUNCTIONS[name.lower()]
        if not least <= len(arguments) <= most:
            raise self._error(f"{name} takes {least} to {most} arguments, not {len(arguments)}")
        return function(*arguments)

    def _followed(self, value: Value) -> Value:
        while self._peek() in (".", "["):
            if self._peek() == ".":
                self._expect(".")
                kind, key = self._next()
                if kind != "name":
                    raise self._error(f"{key!r} is no name of a property")
            else:
                self._expect("[")
                key = self.expression()
                self._expect("]")
            value = _looked_up(value, key)
        return value

    def _peek(self) -> str:
        found = TOKEN.match(self._text, self._place)
        return found.group().strip() if found else ""

    def _next(self) -> tuple[str, str]:
        found = TOKEN.match(self._text, self._place)
        if not found or not found.lastgroup:
            raise self._error("here it cannot be read")
        self._place = found.end()
        return found.lastgroup, found.group(found.lastgroup)

    def _expect(self, sign: str) -> None:
        if self._next()[1] != sign:
            raise self._error(f"{sign!r} is missing")

    def _error(self, what: str) -> ExpressionError:
        return ExpressionError(f"{what}: {self._text[: self._place]} >>> {self._text[self._place :]}")


class Known(dict[str, Value]):
    """A context whose every key is known: a missing one is a mistake and not null, as for parameters."""

    def __missing__(self, key: str) -> Value:
        raise ExpressionError(f"there is no {key!r} here, only {', '.join(sorted(self)) or 'nothing'}.")


def _looked_up(value: Value, key: Value) -> Value:
    """Return a property of an object or an element of an array; keys ignore case, a missing key is null."""
    if isinstance(value, Mapping):
        same = next((name for name in value if str(name).lower() == as_text(key).lower()), None)
        return value[as_text(key)] if same is None and isinstance(value, Known) else value.get(same)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value[int(float(key))]
    if value is None:
        return None
    raise ExpressionError(f"{value!r} has no property {key!r}.")


def _equal(left: Value, right: Value) -> bool:
    """Compare after casting the right side to the type of the left; a cast that fails is not equal."""
    if isinstance(left, bool):
        return left == is_true(right)
    if isinstance(left, float | int):
        try:
            return float(left) == float(as_text(right) or 0)
        except ValueError:
            return False
    if left is None:
        return right is None or right == ""
    if isinstance(left, str):
        return left.lower() == as_text(right).lower()
    raise ExpressionError(f"{left!r} cannot be compared.")


MANY = 99
FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Value]]] = {
    "and": (2, MANY, lambda *values: all(is_true(value) for value in values)),
    "or": (2, MANY, lambda *values: any(is_true(value) for value in values)),
    "not": (1, 1, lambda value: not is_true(value)),
    "eq": (2, 2, _equal),
    "ne": (2, 2, lambda left, right: not _equal(left, right)),
    "in": (1, MANY, lambda left, *others: any(_equal(left, other) for other in others)),
    "notin": (1, MANY, lambda left, *others: not any(_equal(left, other) for other in others)),
    "startswith": (2, 2, lambda text, head: as_text(text).lower().startswith(as_text(head).lower())),
    "endswith": (2, 2, lambda text, tail: as_text(text).lower().endswith(as_text(tail).lower())),
    "contains": (2, 2, lambda text, part: as_text(part).lower() in as_text(text).lower()),
    "iif": (3, 3, lambda asked, then, otherwise: then if is_true(asked) else otherwise),
    "coalesce": (2, MANY, lambda *values: next((value for value in values if value not in (None, "")), None)),
}
