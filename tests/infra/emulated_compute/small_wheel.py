"""A wheel of a few lines with the modules that an emulated cluster opens: tasks without an engine, ready in a moment."""

import io
import zipfile

NAME = "small-0.1-py3-none-any.whl"
CHOICE = """
import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Engine:
    store: object


class Files:
    def __init__(self, folder):
        self.folder = folder

    def _file(self, table):
        return self.folder / table.schema / table.name

    def version(self, table):
        return 0 if self._file(table).exists() else None

    def create(self, table):
        self._file(table).parent.mkdir(parents=True, exist_ok=True)
        self._file(table).write_text("rows")

    def append(self, table):
        self._file(table).write_text("more rows")

    def read(self, table):
        return self._file(table).read_text()


ENGINES = {"embedded": lambda environment, root: Engine(Files(root / environment.catalog))}
"""
ENTRY = """
import sys
import time
import types
from pathlib import Path


def table(full):
    _, schema, name = full.split(".")
    return types.SimpleNamespace(schema=schema, name=name, comment="", columns=())


def main():
    from pipelines.lakehouse.engines.choice import ENGINES
    what, *rest = sys.argv[1:]
    if what == "value":
        from databricks.sdk.runtime import dbutils
        dbutils.jobs.taskValues.set(key="rows", value=rest[0])
    elif what == "sleep":
        time.sleep(600)
    elif what == "flaky":
        mark = Path(rest[0])
        if not mark.exists():
            mark.write_text("tried")
            raise SystemExit("not yet")
    elif what == "volume":
        print(Path(rest[0]).read_text())
    else:
        store = ENGINES["databricks"](types.SimpleNamespace(catalog=rest[0].split(".")[0]), None).store
        getattr(store, what)(table(rest[0]))
    return 0
"""


def small_wheel() -> bytes:
    """Return its bytes."""
    files = {
        "pipelines/__init__.py": "", "pipelines/lakehouse/__init__.py": "", "pipelines/lakehouse/engines/__init__.py": "",
        "pipelines/lakehouse/engines/choice.py": CHOICE, "small_entry.py": ENTRY,
        "small-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 0.1\n",
        "small-0.1.dist-info/entry_points.txt": "[console_scripts]\nsmall = small_entry:main\n",
    }  # fmt: skip
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()
