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
    if source is None or _defines(source, name):
        return None
    names = _names(source)
    if names is None or name in names:
        return None
    return no_such_name(entry, names)


_SOURCES: dict[str, Path | None] = {}
"""The source files of modules that were found; what is missing now may be there at the next question."""


def _source(module: str) -> Path | str | None:
    """Return the source file of a module without importing its packages; its missing part, or None for no source."""
    if module not in _SOURCES:
        found = _find_source(module)
        if isinstance(found, str):
            return found
        _SOURCES[module] = found
    return _SOURCES[module]


def _find_source(module: str) -> Path | str | None:
    places: list[str] | None = None
    origin: str | None = None
    for name in itertools.accumulate(module.split("."), "{}.{}".format):
        loaded = sys.modules.get(
            name
        )  # a package that is loaded knows its folders, and may have been given further ones
        if name != module and (folders := getattr(loaded, "__path__", None)) is not None:
            places = list(folders)
            continue
        found = importlib.machinery.PathFinder.find_spec(name, places)
        if found is None:
            return name
        places, origin = list(getattr(loaded, "__path__", found.submodule_search_locations or ())), found.origin
    return Path(origin) if origin and origin.endswith(".py") else None


def _defines(source: Path, name: str) -> bool:
    """Return whether a line of a module defines a function or class of that name: quick, and enough for a right name."""
    text = _text(source)
    return any(f"\n{kind} {name}{end}" in text for kind in ("def", "class") for end in "(:")


@functools.cache
def _text(source: Path) -> str:
    return source.read_text(encoding="utf-8")


@functools.cache
def _names(source: Path) -> frozenset[str] | None:
    """Return the names that a module defines at its top level; None if it makes more of them while it is imported."""
    found: set[str] = set()
    for node in ast.parse(_text(source)).body:
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
