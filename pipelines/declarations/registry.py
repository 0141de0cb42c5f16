"""Finds what is declared: every folder of `pipelines.use_cases` with a `declaration` module that has `USE_CASE`."""

import functools
import importlib
import pkgutil

from pipelines.declarations.asset import Table
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.use_case import UseCase


@functools.cache
def use_cases() -> tuple[UseCase, ...]:
    """Return every declared use case, by name.

    Raises
    ------
    DeclarationError
        If a folder's declaration states another name than the folder's.
    """
    package = importlib.import_module("pipelines.use_cases")
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        declared: UseCase = importlib.import_module(f"{package.__name__}.{module.name}.declaration").USE_CASE
        if declared.name != module.name:
            raise DeclarationError(f"use case in folder {module.name!r} calls itself {declared.name!r}: use one name.")
        found.append(declared)
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
