"""Delivered values become the declared types, each by itself: what cannot be converted is refused, and null."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.delivery import Instants
from pipelines.lakehouse.tables.arrow import ARROW_TYPES
from pipelines.sources.delivered import UNDECODED
from pipelines.sources.instants import Refuse, to_dates, to_instants, where

NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
WHOLE = r"^\s*[-+]?\d+(\.0*)?\s*$"
SHORT_WHOLE = r"^-?\d{1,18}$"
BOUNDS = {"int": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}


def convert(values: pa.ChunkedArray, family: str, kind: str, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    """Return plain values in a declared Spark SQL type.

    Parameters
    ----------
    values, family
        As `pipelines.sources.delivered.plain` returns them; the family is one that the declared type may be delivered in.
    kind
        The declared type.
    how
        How instants and dates are to be understood.
    refuse
        Is called with the rows of a kind of mistake and its words; their values are null in what is returned.
    """
    if family == "text":
        broken = pc.match_substring(values, UNDECODED)
        if pc.any(broken).as_py():
            refuse(broken, "has bytes that are not of the encoding: declare the encoding")
            values = where(values, pc.invert(broken))
    if kind == "double":
        return _to_double(values, family, refuse)
    if kind in BOUNDS:
        return _to_whole(values, family, kind, refuse)
    if kind == "boolean":
        return _to_boolean(values, family, refuse)
    if kind == "string":
        return values if family == "text" else _to_whole(values, family, "bigint", refuse).cast(pa.string())
    return (to_dates if kind == "date" else to_instants)(values, family, how, refuse)


def _to_double(values: pa.ChunkedArray, family: str, refuse: Refuse) -> pa.ChunkedArray:
    wrong = "is not a finite number"
    if family == "text":
        holds = pc.match_substring_regex(values, NUMBER)
        refuse(pc.invert(holds), wrong)
        values = _without_plus(pc.utf8_trim_whitespace(where(values, holds)))
    numbers = values.cast(pa.float64(), safe=family != "integer")  # the nearest number, as for text
    finite = pc.is_finite(numbers)
    refuse(pc.invert(finite), wrong)
    return where(numbers, finite)


def _to_whole(values: pa.ChunkedArray, family: str, kind: str, refuse: Refuse) -> pa.ChunkedArray:
    if family == "text":
        values = _whole_text(values, kind, refuse)
    elif family == "decimal":
        values = _exact(values.to_pylist(), kind, refuse)
    elif family == "float":
        values = values.cast(pa.float64())
        whole = pc.and_(pc.is_finite(values), pc.equal(pc.floor(values), values))
        refuse(pc.invert(whole), "is not a whole number")
        values = _bounded(where(values, whole), (-(2.0**63), 2.0**63 - 1_024), kind, refuse).cast(pa.int64())
    elif values.type == pa.uint64():
        values = _bounded(values, (0, BOUNDS["bigint"][1]), kind, refuse)
    values = values.cast(pa.int64())
    return (values if kind == "bigint" else _bounded(values, BOUNDS[kind], kind, refuse)).cast(ARROW_TYPES[kind])


def _whole_text(values: pa.ChunkedArray, kind: str, refuse: Refuse) -> pa.ChunkedArray:
    if pc.all(pc.match_substring_regex(values, SHORT_WHOLE)).as_py() is not False:
        return values.cast(pa.int64())
    holds = pc.match_substring_regex(values, WHOLE)
    refuse(pc.invert(holds), "is not a whole number")
    texts = pc.utf8_trim_whitespace(where(values, holds)).to_pylist()
    return _exact([None if text is None else Decimal(text) for text in texts], kind, refuse)


def _exact(numbers: list[Decimal | None], kind: str, refuse: Refuse) -> pa.ChunkedArray:
    """Return decimal numbers as whole ones."""
    low, high = BOUNDS["bigint"]
    outside = [number is not None and not low <= number <= high for number in numbers]
    refuse(_mask(outside), _outside(kind))
    inside = [None if away else number for number, away in zip(numbers, outside, strict=True)]
    refuse(_mask([number is not None and number % 1 != 0 for number in inside]), "is not a whole number")
    whole = [None if number is None or number % 1 != 0 else int(number) for number in inside]
    return pa.chunked_array([pa.array(whole, pa.int64())])


def _mask(holds: list[bool]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(holds, pa.bool_())])


def _bounded(values: pa.ChunkedArray, bounds: tuple[float, float], kind: str, refuse: Refuse) -> pa.ChunkedArray:
    low, high = (pa.scalar(bound, values.type) for bound in bounds)
    fits = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    refuse(pc.invert(fits), _outside(kind))
    return where(values, fits)


def _outside(kind: str) -> str:
    low, high = BOUNDS[kind]
    return f"does not fit into {kind}, {low} to {high}"


def _to_boolean(values: pa.ChunkedArray, family: str, refuse: Refuse) -> pa.ChunkedArray:
    if family == "boolean":
        return values
    if family == "integer":
        known = pc.is_in(values, pa.array([0, 1], values.type))
        refuse(pc.and_(pc.is_valid(values), pc.invert(known)), "is neither 0 nor 1")
        return pc.equal(where(values, known), pa.scalar(1, values.type))
    lower = pc.utf8_lower(values)
    known = pc.is_in(lower, pa.array(["true", "false"]))
    refuse(pc.and_(pc.is_valid(values), pc.invert(known)), "is not a boolean")
    return pc.equal(where(lower, pc.and_(known, pc.is_valid(values))), "true")


def _without_plus(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    signed = pc.starts_with(texts, "+")
    return pc.if_else(signed, pc.utf8_slice_codeunits(texts, 1), texts) if pc.any(signed).as_py() else texts
