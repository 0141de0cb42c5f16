"""A branch of a use case: the same declaration under a name of its own, beside the original in the first environment.

Everything that a use case has is named after it, so a branch has its own schemas, tables, model, experiment and jobs, and can touch
nothing of the original's. What it reads of others, shared feature tables, it reads where everybody does. It is not declared
anywhere: its name says what it is, ``<use case>_branch_<branch>``, and whoever calls a job by that name runs it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.declarations.asset import Table
from pipelines.declarations.environment import ENVIRONMENTS, Environment
from pipelines.declarations.feature_table import FeatureTable
from pipelines.declarations.mistakes import DeclarationError, require_identifier

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

INFIX = "_branch_"
"""What stands between the name of a use case and that of a branch; no use case has a name with it."""


def branch_name(use_case: str, branch: str) -> str:
    """Return the name of a branch of a use case.

    Raises
    ------
    DeclarationError
        If the branch has no name that schemas, addresses and jobs may have.
    """
    require_identifier("branch", branch)
    if INFIX in f"_{branch}_" or "_shared_" in f"_{branch}_":
        raise DeclarationError(
            f"branch {branch!r} has 'branch' or 'shared' in it, by which names are told apart: take another."
        )
    return f"{use_case}{INFIX}{branch}"


def original_of(name: str) -> tuple[str, str]:
    """Return the use case that a name is of, and the branch; empty where it is no branch."""
    use_case, infix, branch = name.partition(INFIX)
    return (use_case, branch) if infix and branch else (name, "")


def branched(use_case: "UseCase", branch: str) -> "UseCase":
    """Return a use case as a branch: all that it owns is under the branch's name, what it reads of others stays theirs."""
    name = branch_name(use_case.name, branch)

    def own(table: Table) -> Table:
        return replace(table, use_case=name) if table.use_case == use_case.name else table

    def built(feature: FeatureTable) -> FeatureTable:
        return replace(
            feature,
            table=own(feature.table),
            source=own(feature.source),
            further_sources=tuple(map(own, feature.further_sources)),
        )

    return replace(
        use_case,
        name=name,
        description=f"branch {branch}: {use_case.description}",
        sources=tuple(replace(source, table=own(source.table)) for source in use_case.sources),
        features=tuple(map(built, use_case.features)),
        labels=built(use_case.labels),
        spine=replace(use_case.spine, table=own(use_case.spine.table)),
        lookups=tuple(replace(lookup, table=own(lookup.table)) for lookup in use_case.lookups),
        model=replace(use_case.model, use_case=name),
        online=None,  # nothing serves a branch, and what it publishes would outlive it
    )


def require_branch_allowed(use_case: str, environment: Environment) -> None:
    """Refuse a branch in any environment but the first: the others run what was merged.

    Raises
    ------
    DeclarationError
        With the environment in which branches run.
    """
    _, branch = original_of(use_case)
    if branch and environment.receives_from is not None:
        first = next(iter(ENVIRONMENTS))
        raise DeclarationError(
            f"{use_case} is a branch, and {environment.name} runs what was merged: run branches in {first}."
        )
