"""Reads the folder of one use case; whatever is wrong in it becomes one sentence with the file and the line."""

import dataclasses
import importlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ml.spec.declaring import gathering, type_mistakes
from ml.spec.near_miss import did_you_mean
from pipelines.declarations.entries import mistake_in
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.use_case import UseCase

UNKNOWN_KEYWORD = re.compile(r"(?P<declared>\w+)\.__init__\(\) got an unexpected keyword argument '(?P<keyword>\w+)'")
UNKNOWN_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")


def read_use_case(package: ModuleType, folder: str) -> UseCase:
    """Return the use case that a folder of a package declares.

    Raises
    ------
    DeclarationError
        If its ``declaration`` cannot be imported, has no ``USE_CASE``, calls it by another name than the folder's,
        contradicts itself, or names code that does not exist; with every mistake, a line for each value.
    """
    mistakes: dict[str, None] = {}

    def note(mistake: DeclarationError) -> None:
        mistakes[f"{_place(traceback.extract_stack(), package, folder)}: {mistake}"] = None

    declared, stop = None, None
    module = f"{package.__name__}.{folder}.declaration"
    try:
        with gathering(note):
            declared = importlib.import_module(module).USE_CASE
    except Exception as error:  # noqa: BLE001 - whatever stops the import of a team's module is said as one sentence
        stop = error
        if isinstance(error, DeclarationError | SyntaxError | ImportError) or not mistakes:  # else it follows from them
            mistakes[f"{_place_of(error, package, folder)}: {_sentence(error)}"] = None
    if mistakes:
        # What was constructed in spite of its mistakes must not be found by the next import.
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{package.__name__}.{folder}.")]:
            del sys.modules[name]
    if isinstance(declared, UseCase) and not type_mistakes(declared):
        mistakes |= dict.fromkeys(_mistakes_in_names(declared, folder))
    elif stop is None and not isinstance(declared, UseCase):
        mistakes[f"use case in folder {folder!r}: USE_CASE is {declared!r}; give a UseCase."] = None
    if mistakes or not isinstance(declared, UseCase):
        raise DeclarationError("\n".join(mistakes)) from stop
    return declared


def _mistakes_in_names(declared: UseCase, folder: str) -> Iterator[str]:
    if declared.name != folder:
        yield f"use case in folder {folder!r} calls itself {declared.name!r}: use one name."
    for user, entry in named_code(declared):
        if mistake := mistake_in(entry):
            yield f"use case {declared.name}: {user}: {mistake}"


def named_code(use_case: UseCase) -> Iterator[tuple[str, str]]:
    """Yield the code that a use case names as text: what it is for, and the text."""
    yield from ((f"reader of source {source.name!r}", source.reader) for source in use_case.sources)
    for source in use_case.sources:
        made = ((name, data.generator) for name, data in source.data.items() if data.generator)
        yield from ((f"generator of source {source.name!r} in {name}", generator) for name, generator in made)
    yield from ((f"builder of {f.table.name!r}", f.builder) for f in (*use_case.features, use_case.labels))
    yield "inputs_builder", use_case.inputs_builder
    yield from ((f"estimator {spec.name!r}", spec.estimator) for spec in use_case.estimators)


def _place_of(error: Exception, package: ModuleType, folder: str) -> str:
    """Return the file and line of the use case's folder in which an error was raised, or the folder."""
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(traceback.FrameSummary(error.filename, error.lineno, "", lookup_line=False))
    return _place(frames, package, folder)


def _place(stack: Iterable[traceback.FrameSummary], package: ModuleType, folder: str) -> str:
    """Return the innermost file and line of a stack that is in the use case's folder, or the folder."""
    frames = [(frame.filename, frame.lineno) for frame in stack]
    homes = [Path(path) / folder for path in package.__path__]
    own = [(Path(name), line) for name, line in frames if any(Path(name).is_relative_to(home) for home in homes)]
    shown = f"{package.__name__.replace('.', '/')}/{folder}"
    return f"{shown}/{own[-1][0].name} line {own[-1][1]}" if own else shown


def _sentence(error: Exception) -> str:
    """Return what an error says, without the name of its class."""
    text = str(error)
    if isinstance(error, DeclarationError):
        return text
    if isinstance(error, SyntaxError):
        return f"this is not Python ({error.msg})."
    if isinstance(error, ModuleNotFoundError):
        return f"there is no module {error.name!r}."
    if unknown := UNKNOWN_IMPORT.match(text):
        names = vars(importlib.import_module(unknown["module"]))
        return f"{unknown['module']} has no {unknown['name']!r}. {did_you_mean(unknown['name'], names)}".rstrip()
    if unknown := UNKNOWN_KEYWORD.match(text):
        near = did_you_mean(unknown["keyword"], _fields(error, unknown["declared"]))
        return f"{unknown['declared']} takes no {unknown['keyword']!r}. {near}".rstrip()
    if (
        isinstance(error, AttributeError) and error.name and isinstance(error.obj, type)
    ):  # Python 3.11 and 3.12 word it differently
        near = did_you_mean(error.name, [name for name in dir(error.obj) if not name.startswith("_")])
        return f"{error.obj.__name__} has no {error.name!r}. {near}".rstrip()
    if isinstance(error, KeyError):
        return f"there is no {text.strip(chr(39))!r}."
    return text.replace(".__init__()", "") or "it fails without saying why."


def _fields(error: Exception, declared: str) -> list[str]:
    """Return the fields of the dataclass of that name which the failing module uses."""
    found: Any = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found = frame.f_globals.get(declared, found)
    return [field.name for field in dataclasses.fields(found)] if dataclasses.is_dataclass(found) else []
