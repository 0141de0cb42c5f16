"""Expressions of Azure Resource Manager templates: texts in brackets, evaluated as far as templates here need them.

https://learn.microsoft.com/en-us/azure/azure-resource-manager/templates/template-expressions. A function that is not known is
an error, as for the service: a template that it does not understand is invalid.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.emulated_cloud.calls import CloudRefusalError

TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_]\w*)|([().,\[\]]))")
Functions = Mapping[str, Callable[..., Any]]


def invalid_template(message: str) -> CloudRefusalError:
    """Return the refusal of a template that cannot be deployed."""
    return CloudRefusalError(400, "InvalidTemplate", f"Deployment template validation failed: '{message}'.")


def filled(value: Any, functions: Functions) -> Any:
    """Return a part of a template with the value of each expression in its place.

    Raises
    ------
    CloudRefusalError
        If an expression cannot be read, or names a function that is not known.
    """
    if isinstance(value, dict):
        return {key: filled(item, functions) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, functions) for item in value]
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        return value[1:] if value.startswith("[[") else _TemplateExpression(value[1:-1], functions).whole()
    return value


class _TemplateExpression:
    """Reads one expression from the left to the right."""

    def __init__(self, text: str, functions: Functions) -> None:
        self._text, self._functions = text, {name.lower(): function for name, function in functions.items()}
        self._tokens = self._split(text)

    def _split(self, text: str) -> list[tuple[str, str]]:
        found, at = [], 0
        while at < len(text.rstrip()):
            match = TOKEN.match(text, at)
            if match is None:
                raise self._unreadable()
            kind = ("text", "number", "name", "sign")[(match.lastindex or 1) - 1]
            found.append((kind, match[match.lastindex or 1]))
            at = match.end()
        return [*found, ("end", "")]

    def _unreadable(self) -> CloudRefusalError:
        return invalid_template(f"the expression '{self._text}' is not valid")

    def _take(self, kind: str, sign: str = "") -> str:
        found, text = self._tokens.pop(0)
        if found != kind or (sign and text != sign):
            raise self._unreadable()
        return text

    def _comes(self, sign: str) -> bool:
        return self._tokens[0] == ("sign", sign)

    def whole(self) -> Any:
        value = self._value()
        self._take("end")
        return value

    def _value(self) -> Any:
        kind, text = self._tokens.pop(0)
        if kind == "text":
            return text.replace("''", "'")
        if kind == "number":
            return int(text)
        if kind != "name" or text.lower() not in self._functions:
            raise (
                invalid_template(f"the template function '{text}' is not valid")
                if kind == "name"
                else self._unreadable()
            )
        value = self._functions[text.lower()](*self._arguments())
        while self._comes(".") or self._comes("["):
            value = self._part(value)
        return value

    def _arguments(self) -> list[Any]:
        self._take("sign", "(")
        given: list[Any] = []
        while not self._comes(")"):
            if given:
                self._take("sign", ",")
            given.append(self._value())
        self._take("sign", ")")
        return given

    def _part(self, value: Any) -> Any:
        if self._take("sign") == ".":
            key: Any = self._take("name")
        else:
            key = self._value()
            self._take("sign", "]")
        try:
            return value[key]
        except (KeyError, IndexError, TypeError) as missing:
            raise invalid_template(f"the language expression property '{key}' doesn't exist") from missing
