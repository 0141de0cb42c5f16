"""Code that a declaration names as text: ``package.module:function``, or ``package.module.Class`` as scikit-learn does.

A declaration names code instead of importing it, because the import would load an engine.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from ml.spec.errors import DeclarationError
from ml.spec.near_miss import did_you_mean


def load(entry: str) -> Any:
    """Return what an entry names; its module is imported.

    Raises
    ------
    DeclarationError
        If the module does not exist or has no such name, with the nearest one.
    """
    module_name, name = split(entry)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise DeclarationError(f"entry {entry!r}: there is no module {error.name!r}.") from error
    if not hasattr(module, name):
        raise DeclarationError(no_such_name(entry, vars(module)))
    return getattr(module, name)


def split(entry: str) -> tuple[str, str]:
    """Return the module and the name in it.

    Raises
    ------
    DeclarationError
        If the text has neither form.
    """
    module, separator, name = entry.partition(":") if ":" in entry else entry.rpartition(".")
    if not separator or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise DeclarationError(f"entry {entry!r} is neither 'package.module:function' nor 'package.module.Class'.")
    return module, name


def no_such_name(entry: str, names: Iterable[str]) -> str:
    """Return the sentence for an entry whose module has other names, with the nearest one."""
    module, name = split(entry)
    near = did_you_mean(name, [known for known in names if not known.startswith("_")])
    return f"entry {entry!r}: module {module!r} has no {name!r}{f': {near}' if near else '.'}"
