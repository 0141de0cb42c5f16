"""How a feed delivers its values: the shape of its CSV files, and what a value that does not say it itself stands for."""

import codecs
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from ml.spec.near_miss import did_you_mean
from pipelines.declarations.mistakes import DeclarationError, gathered, require_types, unknown

UNITS = ("s", "ms", "us", "ns")
"""Units in which an instant can be counted since 1970."""
COMPRESSIONS = ("by name", "none", "gzip", "zip")
"""How a file may be compressed; ``by name`` goes by ``.gz`` and ``.zip``."""
TYPES_BY_DEFAULT: Mapping[str, tuple[str, ...]] = {
    "string": ("text", "integer"),
    "double": ("text", "integer", "float", "decimal"),
    "int": ("text", "integer", "float", "decimal"),
    "bigint": ("text", "integer", "float", "decimal"),
    "boolean": ("text", "boolean"),
    "date": ("text", "date", "timestamp"),
    "timestamp": ("text", "timestamp", "date", "integer"),
}
"""As what a column of each declared type may be delivered: text, and what converts without a guess."""
TYPES_ON_REQUEST: Mapping[str, tuple[str, ...]] = {"string": ("float", "decimal"), "boolean": ("integer",)}
"""What a source may allow beyond that: whole numbers that were stored with decimals as text; 0 and 1 as a boolean."""


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """The shape of a feed's CSV files.

    Attributes
    ----------
    delimiter
        The one character between two values.
    encoding
        As Python names it, for example ``utf-8``, ``cp1252`` or ``utf-16``.
    missing
        What stands for a missing value. ``NA`` is a value unless it is named here.
    quoted_missing
        Whether these words are missing values in quotes too; False where ``"NA"`` is text and NA is not.
    compression
        ``by name``, ``none``, ``gzip`` or ``zip``.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("",)
    quoted_missing: bool = True
    compression: str = "by name"

    @gathered
    def __post_init__(self) -> None:
        require_types("CSV format", self)
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise DeclarationError(
                f"CSV format: delimiter is {self.delimiter!r}; give one ASCII character that is no quote and no end of line."
            )
        if self.compression not in COMPRESSIONS:
            raise DeclarationError(f"CSV format: {unknown('compression', self.compression, COMPRESSIONS)}")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise DeclarationError(
                f"CSV format: encoding {self.encoding!r} is unknown; give a name that Python knows, such as utf-8 or cp1252."
            ) from None


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """How one column is delivered, where that differs from its source.

    Attributes
    ----------
    types
        The only types in which values are taken: ``text``, ``integer``, ``float``, ``decimal``, ``boolean``, ``date``,
        ``timestamp``; empty for the default of the declared type.
    time_zone, time_unit, earliest, latest
        As in `Source`, for this column; empty or None for what the source declares.
    """

    column: str
    types: tuple[str, ...] = ()
    time_zone: str = ""
    time_unit: str = ""
    earliest: dt.date | None = None
    latest: dt.date | None = None

    @gathered
    def __post_init__(self) -> None:
        where = f"delivered column {self.column!r}"
        require_types(where, self)
        require_clock(where, self.time_zone, self.time_unit)


@dataclass(frozen=True, kw_only=True)
class Instants:
    """What is needed to understand the instants of one column, and which of them are plausible."""

    time_zone: str
    time_unit: str
    earliest: dt.date
    latest: dt.date

    def __post_init__(self) -> None:
        if self.earliest > self.latest:
            raise DeclarationError(f"the earliest date {self.earliest} is after the latest {self.latest}.")


def require_clock(where: str, time_zone: str, time_unit: str) -> None:
    """Raise unless a time zone exists and a unit is one of `UNITS`; both may be empty.

    Raises
    ------
    DeclarationError
        With the name that was probably meant.
    """
    if time_unit and time_unit not in UNITS:
        raise DeclarationError(f"{where}: {unknown('time unit', time_unit, UNITS)}")
    if time_zone not in ("", "UTC"):
        import zoneinfo  # it takes a tenth of the processor time of the shortest commands

        try:
            zoneinfo.ZoneInfo(time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            near = did_you_mean(time_zone, zoneinfo.available_timezones())
            hint = near or "give a name such as UTC or Europe/Berlin."
            raise DeclarationError(f"{where}: unknown time zone {time_zone!r}: {hint}") from None


def types_of(declared: str, delivered: Delivered) -> tuple[str, ...]:
    """Return the types in which a column of a declared type may be delivered.

    Raises
    ------
    DeclarationError
        If a type is asked for that cannot become the declared one.
    """
    possible = TYPES_BY_DEFAULT[declared] + TYPES_ON_REQUEST.get(declared, ())
    for kind in delivered.types:
        if kind not in possible:
            raise DeclarationError(
                f"delivered column {delivered.column!r}: {unknown(f'type for a {declared}', kind, possible)}"
            )
    return delivered.types or TYPES_BY_DEFAULT[declared]
