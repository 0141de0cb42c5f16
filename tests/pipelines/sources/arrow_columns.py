"""Columns of any Arrow type with any values, drawn by hypothesis; shared by the tests of sources."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

COUNTED = (
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "America/New_York", "No/Where")),
    *(pa.duration(unit) for unit in ("s", "ns")), pa.date64(),
)  # fmt: skip
"""Types whose values are counts of 64 bits, of which not all are instants that a Python object can hold."""
LARGE = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, 10**18, 1_357_034_400, 1_357_034_400_000, 1_357_034_400_000_001]),
)
TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            "", "a", "1", "-1", "+7", "7.0", "7.", "1e3", "1e18", "1e400", "inf", "nan", "1e-10", "9" * 19, "9" * 40, "0" * 30,
            "9223372036854775807", "9223372036854775808", "true", "False", "NA", "2013-01-01", "9999-12-31", "0000-01-01",
            "2013-02-29", "2012-02-29", "2013-01-01T10:00:00Z", "2013-01-01 10:00", "2013-03-10T02:30:00",
            "2013-11-03T01:30:00", "2013-01-01T10:00:00.1234567Z", "2013-01-01T10:00:00.1234560Z", "0001-01-01T00:00+14:00",
            "9999-12-31T23:59-14:00", "2013-01-01T24:00:00Z", "\ud7ff", "\ufffd", "\x00", " 5 ", "2013-01-01T10:00:60Z",
        ]
    ),
)  # fmt: skip
FLOATS = st.one_of(st.floats(), st.sampled_from([1e18, 2.0**63, 1e-10, float("inf"), float("nan"), 7.0, 0.5]))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**30), max_value=10**30)


def _listed(kind: pa.DataType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[pa.Array]:
    return st.lists(st.one_of(st.none(), values), min_size=1, max_size=6).map(lambda found: pa.array(found, kind))


def _counted(kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
    return _listed(pa.int64(), LARGE).map(lambda counts: counts.view(kind))


PLAIN = st.one_of(
    _listed(pa.string(), TEXTS), _listed(pa.large_string(), TEXTS), _listed(pa.string_view(), TEXTS),
    _listed(pa.binary(), st.binary(max_size=6)), _listed(pa.binary(2), st.binary(min_size=2, max_size=2)),
    _listed(pa.binary_view(), st.binary(max_size=4)),
    _listed(pa.int64(), LARGE), _listed(pa.uint64(), st.integers(0, 2**64 - 1)), _listed(pa.int8(), st.integers(-128, 127)),
    _listed(pa.uint32(), st.integers(0, 2**32 - 1)),
    _listed(pa.float64(), FLOATS), _listed(pa.float32(), st.floats(width=32)), _listed(pa.float16(), st.floats(width=16)),
    _listed(pa.decimal128(38, 2), DECIMALS), _listed(pa.decimal256(70, 10), DECIMALS),
    _listed(pa.decimal64(18, 2), st.decimals(places=2, min_value=-(10**15), max_value=10**15)),
    _listed(pa.decimal128(20, -3), st.integers(-(10**9), 10**9).map(lambda n: Decimal(n) * 1_000)),
    _listed(pa.bool_(), st.booleans()), _listed(pa.null(), st.none()),
    _listed(pa.int32(), st.integers(-(2**31), 2**31 - 1)).map(lambda days: days.view(pa.date32())),
    _listed(pa.time32("s"), st.times().map(lambda t: t.replace(microsecond=0))), _listed(pa.time64("ns"), st.times()),
    st.sampled_from(COUNTED).flatmap(_counted),
    _listed(pa.list_(pa.int64()), st.lists(LARGE, max_size=3)),
    _listed(pa.list_(pa.timestamp("s")), st.lists(st.just(dt.datetime(2013, 1, 1)), max_size=2)),  # noqa: DTZ001 -- naive
    _listed(pa.list_view(pa.int64()), st.lists(LARGE, max_size=3)),
    _listed(pa.struct([("x", pa.float64())]), st.fixed_dictionaries({"x": FLOATS})),
    _listed(pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(TEXTS, LARGE), max_size=2)),
    _listed(pa.month_day_nano_interval(), st.just((1, 2, 3))),
)  # fmt: skip


def _run_ends(values: pa.Array) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(values) + 1), pa.int32()), values)


def _dictionary(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(range(len(values)), pa.int32()), values)


def _union(values: pa.Array) -> pa.Array:
    return pa.UnionArray.from_dense(
        pa.array([0] * len(values), pa.int8()), pa.array(range(len(values)), pa.int32()), [values]
    )


def _extension(values: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.opaque(values.type, "any", "tests"), values)


BROKEN_TEXT = _listed(pa.binary(), st.binary(max_size=6)).map(lambda found: found.view(pa.string()))
"""Text that is not UTF-8, as a file can hold it."""


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    """Draw a column of 1 to 6 values, of any type and encoding."""
    encoding = draw(st.sampled_from([None, None, None, _dictionary, _run_ends, _union, _extension]))
    return draw(st.one_of(PLAIN, BROKEN_TEXT)) if encoding is None else encoding(draw(PLAIN.filter(_is_valid)))


def _is_valid(values: pa.Array) -> bool:
    """Tell whether Arrow takes the values into another encoding: a date64 within a day it does not."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
