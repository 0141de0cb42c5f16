"""Redaction is deterministic, joinable, cannot be undone without the key, and keeps types and order."""

import datetime as dt
import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.declarations.environment_data import Redaction, RedactionRule
from pipelines.lakehouse.tables.arrow import UTC_INSTANT
from pipelines.sources.redaction import redact

KEY, OTHER = b"k" * 32, b"o" * 32
TEXTS = st.lists(st.none() | st.text(max_size=12), max_size=30)
WHOLES = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=30)
SMALL = st.lists(st.none() | st.integers(-(2**40), 2**40), max_size=30)
NUMBERS = st.lists(st.none() | st.floats(-1e9, 1e9), max_size=30)
EARLIEST, LATEST = (dt.datetime(year, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None) for year in (1900, 2099))
INSTANTS = st.lists(st.none() | st.datetimes(EARLIEST, LATEST), max_size=30)


def made(
    values: list[object], kind: pa.DataType, rule: RedactionRule, to: float | str | None = None, key: bytes = KEY
) -> pa.ChunkedArray:
    """A column after its redaction, with the facts that hold for every rule."""
    rows = pa.table({"other": pa.array(range(len(values))), "value": pa.array(values, kind)})
    redacted = redact(rows, {"value": Redaction(column="value", rule=rule, to=to)}, key)
    assert redacted.schema == rows.schema
    assert redacted["other"] == rows["other"]
    if rule is not RedactionRule.DROP:
        assert redacted["value"].is_null().to_pylist() == rows["value"].is_null().to_pylist()
    return redacted["value"]


@given(TEXTS)
def test_the_same_text_has_the_same_hash_and_another_one_another(values: list[str | None]) -> None:
    """In every run and batch, so keys join and stay keys."""
    hashed = made(values, pa.string(), RedactionRule.HASH).to_pylist()
    again = made(list(reversed(values)), pa.string(), RedactionRule.HASH).to_pylist()
    assert list(reversed(again)) == hashed
    assert len(set(hashed)) == len(set(values))


@given(WHOLES)
def test_a_whole_number_stays_one_and_is_never_negative(values: list[int | None]) -> None:
    """63 bits of the hash."""
    hashed = made(values, pa.int64(), RedactionRule.HASH).to_pylist()
    assert len(set(hashed)) == len(set(values))
    assert all(number is None or number >= 0 for number in hashed)


@given(TEXTS)
def test_without_the_key_no_hash_can_be_found_again(values: list[str | None]) -> None:
    """Another key gives other hashes; no plain digest of a value is one of them."""
    hashed = {text for text in made(values, pa.string(), RedactionRule.HASH).to_pylist() if text is not None}
    other = set(made(values, pa.string(), RedactionRule.HASH, key=OTHER).to_pylist())
    guesses = {
        algorithm(value.encode()).hexdigest()[: len(next(iter(hashed)))]
        for value in values
        if value is not None
        for algorithm in (hashlib.sha256, hashlib.md5, hashlib.sha1)
    }
    assert not hashed & (other | guesses)


def test_a_hash_without_a_key_is_refused() -> None:
    """It could be undone."""
    with pytest.raises(ValueError, match="without a key"):
        made(["a"], pa.string(), RedactionRule.HASH, key=b"")


def test_a_key_joins_across_sources_whatever_the_column_is_called() -> None:
    """The hash depends on the value alone."""
    one = redact(
        pa.table({"customer": ["c1", "c2"]}), {"customer": Redaction(column="customer", rule=RedactionRule.HASH)}, KEY
    )
    two = redact(pa.table({"buyer": ["c2", "c3"]}), {"buyer": Redaction(column="buyer", rule=RedactionRule.HASH)}, KEY)
    assert set(one["customer"].to_pylist()) & set(two["buyer"].to_pylist()) == {one["customer"][1].as_py()}


@given(SMALL, st.integers(1, 1000))
def test_whole_numbers_are_rounded_down_to_multiples(values: list[int | None], step: int) -> None:
    """Below zero too."""
    rounded = made(values, pa.int64(), RedactionRule.GENERALIZE, to=float(step)).to_pylist()
    assert rounded == [None if value is None else value // step * step for value in values]


@given(NUMBERS, st.sampled_from([0.5, 1.0, 10.0, 250.0]))
def test_numbers_are_rounded_down_to_multiples(values: list[float | None], step: float) -> None:
    """Each lies less than a step below its value."""
    rounded = made(values, pa.float64(), RedactionRule.GENERALIZE, to=step).to_pylist()
    for value, low in zip(values, rounded, strict=True):
        assert value is None or (low <= value < low + step and (low / step).is_integer())


@given(INSTANTS, st.sampled_from(["day", "month", "year"]))
def test_instants_and_dates_are_the_beginning_of_their_period(values: list[dt.datetime | None], unit: str) -> None:
    """In UTC."""
    nothing = {"day": {}, "month": {"day": 1}, "year": {"day": 1, "month": 1}}[unit]
    zoned = [None if value is None else value.replace(tzinfo=dt.UTC) for value in values]
    begun = [None if v is None else v.replace(hour=0, minute=0, second=0, microsecond=0, **nothing) for v in zoned]
    assert made(list(zoned), UTC_INSTANT, RedactionRule.GENERALIZE, to=unit).to_pylist() == begun
    days = [None if value is None else value.date() for value in values]
    expected = [None if value is None else value.date() for value in begun]
    assert made(list(days), pa.date32(), RedactionRule.GENERALIZE, to=unit).to_pylist() == expected


@given(TEXTS, st.integers(1, 5))
def test_texts_keep_their_first_characters(values: list[str | None], characters: int) -> None:
    """Characters, not bytes."""
    cut = made(list(values), pa.string(), RedactionRule.GENERALIZE, to=characters).to_pylist()
    assert cut == [None if value is None else value[:characters] for value in values]


def test_a_dropped_column_has_no_value_and_its_type() -> None:
    """So that builders and contracts see the column that they know."""
    assert made([1.0, 2.0], pa.float64(), RedactionRule.DROP).to_pylist() == [None, None]
