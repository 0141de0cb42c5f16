"""Finds the declared use cases: every folder of `pipelines.use_cases` with a `declaration` module that has `USE_CASE`."""

import functools
import importlib
import pkgutil

from pipelines.declarations.asset import Table
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.use_case import UseCase
from pipelines.declarations.use_case_folder import read_use_case


@functools.cache
def use_cases() -> tuple[UseCase, ...]:
    """Return every declared use case, by name.

    Raises
    ------
    DeclarationError
        If declarations cannot be read, with a line for each folder that is wrong.
    """
    package = importlib.import_module("pipelines.use_cases")
    found, mistakes = [], []
    for module in pkgutil.iter_modules(package.__path__):
        try:
            found.append(read_use_case(package, module.name))
        except DeclarationError as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        raise DeclarationError("\n".join(mistakes))
    return tuple(sorted(found, key=lambda use_case: use_case.name))


def use_case(name: str) -> UseCase:
    """Return one use case by name.

    Raises
    ------
    DeclarationError
        If there is none, with the nearest name.
    """
    for declared in use_cases():
        if declared.name == name:
            return declared
    raise DeclarationError(unknown("use case", name, [declared.name for declared in use_cases()]))


def jobs() -> tuple[Job, ...]:
    """Return every job of every use case: the jobs table."""
    return tuple(job for declared in use_cases() for job in declared.jobs)


def job(address: str) -> Job:
    """Return one job by its address ``<use case>.<job>``.

    Raises
    ------
    DeclarationError
        If there is none, with the nearest address.
    """
    for declared in jobs():
        if declared.address == address:
            return declared
    raise DeclarationError(unknown("job", address, [declared.address for declared in jobs()]))


def tables() -> tuple[Table, ...]:
    """Return every table of every use case."""
    return tuple(table for declared in use_cases() for table in declared.tables)
