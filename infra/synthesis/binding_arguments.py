"""Converts arguments for the bindings: plain mappings become the bindings' own structs, at every depth.

An unknown argument, a missing argument and a value of a wrong type are therefore errors at synthesis; jsii would pass a
nested plain mapping on unchecked. This module knows the form of the bindings' classes and imports none of them.
"""

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


def typed(kind: type, arguments: Mapping[str, Any], token: Any) -> dict[str, Any]:
    """Return arguments as the keywords of a binding's class.

    Parameters
    ----------
    kind
        A resource, data source, provider or struct of the bindings.
    arguments
        Plain values, with Terraform's names of arguments.
    token
        The framework's `Token`, for expressions in arguments that are not text.

    Raises
    ------
    TypeError
        If the class, or a struct within, does not have the argument, lacks a required one, or has another type for it.
    """
    hints = _hints(kind)
    unknown = sorted(set(arguments) - set(hints))
    if unknown:
        raise TypeError(f"{kind.__name__} has no argument {', '.join(unknown)}")
    return {name: _converter(hints[name])(value, token) for name, value in arguments.items()}


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a binding's keywords."""
    initializer: Any = kind.__init__  # type: ignore[misc] # the bindings' classes, known at run time only
    hints = typing.get_type_hints(initializer, vars(sys.modules[kind.__module__]))
    parameters = inspect.signature(initializer).parameters.values()
    return {p.name: hints[p.name] for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


@functools.cache
def _converter(hint: Any) -> Callable[[Any, Any], Any]:
    """Return the function that converts a plain value to the type of a keyword."""
    options = list(_options(hint))
    struct = next((option for option in options if _is_struct(option)), None)
    sequence = next((option for option in options if typing.get_origin(option) is not None and _is_list(option)), None)
    takes_text = str in options or Any in options

    def convert(value: Any, token: Any) -> Any:
        if isinstance(value, Mapping) and struct is not None:
            return struct(**typed(struct, value, token))
        if isinstance(value, list | tuple) and sequence is not None:
            inner = _converter(typing.get_args(sequence)[0])
            return [inner(item, token) for item in value]
        if isinstance(value, str) and value.startswith("${") and not takes_text:
            return _expression(value, options, token)
        return value

    return convert


def _options(hint: Any) -> Iterator[Any]:
    """Yield the alternatives of a union, or the type itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for option in typing.get_args(hint):
            yield from _options(option)
    else:
        yield hint


def _is_struct(option: Any) -> bool:
    return (
        isinstance(option, type)
        and hasattr(option, "__jsii_type__")
        and hasattr(option, "_values") is False
        and (
            "_values" in option.__init__.__code__.co_names  # type: ignore[misc] # only jsii's structs store their keywords in `_values`
        )
    )


def _is_list(option: Any) -> bool:
    origin = typing.get_origin(option)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _expression(text: str, options: Sequence[Any], token: Any) -> Any:
    """Return an expression as cdktf's token for a number, a list or any other type."""
    if int in options or float in options:
        return token.as_number(text)
    if any(_is_list(option) for option in options):
        return token.as_list(text)
    return token.as_any(text)
