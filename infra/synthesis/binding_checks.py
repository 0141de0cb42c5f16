"""Makes the argument checks of the bindings fast, in the modules of the bindings alone; every argument is still checked.

At every call a binding asks for the type hints of one of its functions and checks each argument against them. Both give
the same result each time: for one function, and for one class of plain values against one type. Without remembering
them they take half of Python's time in a large synthesis.
"""

import functools
import types
import typing
from typing import Any

_DECIDED_BY_CLASS = frozenset({str, bool, int, float, type(None)})
"""Classes of which every value fits the same types; no hint of the bindings lists single values."""


def remember_checks(kind: type) -> None:
    """Let the module of a binding's class remember its type hints and the checks that have passed.

    The names ``typing`` and ``check_type`` of that module are replaced; no other module changes. The module is reached
    through the class, because the bindings hide everything but their classes from ``sys.modules``.
    """
    names = kind.__init__.__globals__  # type: ignore[misc] # the bindings' classes, known at run time only
    if not isinstance(names["check_type"], _CheckOnce):
        hints = functools.cache(typing.get_type_hints)
        names["typing"] = types.SimpleNamespace(**{**vars(typing), "get_type_hints": hints})
        names["check_type"] = _CheckOnce(names["check_type"])


class _CheckOnce:
    """The ``check_type`` of a module, which checks a plain value only if no value of its class has passed yet."""

    def __init__(self, check: Any) -> None:
        self._check = check
        self._passed: set[tuple[type, int]] = set()

    def __call__(self, argname: str, value: Any, expected_type: Any) -> Any:
        # The module remembers its hints, so an id stays that of the same type.
        key = (type(value), id(expected_type))
        if key in self._passed:
            return None
        result = self._check(argname=argname, value=value, expected_type=expected_type)
        if type(value) in _DECIDED_BY_CLASS:
            self._passed.add(key)
        return result
