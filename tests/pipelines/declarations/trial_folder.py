"""A use case made from the templates, as the registry finds it beside those of the repository, and changes of its files."""

import importlib
import sys
from pathlib import Path

from pipelines.declarations import entries, registry

NAME = "trial"


def forget() -> None:
    """Let the next command read the declarations again."""
    registry.use_cases.cache_clear()
    entries._SOURCES.clear()
    entries._text.cache_clear()
    entries._names.cache_clear()
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.startswith(f"pipelines.use_cases.{NAME}")]:
        del sys.modules[name]


def replace(folder: Path, file: str, text: str, instead: str) -> None:
    """Replace a text in a file of the use case; the text must be in the file."""
    path = folder / f"{file}.py"
    before = path.read_text(encoding="utf-8")
    assert text in before, text
    path.write_text(before.replace(text, instead), encoding="utf-8")
    forget()
