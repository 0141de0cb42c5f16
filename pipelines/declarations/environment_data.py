"""What an environment receives of a source: its rows as they are, redacted, or made up. Declared per source and environment.

Whatever is not real is made before anything of a delivery is stored, so that an environment never has what it must not have.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipelines.declarations.asset import Column, Table
from pipelines.declarations.environment import DEV, ENVIRONMENTS
from pipelines.declarations.mistakes import DeclarationError, gathered, require_types, require_unique, unknown

SECRET_SCOPE, SECRET_KEY = "redaction", "key"
"""The secret with which a workspace hashes: only the identity of its jobs may read it."""
LEAST_KEY_BYTES = 32
"""A key is at least as long as the hash, 256 bits (https://www.rfc-editor.org/rfc/rfc2104#section-3)."""
UNITS_OF_TIME = ("day", "month", "year")
NUMBERS, TIMES = ("int", "bigint", "double"), ("date", "timestamp")
HASHED = ("string", "bigint")
"""The types that a hash fits into: a text of 128 bits, or a whole number of 63. Of 31 bits two keys would often be one."""


class DataKind(StrEnum):
    """What an environment receives.

    Attributes
    ----------
    REAL
        The rows as the feed delivers them.
    REDACTED
        The same rows, each column kept, dropped, hashed or generalized as declared.
    SYNTHETIC
        Rows that a function of the team makes; the feed is not read.
    """

    REAL = "real"
    REDACTED = "redacted"
    SYNTHETIC = "synthetic"


class RedactionRule(StrEnum):
    """What becomes of a column's values; missing ones stay missing.

    Attributes
    ----------
    DROP
        Every value is missing.
    HASH
        Its HMAC-SHA-256 with the environment's key: the same for the same value in every source, so that keys still join.
    GENERALIZE
        Rounded down: a number to a multiple, a date or instant to the beginning of its day, month or year, a text to its
        first characters.
    """

    DROP = "drop"
    HASH = "hash"
    GENERALIZE = "generalize"


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """What becomes of one column.

    Attributes
    ----------
    to
        Of `RedactionRule.GENERALIZE`: the step of a number, ``day``, ``month`` or ``year`` of a time, how many characters of a text.
    """

    column: str
    rule: RedactionRule
    to: float | str | None = None

    @gathered
    def __post_init__(self) -> None:
        require_types(f"redaction of {self.column!r}", self)
        if (self.rule is RedactionRule.GENERALIZE) != (self.to is not None):
            raise DeclarationError(
                f"redaction of {self.column!r}: rule {self.rule.value!r} with to={self.to!r}; `to` is for "
                f"{RedactionRule.GENERALIZE.value!r}, which needs it."
            )


@dataclass(frozen=True, kw_only=True)
class EnvironmentData:
    """What one environment receives of one source.

    Attributes
    ----------
    keep
        Of redacted data: the columns that stay as they are. Every column is either here or in `redactions`, so that a column that
        comes later is not received before somebody has decided.
    generator
        Of synthetic data: ``module:function``, called with ``since`` and ``until``; returns rows as a reader does.
    """

    kind: DataKind
    keep: tuple[str, ...] = ()
    redactions: tuple[Redaction, ...] = ()
    generator: str = ""

    @gathered
    def __post_init__(self) -> None:
        require_types("data of an environment", self)
        if (self.kind is DataKind.REDACTED) != bool(self.redactions) or (self.keep and not self.redactions):
            raise DeclarationError(
                f"data of an environment: {self.kind.value} with {len(self.redactions)} redactions and {len(self.keep)} kept "
                "columns; redacted data has redactions, other data neither."
            )
        if (self.kind is DataKind.SYNTHETIC) != bool(self.generator):
            raise DeclarationError(
                f"data of an environment: {self.kind.value} with generator={self.generator!r}; synthetic data needs a generator, "
                "other data has none."
            )

    @property
    def hidden(self) -> frozenset[str]:
        """The columns of which no value may be written anywhere."""
        return frozenset(one.column for one in self.redactions)


REAL = EnvironmentData(kind=DataKind.REAL)


def hashes(received: Iterable[EnvironmentData]) -> bool:
    """Return whether any of the data is hashed, so that a key is needed."""
    return any(one.rule is RedactionRule.HASH for data in received for one in data.redactions)


def data_mistakes(table: Table, personal: tuple[str, ...], data: Mapping[str, EnvironmentData]) -> Iterator[str]:
    """Yield what is wrong with what environments receive of a source.

    Parameters
    ----------
    table
        Its bronze table.
    personal
        The columns with data of persons.
    data
        Environment to what it receives; real data where it is not named.
    """
    names = [column.name for column in table.columns]
    yield from (f"personal: {unknown('column', name, names)}" for name in personal if name not in names)
    yield from (f"data: {unknown('environment', name, ENVIRONMENTS)}" for name in data if name not in ENVIRONMENTS)
    if personal and data.get(DEV.name, REAL).kind is DataKind.REAL:
        yield (
            f"personal columns {', '.join(personal)} would be in {DEV.name} as they are; declare what it receives instead: "
            f"data={{{DEV.name!r}: EnvironmentData(kind=DataKind.REDACTED, ...)}} or synthetic data."
        )
    for environment, received in data.items():
        if received.kind is DataKind.REDACTED:
            yield from (
                f"data of {environment}: {mistake}" for mistake in _redaction_mistakes(table, personal, received)
            )


def _redaction_mistakes(table: Table, personal: tuple[str, ...], data: EnvironmentData) -> Iterator[str]:
    names, stated = [column.name for column in table.columns], [*data.keep, *(one.column for one in data.redactions)]
    try:
        require_unique("redaction of column", "it", stated)
    except DeclarationError as mistake:
        yield str(mistake)
    yield from (unknown("column", name, names) for name in stated if name not in names)
    if left := [name for name in names if name not in stated]:
        yield f"nothing is said of {', '.join(left)}: name each column in keep or in redactions."
    yield from (f"personal column {name!r} is kept; redact it." for name in data.keep if name in personal)
    for one in data.redactions:
        if one.column in names and (wrong := _rule_mistake(table, table.column(one.column), one)):
            yield f"column {one.column!r}: {wrong}"


def _rule_mistake(table: Table, column: Column, one: Redaction) -> str:
    """Return why a rule cannot be applied to a column; empty if it can."""
    if column.name == table.time_key:
        return "it is the time key, by which what was known at an instant is told; keep it."
    match one.rule:
        case RedactionRule.DROP if not column.nullable:
            return "it may not be missing and cannot be dropped; hash it, generalize it, or let it be missing."
        case RedactionRule.HASH if column.type not in HASHED:
            return f"a {column.type} cannot be hashed; hash columns of {' or '.join(HASHED)}, or generalize it."
        case RedactionRule.GENERALIZE if column.name in table.row_key:
            return "it is part of the key, and rows that differ would have one; hash it."
        case RedactionRule.GENERALIZE:
            return _step_mistake(column, one.to)
        case _:
            return ""


def _step_mistake(column: Column, to: float | str | None) -> str:
    if column.type in TIMES:
        return (
            "" if to in UNITS_OF_TIME else f"to={to!r}; a {column.type} is generalized to {', '.join(UNITS_OF_TIME)}."
        )
    if column.type in NUMBERS:
        whole = column.type != "double"
        fits = isinstance(to, int | float) and to > 0 and (not whole or float(to).is_integer())
        return (
            ""
            if fits
            else f"to={to!r}; give a {'whole ' if whole else ''}number above 0 to whose multiples it is rounded."
        )
    if column.type == "string":
        fits = isinstance(to, int | float) and to > 0 and float(to).is_integer()
        return "" if fits else f"to={to!r}; give the number of first characters that stay."
    return f"a {column.type} cannot be generalized; drop or keep it."
