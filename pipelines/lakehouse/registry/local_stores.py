"""MLflow's SQLite files: created from one schema made once a process, since MLflow's forty migrations take seconds."""

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

SQLITE = "sqlite:///"
DEFAULT_ARTIFACTS = Path("mlruns")
"""The folder that MLflow makes in the working directory for its default experiment, which is not used here."""


def prepare(uri: str) -> None:
    """Create the file behind a SQLite URI with MLflow's tables unless it is there; other URIs are left alone.

    A file that exists is never touched: two processes that create it at once both end with the first one's.
    """
    if not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).exists():
        return
    file = Path(uri.removeprefix(SQLITE))
    complete = file.with_name(f".{file.name}.{uuid4().hex}")
    complete.write_bytes(_empty_database())
    with suppress(FileExistsError):
        os.link(complete, file)
    complete.unlink()


@contextmanager
def no_default_folder() -> Iterator[None]:
    """Leave no empty ``mlruns`` in the working directory: MLflow makes one whenever it opens a SQLite file."""
    existed = DEFAULT_ARTIFACTS.exists()
    yield
    if not existed:
        with suppress(OSError):  # somebody put something into it: then it stays
            DEFAULT_ARTIFACTS.rmdir()


@functools.cache
def _empty_database() -> bytes:
    # Imported only where a file is made: by then the lines that it logs on import are kept away (`quiet_mlflow`).
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mlflow.db")
        store = SqlAlchemyStore(f"{SQLITE}{file}")  # type: ignore[no-untyped-call]  # MLflow's own
        store.engine.dispose()
        return file.read_bytes()
