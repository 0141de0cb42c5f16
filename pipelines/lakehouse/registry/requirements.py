"""What a stored model needs to be loaded: distributions at the versions that trained it, and modules that it carries.

Both follow from the names in the pickled object, and from the imports of those of our own modules that are among them.
MLflow's own inference imports the model in a process apart, which takes seconds, and would not carry a team's class.
"""

import ast
import functools
import importlib
import importlib.util
import io
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ml.spec.errors import ROOMS

REQUIREMENTS_FILE = "requirements.txt"
"""Where MLflow keeps them among the files of a model."""
ALWAYS = ("mlflow", "cloudpickle", "scikit-learn", "scipy", "pandas", "numpy")
"""Every model is an encoder of scikit-learn's with an estimator, takes data frames, and is loaded by MLflow."""
ONLINE_CLIENT = ("psycopg==3.3.9", "psycopg-binary==3.3.9")
"""What a served model takes beside it: the client of the online store, as `requirements/run.txt` pins it. Jobs have
no such client, so it cannot be asked which is installed."""
MODULES_OF_ALWAYS = frozenset({"mlflow", "cloudpickle", "sklearn", "scipy", "pandas", "numpy"})


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What loading a model takes beside Python.

    Attributes
    ----------
    requirements
        Distributions, each with the version installed here.
    own
        Modules of no distribution, by name, with their source files: the packages above each included.
    """

    requirements: tuple[str, ...]
    own: dict[str, Path]


def needs_of(fitted: Any, dump: Callable[[Any], bytes]) -> Needs:
    """Return what a fitted object needs.

    Parameters
    ----------
    dump
        Pickles it as it will be stored.
    """
    own: dict[str, Path] = {}
    foreign: set[str] = set()
    waiting = sorted(modules_in(dump(fitted)))
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or name in own:
            continue
        file = _own_source(name)
        if file is None:
            foreign.add(top)
            continue
        own[name] = file
        waiting += [*_packages_above(name), *_imports(name, file)]
    names = {one for top in foreign - MODULES_OF_ALWAYS - {*ROOMS} for one in _distributions(top)}
    return Needs(requirements=_pinned([*ALWAYS, *sorted(names - {*ALWAYS})]), own=own)


def model_requirements() -> tuple[str, ...]:
    """Return what loading any model needs, at the versions installed here."""
    return _pinned(ALWAYS)


def modules_in(pickled: bytes) -> set[str]:
    """Return the modules that unpickling imports."""
    found: set[str] = set()

    def noted(used: str) -> Any:
        """Stand for cloudpickle's own, which imports a module that a pickled function uses."""
        found.add(used)
        return importlib.import_module(used)

    class Noting(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found.add(module)
            loaded = super().find_class(module, name)
            return noted if name == "subimport" else loaded

    Noting(io.BytesIO(pickled)).load()
    return found - {"__main__"}


def _pinned(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{name}=={metadata.version(name)}" for name in names)


def _distributions(top: str) -> Iterable[str]:
    """Return the distributions that a top-level module belongs to; none if nothing installed has it."""
    try:
        named = metadata.distribution(top)
    except metadata.PackageNotFoundError:
        return sorted(set(_all_distributions().get(top, ())))
    provides = {str(path).partition("/")[0] for path in named.files or ()}
    return (named.name,) if top in provides else sorted(set(_all_distributions().get(top, ())))


@functools.cache
def _all_distributions() -> dict[str, list[str]]:
    """Return every installed top-level module; reads the records of all distributions, so only where it must."""
    return dict(metadata.packages_distributions())


def _own_source(name: str) -> Path | None:
    """Return the source file of a module that no installed distribution brings, other than this product's."""
    spec = getattr(sys.modules.get(name), "__spec__", None) or _found(name)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin)
    installed = any(part in ("site-packages", "dist-packages") for part in file.parts)
    return None if installed and name.partition(".")[0] not in ROOMS else file


def _found(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _packages_above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _imports(name: str, file: Path) -> tuple[str, ...]:
    """Return the modules that a module imports, wherever in it, other than for types alone; read again when it changes."""
    return _imports_of(name, file, file.stat().st_mtime_ns)


@functools.cache
def _imports_of(name: str, file: Path, changed: int) -> tuple[str, ...]:  # noqa: ARG001 - a part of the cache's key
    return tuple(_read_imports(name, file))


def _read_imports(name: str, file: Path) -> Iterator[str]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in _run(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (inner for alias in node.names if _own_source(inner := f"{module}.{alias.name}") is not None)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below a node that Python runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _run(child)
