"""The examples of the page about own data, which go on with those of the guide: one module, as a team would have it."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"
NAME = "parcels"


def _blocks(page: str) -> list[str]:
    """Return the Python examples of a page that are no line for a table of the product."""
    found = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [block for block in found if not re.match(r"# [\w/]+\.py, in [A-Z_]+\n", block)]


@contextmanager
def parcels_module() -> Iterator[ModuleType]:
    """Open the examples of both pages as the module that they name."""
    module, before = ModuleType(NAME), sys.modules.get(NAME)
    sys.modules[NAME] = module
    for page in ("add-a-use-case.md", "own-data.md"):
        for block in _blocks(page):
            exec(compile(block, f"docs/{page}", "exec"), vars(module))  # noqa: S102 -- the guide's own text
    try:
        yield module
    finally:
        del sys.modules[NAME]
        if before is not None:
            sys.modules[NAME] = before
