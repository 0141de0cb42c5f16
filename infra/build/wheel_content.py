"""The content of a built wheel, read from its archive without installing or importing it."""

import ast
import configparser
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from ml.spec.errors import NotPossibleError


class WheelReadError(NotPossibleError):
    """There is no wheel, or the file is not one."""


@dataclass(frozen=True, kw_only=True)
class WheelContent:
    """One wheel.

    Attributes
    ----------
    package
        The distribution's name.
    entry_points
        Console script to ``module:function``.
    modules
        Dotted name to source.
    """

    package: str
    entry_points: Mapping[str, str]
    modules: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Function:
    """The parameters of one function, read from its source.

    Attributes
    ----------
    positional
        Parameters that a caller may give by position.
    keywords
        Parameters that a caller may give by name.
    required
        Those of `keywords` without a default.
    read
        Parameters whose value the body uses.
    overwritten
        Parameters to which the body assigns before it has read them.
    """

    positional: tuple[str, ...]
    keywords: frozenset[str]
    required: frozenset[str]
    read: frozenset[str]
    overwritten: frozenset[str]


def read_wheel(path: Path) -> WheelContent:
    """Read a wheel.

    Raises
    ------
    WheelReadError
        If the file is missing or not a wheel.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            texts = {name: archive.read(name).decode("utf-8") for name in names if _is_text(name)}
    except (OSError, zipfile.BadZipFile) as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({error})"
        raise WheelReadError(f"there is no wheel at {path}: build it with `python -m infra wheel`.{why}") from error
    metadata = next((text for name, text in texts.items() if name.endswith(".dist-info/METADATA")), None)
    if metadata is None:
        raise WheelReadError(f"{path.name} has no metadata and is not a wheel: build it with `python -m infra wheel`.")
    return WheelContent(
        package=str(Parser().parsestr(metadata)["Name"]),
        entry_points=_console_scripts(texts),
        modules={_module(name): text for name, text in texts.items() if name.endswith(".py")},
    )


def find_function(wheel: WheelContent, entry: str) -> Function | str:
    """Return the function that ``module:function`` names in a wheel, or a sentence with the reason why there is none."""
    module, _, name = entry.partition(":")
    source = wheel.modules.get(module)
    if source is None:
        return f"the wheel has no module {module!r}"
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _function(node)
    return f"module {module!r} of the wheel has no function {name!r}"


def _function(node: ast.FunctionDef) -> Function:
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(positional) - len(node.args.defaults)) + list(node.args.defaults)
    by_name = [
        *((a, d) for a, d in zip(positional, defaults, strict=True) if a not in node.args.posonlyargs),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    names = [argument.arg for argument in (*positional, *node.args.kwonlyargs)]
    uses = [n for statement in node.body for n in _in_order(statement) if n.id in names]
    first: dict[str, ast.expr_context] = {}
    for use in uses:
        first.setdefault(use.id, use.ctx)
    return Function(
        positional=tuple(argument.arg for argument in positional),
        keywords=frozenset(argument.arg for argument, _ in by_name),
        required=frozenset(argument.arg for argument, default in by_name if default is None),
        read=frozenset(use.id for use in uses if isinstance(use.ctx, ast.Load)),
        overwritten=frozenset(name for name, context in first.items() if not isinstance(context, ast.Load)),
    )


def _in_order(statement: ast.AST) -> list[ast.Name]:
    """Return the names of a statement in the order of evaluation: an assignment's value comes before its targets."""
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [name for part in (statement.value, *targets) for name in _in_order(part)]
    found = [statement] if isinstance(statement, ast.Name) else []
    return [*found, *(name for child in ast.iter_child_nodes(statement) for name in _in_order(child))]


def _is_text(name: str) -> bool:
    return name.endswith((".py", ".dist-info/METADATA", ".dist-info/entry_points.txt"))


def _console_scripts(texts: Mapping[str, str]) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names of scripts keep their case
    for name, text in texts.items():
        if name.endswith(".dist-info/entry_points.txt"):
            parser.read_string(text)
    return dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}


def _module(path: str) -> str:
    dotted = path.removesuffix(".py").replace("/", ".")
    return dotted.removesuffix(".__init__")
