"""Resolves the ``module:function`` texts by which declarations name code without importing it."""

import importlib
from typing import Any

from pipelines.declarations.mistakes import DeclarationError, unknown


def load(entry: str) -> Any:
    """Return what ``package.module:function`` names.

    Raises
    ------
    DeclarationError
        If the module does not exist or has no such function, with the nearest name.
    """
    module_name, _, name = entry.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise DeclarationError(f"entry {entry!r}: there is no module {error.name!r}.") from error
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise DeclarationError(f"entry {entry!r}: {unknown('function', name, public)}")
    return getattr(module, name)
