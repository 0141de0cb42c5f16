"""Looks in the source for the code that a declaration names, so that a wrong name is found without loading an engine."""

import ast
import functools
import importlib.machinery
import itertools
import sys
from pathlib import Path

from ml.spec.entries import no_such_name, split
from ml.spec.errors import DeclarationError


def mistake_in(entry: str) -> str | None:
    """Return why an entry cannot be loaded, from the source of its module; None if nothing speaks against it.

    A module without Python source, or one that makes its names while it is imported, is not judged.
    """
    try:
        module_name, name = split(entry)
    except DeclarationError as error:
        return str(error)
    source = _source(module_name)
    if isinstance(source, str):
        return f"entry {entry!r}: there is no module {source!r}."
    names = _names(source) if source else None
    if names is None or name in names:
        return None
    return no_such_name(entry, names)


def _source(module: str) -> Path | str | None:
    """Return the source file of a module without importing its packages; its missing part, or None for no source."""
    places: list[str] | None = None
    origin: str | None = None
    for name in itertools.accumulate(module.split("."), "{}.{}".format):
        found = importlib.machinery.PathFinder.find_spec(name, places)
        if found is None:
            return name
        loaded = sys.modules.get(name)  # it may have been given further folders
        places, origin = list(getattr(loaded, "__path__", found.submodule_search_locations or ())), found.origin
    return Path(origin) if origin and origin.endswith(".py") else None


@functools.cache
def _names(source: Path) -> frozenset[str] | None:
    """Return the names that a module defines at its top level; None if it makes more of them while it is imported."""
    found: set[str] = set()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        elif not isinstance(node, ast.Expr):
            return None
    return None if found & {"*", "__getattr__"} else frozenset(found)
