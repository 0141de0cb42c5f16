"""MLflow's SQLite files: created from one schema made once a process, since MLflow's forty migrations take seconds."""

import functools
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from ml.spec.errors import LakehouseError
from pipelines.lakehouse.tables.paths import plain_folder

SQLITE = "sqlite:///"
PACKAGE_FOLDER = "_get_package_dir"
"""MLflow's own function that says where it is installed."""
DEFAULT_ARTIFACTS = Path("mlruns")
"""The folder that MLflow makes in the working directory for its default experiment, which is not used here."""


class StoreDamageError(LakehouseError):
    """A database of runs or models that is not whole."""


def prepare(uri: str) -> None:
    """Create the file behind a SQLite URI with MLflow's tables unless it is there; other URIs are left alone.

    A file that exists is never touched: two processes that create it at once both end with the first one's.

    Raises
    ------
    StoreDamageError
        If the file is there and no database, or not the whole of it.
    """
    if not uri.startswith(SQLITE):
        return
    _let_migrations_be_found()
    file = Path(uri.removeprefix(SQLITE))
    if file.exists():
        _require_sound(file)
        return
    complete = file.with_name(f".{file.name}.{uuid4().hex}")
    complete.write_bytes(_empty_database())
    with suppress(FileExistsError):
        os.link(complete, file)
    complete.unlink()


def _let_migrations_be_found() -> None:
    """Give MLflow a plain way to its own folder where that has a percent sign, as below a clone in such a folder.

    MLflow puts the folder of its migrations into a configuration in which that sign begins the name of another setting.
    """
    from mlflow.store.db import utils

    folder = getattr(utils, PACKAGE_FOLDER)()
    if "%" in folder:
        plain = str(plain_folder(Path(folder)))
        setattr(utils, PACKAGE_FOLDER, lambda: plain)


def _require_sound(file: Path) -> None:
    """MLflow itself would take an empty file for a new database, and try a truncated one again for minutes."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0]
        what = "" if tables else "holds nothing" if file.stat().st_size == 0 else "is not MLflow's"
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # somebody writes just now, so it is in use
            return
        what = f"cannot be opened ({error})"
    except sqlite3.DatabaseError as error:
        what = f"is damaged ({error})"
    if what:
        raise StoreDamageError(
            f"the database {file.resolve()} with runs and models {what}, last changed "
            f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC: restore it from a backup, or move it "
            "away and train again; tables are not concerned."
        )


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
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mlflow.db")
        # It also adds the default experiment, with an unquoted path: later that would be the working directory.
        store = SqlAlchemyStore(f"{SQLITE}{file}", f"{folder}/{DEFAULT_ARTIFACTS}")  # type: ignore[no-untyped-call]  # MLflow's own
        store.engine.dispose()
        return file.read_bytes()
