"""Feature tables that one use case shares and others read: what a reader relies on, and whether its owner keeps to it.

No use case imports another's folder. A reader states the table again, as far as it relies on it: name, key, the columns that
it looks up, how late and how fresh rows are. The checks here compare that with what the owner declares, so that a change that
would break a reader is refused before it runs, with the reader's name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.declarations.asset import Layer, Table
from pipelines.declarations.mistakes import gathered, refuse, require_types, unknown

if TYPE_CHECKING:
    from pipelines.declarations.feature_table import FeatureTable
    from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class SharedFeatures:
    """A shared feature table of another use case, with what this one relies on.

    Attributes
    ----------
    table
        As its owner declares it, with ``use_case`` the owner's and `Layer.SHARED`; of the columns that are no key only those that
        lookups read.
    fresh_within_hours
        How old its newest row may be before monitoring reports it to this use case; no less than the owner promises.
    available_after_minutes
        As of `FeatureTable`; no less than the owner states.
    """

    table: Table
    fresh_within_hours: float
    available_after_minutes: int = 0

    @gathered
    def __post_init__(self) -> None:
        require_types("shared features", self)
        where, mistakes = f"shared features {self.table.address}", []
        if self.table.layer is not Layer.SHARED:
            mistakes.append(f"{where}: only tables of Layer.SHARED may be read by others; ask its owner to share it.")
        if not self.table.is_feature_table:
            mistakes.append(f"{where} need a primary key and a time key.")
        if not self.fresh_within_hours > 0:
            mistakes.append(f"{where}: fresh_within_hours is {self.fresh_within_hours}; give more than 0.")
        if self.available_after_minutes < 0:
            mistakes.append(f"{where}: available_after_minutes is {self.available_after_minutes}; give 0 or more.")
        refuse(mistakes)


@dataclass(frozen=True, kw_only=True)
class SharedTable:
    """One entry of the catalogue of shared feature tables.

    Attributes
    ----------
    team
        Of the use case that owns it.
    readers
        The use cases that read it.
    """

    feature: "FeatureTable"
    team: str
    readers: tuple["UseCase", ...]

    @property
    def table(self) -> Table:
        """The table as its owner declares it."""
        return self.feature.table

    @property
    def fresh_within_hours(self) -> float:
        """The promise of its owner."""
        return self.feature.fresh_within_hours or 0.0


def catalogue(use_cases: Sequence["UseCase"]) -> tuple[SharedTable, ...]:
    """Return every shared feature table with its owner and its readers, by address."""
    found = [
        SharedTable(feature=feature, team=owner.team, readers=readers_of(feature.table.address, use_cases))
        for owner in use_cases
        for feature in owner.features
        if feature.is_shared
    ]
    return tuple(sorted(found, key=lambda one: one.table.address))


def readers_of(address: str, use_cases: Iterable["UseCase"]) -> tuple["UseCase", ...]:
    """Return the use cases that read a shared feature table."""
    return tuple(one for one in use_cases if address in [read.table.address for read in one.shared_features])


def owners_first(use_cases: Sequence["UseCase"]) -> tuple["UseCase", ...]:
    """Return use cases in an order in which each comes after those whose tables it reads; otherwise as they were.

    Of use cases that read each other's tables the one that was first is first.
    """
    by_name, found = {one.name: one for one in use_cases}, dict[str, "UseCase"]()

    def add(one: "UseCase", waiting: tuple[str, ...]) -> None:
        for name in owners_of(one):
            if name in by_name and name not in (*waiting, *found):
                add(by_name[name], (*waiting, one.name))
        found.setdefault(one.name, one)

    for one in use_cases:
        add(one, ())
    return tuple(found.values())


def owners_of(use_case: "UseCase") -> tuple[str, ...]:
    """Return the names of the use cases whose shared tables one reads."""
    return tuple(dict.fromkeys(read.table.use_case for read in use_case.shared_features))


def own_sharing_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield what is wrong with the shared features of one use case, as far as it is known without their owners."""
    for table in (*(source.table for source in use_case.sources), use_case.labels.table):
        if table.layer is Layer.SHARED:
            yield f"{table.address} is declared with Layer.SHARED, which is for feature tables: sources and labels stay its own."
    looked_up = {lookup.table.address: lookup.table for lookup in use_case.lookups}
    seen: set[str] = set()
    for read in use_case.shared_features:
        address = read.table.address
        if read.table.use_case == use_case.name:
            yield f"shared_features: {address} is its own table; name it in a lookup alone."
        if address in seen:
            yield f"shared_features: {address} is named more than once; name it once."
        seen.add(address)
        if address not in looked_up:
            yield f"shared_features: no lookup reads {address}; add one or leave it out."
        elif looked_up[address] != read.table:
            yield f"shared_features: the lookup of {address} has other columns or keys; use one value for both."


def sharing_mistakes(use_cases: Sequence["UseCase"], *, about: str | None = None) -> list[str]:
    """Return where readers rely on what an owner does not declare, one sentence each, with the names of both.

    Parameters
    ----------
    use_cases
        All of them.
    about
        The use case about which it is asked, as a reader or as an owner; None for all.
    """
    owners = {one.name: one for one in use_cases}
    return [
        *_schema_clashes(use_cases),
        *(
            f"use case {reader.name}: {mistake}"
            for reader in use_cases
            for read in reader.shared_features
            if about in (None, reader.name, read.table.use_case)
            for mistake in _broken(read, owners)
        ),
    ]


def _broken(read: SharedFeatures, owners: Mapping[str, "UseCase"]) -> Iterator[str]:
    """Yield why a reader cannot rely on a table."""
    wanted = read.table
    where = f"it reads the shared feature table {wanted.address}"
    owner = owners.get(wanted.use_case)
    if owner is None:
        yield f"{where}, and there is no use case {wanted.use_case!r}: {unknown('use case', wanted.use_case, owners)}"
        return
    shared = {feature.table.address: feature for feature in owner.features if feature.is_shared}
    asked = f"{owner.name} (team {owner.team})"
    if wanted.address not in shared:
        names = [table.name for table in (feature.table for feature in shared.values())]
        yield f"{where}, and {asked} shares no such table: {unknown('shared table', wanted.name, names)}"
        return
    feature = shared[wanted.address]
    given = {column.name: column for column in feature.table.columns}
    for column in wanted.columns:
        if column.name not in given:
            yield f"{where} of {asked} with column {column.name!r}: {unknown('column', column.name, given)}"
        elif given[column.name].type != column.type:
            yield (
                f"{where} of {asked} with column {column.name!r} as {column.type}, and it is declared as "
                f"{given[column.name].type}: declare one type for both."
            )
    if feature.table.row_key != wanted.row_key:
        yield (
            f"{where} of {asked} by the key {', '.join(wanted.row_key)}, and it is declared with "
            f"{', '.join(feature.table.row_key)}: use one key."
        )
    yield from _promises(where, asked, feature, read)


def _promises(where: str, asked: str, feature: "FeatureTable", read: SharedFeatures) -> Iterator[str]:
    promised = feature.fresh_within_hours or 0.0
    if read.fresh_within_hours < promised:
        yield (
            f"{where} as fresh within {read.fresh_within_hours:g} hours, and {asked} promises {promised:g} "
            "(fresh_within_hours): allow for it, or ask the owner for more."
        )
    if read.available_after_minutes < feature.available_after_minutes:
        yield (
            f"{where} after {read.available_after_minutes} minutes, and {asked} states {feature.available_after_minutes} "
            "(available_after_minutes): a model would learn from rows that scoring cannot have; state as many."
        )


def _schema_clashes(use_cases: Sequence["UseCase"]) -> Iterator[str]:
    """Yield schemas that two use cases would have: grants and tables of one would be those of the other."""
    owners: dict[str, str] = {}
    for one in use_cases:
        for schema in one.schemas:
            if owners.setdefault(schema, one.name) != one.name:
                yield f"use cases {owners[schema]} and {one.name} both have the schema {schema!r}: rename one of them."
