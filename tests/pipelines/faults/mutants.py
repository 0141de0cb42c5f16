"""The product broken on purpose: with each of these the harness must report a difference, or it compares nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deltalake import write_deltalake

from pipelines.execution import jobs
from pipelines.lakehouse.registry import models
from pipelines.lakehouse.tables import delta_files, tables
from pipelines.lakehouse.tables.store import Written
from pipelines.tasks.monitoring import retraining
from pipelines.tasks.versions import rollback, training


def _rows_are_appended_blindly() -> None:
    """Neither the key nor the batch is looked for, as in a plain append."""

    def append(self: Any, table: Any, rows: Any, _batch_id: str, count: int) -> Written:
        stored = self._open(table)
        write_deltalake(stored, rows, mode="append")
        return Written(rows=count, version=stored.version())

    delta_files.DeltaFiles.append = append  # type: ignore[method-assign]  # broken on purpose


def _batches_are_compared_with_themselves() -> None:
    """What is new is counted from a table to which the same batch has been written already."""
    tables.Tables.find_batch = lambda *_: None  # type: ignore[method-assign,assignment]


def _candidates_are_registered_again() -> None:
    """A run that goes on does not look for the versions that it has made."""
    training.registered_candidate = lambda *_, **__: None  # type: ignore[assignment]  # broken on purpose


def _decisions_belong_to_their_run_alone() -> None:
    """A retraining whose run was killed counts as done."""
    retraining._cut_off = lambda _context: set()


def _rollbacks_begin_again() -> None:
    """A rollback that was cut off is not looked for."""
    rollback.unfinished = lambda *_: None  # type: ignore[assignment]  # broken on purpose


def _nobody_holds_a_lock() -> None:
    """A job can be started while it runs."""

    @contextmanager
    def held(*_: Any) -> Iterator[None]:
        yield

    jobs.held_for_run = held  # type: ignore[assignment]  # broken on purpose


def _aliases_are_lost() -> None:
    """The alias of a champion is not set."""
    models.Models.set_alias = lambda *_: None  # type: ignore[method-assign,assignment]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__.removeprefix("_"): mutant
    for mutant in (
        _rows_are_appended_blindly,
        _batches_are_compared_with_themselves,
        _candidates_are_registered_again,
        _decisions_belong_to_their_run_alone,
        _rollbacks_begin_again,
        _nobody_holds_a_lock,
        _aliases_are_lost,
    )
}
"""What is broken, by name; each is called in the parent, after its undisturbed runs, and holds for all its later children."""
