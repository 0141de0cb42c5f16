"""``make check`` runs the tests of everything that a change can affect, and not the whole suite for a page."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.changed_rooms import ROOT, affected_tests

ROOMS = ("ml", "pipelines", "infra", "benchmarks")


def test_a_change_of_imported_code_runs_the_tests_that_import_it() -> None:
    """Every import of a room in a test module or in its helpers is covered by the table."""
    modules = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path.parent != ROOT / "tests"]
    imports = [(path.relative_to(ROOT), name) for path in modules for name in _imported(path)]
    missing = [(str(path), name) for path, name in imports if not _covers(affected_tests(_file(name)), path)]
    assert len(imports) > 500
    assert missing == []


def test_a_change_of_a_room_runs_the_tests_of_the_rooms_that_import_it() -> None:
    """`infra` reads declarations, specifications and command lines; `pipelines` reads `ml`."""
    for room in ("pipelines", "infra"):
        for path in (ROOT / room).rglob("*.py"):
            for name in _imported(path):
                assert f"tests/{room}" in affected_tests(_file(name)), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", ["docs/platform.md", "docs/operations.md", "README.md", "ml/README.md"])
def test_a_change_of_a_page_runs_the_tests_that_read_it(path: str) -> None:
    """Guides have tests of their own; no room is tested as a whole."""
    chosen = affected_tests(path)
    assert {"tests/test_docs.py", "tests/test_readme.py"} <= chosen
    assert not chosen & {"tests", "tests/ml", "tests/pipelines", "tests/infra"}
    assert ("tests/infra/commands/test_platform_guide.py" in chosen) is (path == "docs/platform.md")


@pytest.mark.parametrize("path", ["pyproject.toml", "requirements/dev.txt", "tests/conftest.py", "Makefile"])
def test_a_change_outside_of_the_rooms_runs_the_whole_suite(path: str) -> None:
    """No entry of the table fits."""
    assert "tests" in affected_tests(path)


def test_every_chosen_test_exists() -> None:
    """For every tracked file of the repository."""
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    chosen = {test for path in listed if not path.endswith((".md", ".svg", ".png")) for test in affected_tests(path)}
    assert [test for test in chosen if not (ROOT / test).exists()] == []


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules of our rooms that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name for name in names if re.match(rf"({'|'.join(ROOMS)})\.", name))


def _file(name: str) -> str:
    """Return the file of a module, or of the module that holds a name."""
    parts = name.split(".")
    while parts and not (ROOT / "/".join(parts)).with_suffix(".py").exists() and not (ROOT / "/".join(parts)).is_dir():
        parts.pop()
    place = "/".join(parts)
    return f"{place}/__init__.py" if (ROOT / place).is_dir() else f"{place}.py"


def _covers(chosen: set[str], path: Path) -> bool:
    """Return whether a test module is chosen; for a helper, whether its folder is."""
    return any(str(path) == test or test in map(str, path.parents) for test in chosen)
