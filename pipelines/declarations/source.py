"""A feed as declared: the bronze table that it fills and the contract that its rows must fulfil."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from types import MappingProxyType

from pipelines.declarations.asset import Table
from pipelines.declarations.delivery import Delivered, Instants, require_clock, types_of
from pipelines.declarations.environment_data import REAL, EnvironmentData, data_mistakes
from pipelines.declarations.mistakes import (
    DeclarationError,
    gathered,
    refuse,
    refuse_all,
    require_identifier,
    require_types,
    require_unique,
    unknown,
)

EARLIEST, LATEST = dt.date(1980, 1, 1), dt.date(2099, 12, 31)
"""Plausible dates unless a source declares others. A zero, and a count in too coarse a unit, become dates of 1970; what
stands for "never" is a date like 9999-12-31. Both are constants: a row is judged alike whenever it is delivered."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one column of a source must fulfil, beyond its declared type and being present where not nullable.

    Attributes
    ----------
    minimum, maximum
        Inclusive bounds of a number; None for none.
    allowed
        The only texts allowed; empty for any.
    """

    column: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()

    @gathered
    def __post_init__(self) -> None:
        require_types(f"rule for column {self.column!r}", self)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise DeclarationError(
                f"rule for column {self.column!r}: the minimum {self.minimum} is above the maximum {self.maximum}."
            )


class Corrections(StrEnum):
    """How a feed corrects what it has delivered.

    Attributes
    ----------
    NEVER
        It does not: a row that contradicts the stored row of its key is quarantined.
    REPLACE_WINDOW
        A delivery holds everything that its window has: it replaces what is stored with a time in the window.
    NEWER_ROW
        A row replaces the stored row of its key. A row with a later time and the same primary key is a newer row, and
        labels and requests count as the newest row known before the instant, in every mode.
    """

    NEVER = "never"
    REPLACE_WINDOW = "replace_window"
    NEWER_ROW = "newer_row"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One feed and its contract: the bronze table gives types, required columns and key, `rules` the ranges.

    Attributes
    ----------
    reader
        ``module:function``; called with ``location``, ``since`` and ``until``, returns a `pyarrow.Table` with exactly
        the columns of `table`, each as text where the feed delivers text. Of a feed larger than memory it returns an iterator of
        record batches, or a Spark data frame; then neither is ever in memory as a whole.
    location
        Where the feed lies, as its reader understands it, unless the environment's settings or a run say otherwise; empty
        where the reader looks by itself.
    time_zone
        The zone of instants that are delivered without one, for example ``UTC`` or ``Europe/Berlin``. Empty: a row with
        such an instant is quarantined.
    time_unit
        The unit of instants that are delivered as whole numbers since 1970: ``s``, ``ms``, ``us`` or ``ns``. Empty: a row
        with such an instant is quarantined.
    earliest, latest
        The plausible dates of all its instants and dates, both inclusive.
    delivered
        Columns that differ: their time zone, unit, plausible dates, and the types in which they may be delivered.
    quarantine_limit
        The share of a delivery's rows, from 0 to 1, above which their quarantine is an alarm.
    corrections
        How corrected rows arrive. A corrected file for a window that was read before is always read again.
    late_days
        A job without ``since`` reads so many days again before the end of what was delivered, for rows that come late.
    expected_every_hours
        The longest time that usually passes without a row, by the table's `time_key`; after more of it the source has stopped.
        None to learn it from the deliveries of eight weeks.
    personal
        The columns with data of persons, such as names, addresses and numbers by which a person can be told. Dev never receives
        them as they are.
    data
        What an environment receives, by its name; one that is not named receives real data.
    """

    name: str
    reader: str
    table: Table
    rules: tuple[Rule, ...] = ()
    location: str = ""
    time_zone: str = ""
    time_unit: str = ""
    earliest: dt.date = EARLIEST
    latest: dt.date = LATEST
    delivered: tuple[Delivered, ...] = ()
    quarantine_limit: float = 0.5
    corrections: Corrections = Corrections.NEVER
    late_days: int = 0
    expected_every_hours: float | None = None
    personal: tuple[str, ...] = ()
    data: Mapping[str, EnvironmentData] = field(default_factory=lambda: MappingProxyType({}))

    @gathered
    def __post_init__(self) -> None:
        where = f"source {self.name}"
        require_identifier("source", self.name)
        require_types(where, self)
        refuse_all(self._checks(where))

    def data_in(self, environment: str) -> EnvironmentData:
        """Return what an environment receives."""
        return self.data.get(environment, REAL)

    def types(self, column: str) -> tuple[str, ...]:
        """Return the types in which a column may be delivered."""
        return types_of(self.table.column(column).type, self._differing(column))

    def instants(self, column: str) -> Instants:
        """Return how the instants of a column are to be understood, and which are plausible."""
        own = self._differing(column)
        return Instants(
            time_zone=own.time_zone or self.time_zone,
            time_unit=own.time_unit or self.time_unit,
            earliest=own.earliest or self.earliest,
            latest=own.latest or self.latest,
        )

    def _checks(self, where: str) -> Iterator[Callable[[], object]]:
        """Yield the checks of the feed, each of which raises its own mistake."""
        yield partial(require_clock, where, self.time_zone, self.time_unit)
        yield partial(require_unique, "delivered column", where, [one.column for one in self.delivered])
        yield from (partial(_require_fit, where, rule, self.table) for rule in self.rules)
        yield from (partial(self.types, one.column) for one in self.delivered)
        for column in self.table.columns:
            yield partial(self.instants, column.name)
        yield partial(refuse, self._mistakes(where))

    def _mistakes(self, where: str) -> Iterator[str]:
        if not 0 <= self.quarantine_limit <= 1:
            yield f"{where}: quarantine_limit is {self.quarantine_limit}; give a share of rows from 0 to 1."
        yield from (f"{where}: {mistake}" for mistake in data_mistakes(self.table, self.personal, self.data))
        if self.late_days < 0:
            yield f"{where}: late_days is {self.late_days}; give 0 or more."
        if self.expected_every_hours is not None and not (self.expected_every_hours > 0 and self.table.time_key):
            yield (
                f"{where}: expected_every_hours is {self.expected_every_hours}; give more than 0, and a table with a time_key."
            )
        if self.corrections not in tuple(Corrections):
            yield f"{where}: {unknown('way of corrections', str(self.corrections), Corrections)}"
        if self.corrections is Corrections.REPLACE_WINDOW and self.table.time_key is None:
            yield (
                f"{where}: corrections by {self.corrections.value!r} need a table with a time_key, and "
                f"{self.table.address} has none: declare it, or {Corrections.NEWER_ROW.value!r}."
            )
        if self.corrections is Corrections.NEWER_ROW and not self.table.row_key:
            yield (
                f"{where}: corrections by {self.corrections.value!r} need a table with a primary key, and "
                f"{self.table.address} has none: declare it."
            )

    def _differing(self, column: str) -> Delivered:
        return next((one for one in self.delivered if one.column == column), Delivered(column=column))


def _require_fit(where: str, rule: Rule, table: Table) -> None:
    """Raise if a rule asks of a column what no value of its type can be judged by."""
    kind = table.column(rule.column).type
    if (rule.minimum is not None or rule.maximum is not None) and kind not in ("int", "bigint", "double"):
        raise DeclarationError(f"{where}: column {rule.column!r} is a {kind}; a minimum or maximum needs a number.")
    if rule.allowed and kind != "string":
        raise DeclarationError(f"{where}: column {rule.column!r} is a {kind}; allowed texts need a string.")
