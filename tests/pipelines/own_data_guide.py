"""The examples of the page about own data, which go on with those of the guide: one module, as a team would have it."""

import importlib
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from pyspark import cloudpickle

DOCS = Path(__file__).parents[2] / "docs"
NAME = "parcels"


def _blocks(page: str) -> list[str]:
    """Return the Python examples of a page that are no line for a table of the product."""
    found = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [block for block in found if not re.match(r"# [\w/]+\.py, in [A-Z_]+\n", block)]


@contextmanager
def parcels_module() -> Iterator[ModuleType]:
    """Open the examples of both pages as the module that they name, from a file: a model takes its modules along."""
    text = "\n\n".join(block for page in ("add-a-use-case.md", "own-data.md") for block in _blocks(page))
    before = sys.modules.pop(NAME, None)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{NAME}.py").write_text(text, encoding="utf-8")
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        module = importlib.import_module(NAME)
        cloudpickle.register_pickle_by_value(module)  # Spark's workers do not have the folder
        try:
            yield module
        finally:
            cloudpickle.unregister_pickle_by_value(module)
            sys.path.remove(folder)
            sys.modules.pop(NAME, None)
            if before is not None:
                sys.modules[NAME] = before
