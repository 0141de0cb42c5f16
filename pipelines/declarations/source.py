"""A feed as declared: the bronze table that it fills and the contract that its rows must fulfil."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.declarations.asset import Table
from pipelines.declarations.mistakes import DeclarationError, require_identifier, require_tuples


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

    def __post_init__(self) -> None:
        require_tuples(f"rule for column {self.column!r}", self)
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
        the columns of `table`, each as text where the feed delivers text.
    corrections
        How corrected rows arrive. A corrected file for a window that was read before is always read again.
    late_days
        A job without ``since`` reads so many days again before the end of what was delivered, for rows that come late.
    """

    name: str
    reader: str
    table: Table
    rules: tuple[Rule, ...] = ()
    corrections: Corrections = Corrections.NEVER
    late_days: int = 0

    def __post_init__(self) -> None:
        require_identifier("source", self.name)
        require_tuples(f"source {self.name}", self)
        for rule in self.rules:
            self.table.column(rule.column)
        if self.late_days < 0:
            raise DeclarationError(f"source {self.name}: late_days is {self.late_days}; give 0 or more.")
        if self.corrections is Corrections.REPLACE_WINDOW and self.table.time_key is None:
            raise DeclarationError(
                f"source {self.name}: corrections by {self.corrections.value!r} need a table with a time_key, and "
                f"{self.table.address} has none: declare it, or {Corrections.NEWER_ROW.value!r}."
            )
        if self.corrections is Corrections.NEWER_ROW and not self.table.row_key:
            raise DeclarationError(
                f"source {self.name}: corrections by {self.corrections.value!r} need a table with a primary key, and "
                f"{self.table.address} has none: declare it."
            )
