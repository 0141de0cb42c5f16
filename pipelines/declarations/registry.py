"""Finds the declared use cases: every folder of `pipelines.use_cases` with a `declaration` module that has `USE_CASE`."""

import functools
import importlib
import pkgutil

from ml.spec.near_miss import nearest
from pipelines.declarations.asset import Table
from pipelines.declarations.branch import branched, original_of
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.shared_features import sharing_mistakes
from pipelines.declarations.use_case import UseCase
from pipelines.declarations.use_case_folder import read_use_case


@functools.cache
def use_cases() -> tuple[UseCase, ...]:
    """Return every declared use case, by name.

    Raises
    ------
    DeclarationError
        If declarations cannot be read, with a line for each folder that is wrong, or if one reads what no other shares as it
        says.
    """
    found, mistakes = declared()
    if wrong := mistakes or sharing_mistakes(found):
        raise DeclarationError("\n".join(wrong))
    return found


def declared(name: str | None = None) -> tuple[tuple[UseCase, ...], list[str]]:
    """Return the use cases that can be read, by name, and what is wrong with the folders of the others.

    Parameters
    ----------
    name
        The only one to read; None for all.

    Raises
    ------
    DeclarationError
        If there is no folder of that name, with the nearest one.
    """
    package = importlib.import_module("pipelines.use_cases")
    folders = [module.name for module in pkgutil.iter_modules(package.__path__)]
    if name is not None and name not in folders:
        raise DeclarationError(unknown("use case", name, folders))
    found, mistakes = [], []
    for folder in folders if name is None else (name,):
        try:
            found.append(read_use_case(package, folder))
        except DeclarationError as mistake:
            mistakes.append(str(mistake))
    return tuple(sorted(found, key=lambda use_case: use_case.name)), mistakes


def use_case(name: str) -> UseCase:
    """Return one use case by name, or the branch of one.

    Raises
    ------
    DeclarationError
        If there is none, with the nearest name.
    """
    original, branch = original_of(name)
    for found in use_cases():
        if found.name == original:
            return branched(found, branch) if branch else found
    raise DeclarationError(unknown("use case", name, [found.name for found in use_cases()]))


def jobs() -> tuple[Job, ...]:
    """Return every job of every use case: the jobs table."""
    return tuple(job for found in use_cases() for job in found.jobs)


def job(address: str) -> Job:
    """Return one job by its address ``<use case>.<job>``.

    Raises
    ------
    DeclarationError
        If there is none, with the nearest address.
    """
    name, _, short = address.partition(".")
    if original_of(name)[1]:
        return use_case(name).job(short)
    for found in jobs():
        if found.address == address:
            return found
    raise DeclarationError(_unknown_job(name, short))


def _unknown_job(name: str, short: str) -> str:
    """Return the sentence for an address that is none: which part of it, what is near, and what lists the rest."""
    declared = {found.name: [job.name for job in found.jobs] for found in use_cases()}
    if name in declared:
        what = unknown("job", f"{name}.{short}" if short else name, [f"{name}.{job}" for job in declared[name]])
        return f"{what} `list` shows all."
    near = nearest(name, declared)
    meant = f"{near}.{short}" if near and short in declared[near] else near
    hint = f": did you mean {meant!r}? Use" if meant else ". Use"
    address = f"{name}.{short}" if short else name
    return (
        f"unknown job {address!r}{hint} cases are {', '.join(declared)}; a job is USE_CASE.JOB, and `list` shows all."
    )


def tables() -> tuple[Table, ...]:
    """Return every table of every use case."""
    return tuple(table for found in use_cases() for table in found.tables)
