"""What the columns of one's own file hold: the type that every value has, and how instants and numbers are written."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.mistakes import LONGEST
from pipelines.scaffold.written_instants import InstantForm, written_instants
from pipelines.sources.conversion import NUMBER, WHOLE
from pipelines.sources.delivered import plain
from pipelines.sources.instants import where
from pipelines.sources.local_forms import (
    DECIMAL_COMMA,
    SIGNS,
    THOUSANDS_COMMA,
    decimal_points,
    iso_counts,
    iso_instants,
    plain_numbers,
)

MISSING_WORDS = ("NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "-", "?", "#N/A", "\\N", "k.A.")
"""Words that stand for a missing value in files of many programs; taken for it only in a column of numbers or instants."""
MOSTLY = 0.95
"""A column has a type if so large a share of its values has it; the others break the contract."""
NUMBERS = ("bigint", "double", "boolean")
_SPELLED: Mapping[int, str] = {
    ord("ä"): "ae",
    ord("ö"): "oe",
    ord("ü"): "ue",
    ord("Ä"): "Ae",
    ord("Ö"): "Oe",
    ord("Ü"): "Ue",
    ord("ß"): "ss",
}
_TRUTH = r"^(?:true|false|True|False|TRUE|FALSE)$"
NUMBER_FORMS: Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "decimal_points": decimal_points,
    "plain_numbers": plain_numbers,
}
"""How numbers are read that the contract does not read as they are, by the name of the function."""
_LEADING_ZERO = r"^0\d"


@dataclass(frozen=True, kw_only=True)
class ValueKind:
    """The type of a column.

    Attributes
    ----------
    type
        A Spark SQL type: ``string``, ``bigint``, ``double``, ``boolean`` or ``timestamp``; empty for one that no column has.
    written
        Of instants: how they are written.
    number_form
        The function of `pipelines.sources.local_forms` that numbers need before the contract reads them; empty for none.
    odd
        Values that are not of the type.
    said
        What is ambiguous about it, a sentence each, without the name of the column.
    """

    type: str
    written: InstantForm | None = None
    number_form: str = ""
    odd: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileColumn:
    """One column of the file.

    Attributes
    ----------
    header, name
        In the file, and as declared.
    family
        In which of Arrow's types it is delivered, in the contract's words.
    values
        As delivered, without the words for a missing value.
    """

    header: str
    name: str
    family: str
    kind: ValueKind
    values: pa.ChunkedArray = field(repr=False)
    words: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """How many values are missing."""
        return int(self.values.null_count)

    @property
    def distinct(self) -> int:
        """How many different values it has."""
        return int(pc.count_distinct(self.values).as_py()) if self.kind.type else 0

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers, or true and false."""
        return self.kind.type in NUMBERS

    @property
    def is_instant(self) -> bool:
        """Whether it holds instants or days."""
        return self.kind.written is not None


def columns_of(rows: pa.Table, taken: Iterable[str]) -> tuple[FileColumn, ...]:
    """Return what each column of a file holds.

    Parameters
    ----------
    taken
        Names that a column cannot have.
    """
    names = declared_names(rows.column_names, taken)
    return tuple(_column(rows[header], header, name) for header, name in names.items())


def declared_names(headers: Sequence[str], taken: Iterable[str]) -> Mapping[str, str]:
    """Return a name that a declared column may have for each header, all different."""
    used, names = set(taken), {}
    for position, header in enumerate(headers, start=1):
        name = _identifier(header) or f"column_{position}"
        if name in used:
            free = (f"{name}_{ending}" for ending in ("value", *map(str, range(2, len(headers) + 3))))
            name = next(one for one in free if one not in used)
        used.add(name)
        names[header] = name
    return names


def delivered_as(column: FileColumn) -> pa.ChunkedArray:
    """Return the values of a column as the reader of the new use case delivers them."""
    written = column.kind.written
    if written and written.pattern:
        return iso_instants(column.values, written.pattern)
    if written and written.unit and column.family == "text":
        return iso_counts(column.values, written.unit)
    form = NUMBER_FORMS.get(column.kind.number_form)
    return form(column.values) if form else column.values


def numbers_of(column: FileColumn) -> pa.ChunkedArray:
    """Return the values of a column with numbers, or true and false, as doubles; missing where one is none."""
    values = delivered_as(column)
    if column.family != "text":
        return values.cast(pa.float64(), safe=False)
    if column.kind.type == "boolean":
        return pc.equal(pc.utf8_lower(values), "true").cast(pa.float64())
    return pc.utf8_trim_whitespace(where(values, pc.match_substring_regex(values, NUMBER))).cast(pa.float64())


def _identifier(header: str) -> str:
    spelled = header.translate(_SPELLED)
    plain_letters = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain_letters).lower()
    name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")[: LONGEST - 6].rstrip("_")
    return f"c_{name}" if name[:1].isdigit() else name


def _column(delivered: pa.ChunkedArray, header: str, name: str) -> FileColumn:
    values, family = plain(delivered)
    kind, words = _kind_of_text(values, header) if family == "text" else (_kind_of_typed(values, family, header), ())
    if words:
        values = where(values, pc.invert(pc.is_in(values, pa.array(words))))
    return FileColumn(header=header, name=name, family=family, kind=kind, values=values, words=words)


def _kind_of_typed(values: pa.ChunkedArray, family: str, header: str) -> ValueKind:
    if family in ("timestamp", "date", "integer") and (written := written_instants(values, family, header)):
        return ValueKind(type="timestamp", written=written)
    types = {"integer": "bigint", "float": "double", "decimal": "double", "boolean": "boolean", "text": "string"}
    return ValueKind(type=types.get(family, ""))


def _kind_of_text(values: pa.ChunkedArray, header: str) -> tuple[ValueKind, tuple[str, ...]]:
    """Return the type of a column of text, and the words in it that stand for a missing value."""
    held = pc.drop_null(values)
    words = tuple(word for word in MISSING_WORDS if pc.any(pc.equal(held, word)).as_py())
    said = held.filter(pc.invert(pc.is_in(held, pa.array(words, pa.string())))) if words else held
    if not len(said):
        return ValueKind(type="string"), ()
    kind = _instants_or_numbers(said, header)
    return (kind, words) if kind.type != "string" else (kind, ())


def _instants_or_numbers(said: pa.ChunkedArray, header: str) -> ValueKind:
    if pc.all(pc.match_substring_regex(said, _TRUTH)).as_py():
        return ValueKind(type="boolean")
    if written := written_instants(said, "text", header):
        return ValueKind(type="timestamp", written=written, odd=written.odd, said=written.said)
    if pc.any(pc.match_substring_regex(said, _LEADING_ZERO)).as_py() and _share(said, WHOLE) == 1:
        return ValueKind(
            type="string", said=("has whole numbers that begin with 0, so it is text, as numbers of articles are.",)
        )
    for kind, pattern in (("bigint", WHOLE), ("double", NUMBER)):
        if _share(said, pattern) >= MOSTLY:
            odd = _others(said, pattern)
            local = _local_numbers(said) if odd else None
            if local and local.number_form and len(local.odd) < len(odd):
                return local
            return ValueKind(type=kind, odd=odd, said=_points_in_doubt(said))
    return _local_numbers(said)


def _local_numbers(said: pa.ChunkedArray) -> ValueKind:
    """Return numbers with commas or signs, as far as the values tell what a comma stands for; else text."""
    signs = _share(said, SIGNS) > 0
    bare = pc.replace_substring_regex(said, rf"\s|{SIGNS}", "")
    commas = bare.filter(pc.match_substring(bare, ","))
    grouped = bool(len(commas)) and _share(commas, r"^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$") == 1
    if _share(said, THOUSANDS_COMMA) >= MOSTLY and (grouped or not len(commas)):
        plain_ones = bare.filter(pc.invert(pc.match_substring(bare, ",")))
        told = _share(commas, r"\.|,.*,") > 0 if grouped else True
        below = bool(len(plain_ones)) and _share(plain_ones, r"^[-+]?\d{1,3}(\.\d+)?$") == 1
        if told or below:
            return ValueKind(
                type="double", number_form="plain_numbers", odd=_others(said, THOUSANDS_COMMA),
                said=_taken_away(said, signs=signs, doubtful=grouped and not told),
            )  # fmt: skip
        why = "has numbers like 1,234, which may be 1.234 or 1234: it is taken as text; deliver it without the comma to have numbers."
        return ValueKind(type="string", said=(why,))
    if _share(said, DECIMAL_COMMA) < MOSTLY:
        return ValueKind(type="string")
    return ValueKind(
        type="double",
        number_form="decimal_points",
        odd=_others(said, DECIMAL_COMMA),
        said=_taken_away(said, signs=signs),
    )


def _points_in_doubt(said: pa.ChunkedArray) -> tuple[str, ...]:
    """Return that points may stand between thousands, where every number with a point could be such a one."""
    pointed = said.filter(pc.match_substring(said, "."))
    alike = bool(len(pointed)) and _share(pointed, r"^\s*[-+]?[1-9]\d{0,2}(\.\d{3})+\s*$") == 1
    if not alike or _share(said, r"^\s*[-+]?\d{1,3}(\.\d{3})*\s*$") < 1:
        return ()
    example = pointed[0].as_py().strip()
    why = f"has numbers like {example!r}: the point is taken for decimals; deliver them without it if it stands between thousands."
    return (why,)


def _taken_away(said: pa.ChunkedArray, *, signs: bool, doubtful: bool = False) -> tuple[str, ...]:
    """Return what is read otherwise than it is written: a sentence each."""
    found = []
    if signs:
        example = said.filter(pc.match_substring_regex(said, SIGNS))[0].as_py().strip()
        found.append(f"has numbers like {example!r}: they are read without the sign.")
    if doubtful:
        found.append("has numbers like 1,234 beside smaller ones without a comma: the comma is taken for thousands.")
    return tuple(found)


def _share(values: pa.ChunkedArray, pattern: str) -> float:
    return float(pc.mean(pc.match_substring_regex(values, pattern).cast(pa.float64())).as_py())


def _others(values: pa.ChunkedArray, pattern: str) -> tuple[str, ...]:
    return tuple(pc.filter(values, pc.invert(pc.match_substring_regex(values, pattern))).to_pylist())
