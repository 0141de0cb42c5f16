"""Redaction of rows: a pure function on columns. Types, order and number of rows stay; missing values stay missing.

A hash is HMAC-SHA-256 with a key (RFC 2104), so without the key nobody can tell a value by hashing all that are possible; the
same value has the same hash in every source, column and run.
"""

import hashlib
import hmac
import math
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.environment_data import Redaction, RedactionRule
from pipelines.scoring.columns import ARROW_TYPES

TEXT_CHARACTERS = 32
"""Characters of a hashed text: 128 bits in hex."""
WHOLE_BITS = 63
"""Bits of a hashed whole number: it is never negative."""


def redact(rows: pa.Table, redactions: Mapping[str, Redaction], key: bytes) -> pa.Table:
    """Return rows with some columns redacted.

    Parameters
    ----------
    rows
        In the declared types.
    redactions
        By column; the others stay as they are.
    key
        Of the hashes; not empty where there are any.

    Returns
    -------
    pyarrow.Table
        The same columns in the same order and types.
    """
    redacted = {
        name: _redacted(rows[name], redactions[name], key) if name in redactions else rows[name]
        for name in rows.column_names
    }
    return pa.table(redacted)


def _redacted(values: pa.ChunkedArray, one: Redaction, key: bytes) -> pa.ChunkedArray:
    kind = values.type
    match one.rule:
        case RedactionRule.DROP:
            return pa.chunked_array([pa.nulls(len(values), kind)])
        case RedactionRule.HASH:
            return _hashed(values, key)
        case RedactionRule.GENERALIZE:
            return _generalized(values, one.to).cast(kind)


def _hashed(values: pa.ChunkedArray, key: bytes) -> pa.ChunkedArray:
    """Hash each different value once."""
    if not key:
        raise ValueError("a hash without a key could be undone by hashing all values that are possible")
    kind, encoded = values.type, values.combine_chunks().dictionary_encode()
    words = [_digest(str(value), key) for value in encoded.dictionary.to_pylist()]
    if kind == ARROW_TYPES["string"]:
        made: pa.Array = pa.array([word[: TEXT_CHARACTERS // 2].hex() for word in words], kind)
    else:
        made = pa.array([int.from_bytes(word[:8]) >> (64 - WHOLE_BITS) for word in words], kind)
    return pa.chunked_array([made.take(encoded.indices)])


def _digest(value: str, key: bytes) -> bytes:
    return hmac.digest(key, value.encode(), hashlib.sha256)


def _generalized(values: pa.ChunkedArray, to: float | str | None) -> pa.ChunkedArray:
    kind = values.type
    if pa.types.is_temporal(kind):
        return pc.floor_temporal(values, unit=str(to))
    if pa.types.is_string(kind):
        return pc.utf8_slice_codeunits(values, 0, int(to or 0))
    step = float(to or 1)
    if pa.types.is_integer(kind):
        whole = int(step)
        # The remainder of Arrow's division has the sign of the dividend: below 0 it would round up.
        rest = pc.subtract(values, pc.multiply(pc.divide(values, whole), whole))
        return pc.subtract(values, pc.if_else(pc.less(rest, 0), pc.add(rest, whole), rest))
    return pc.multiply(pc.floor(pc.divide(values, step)), step) if math.isfinite(step) else values
