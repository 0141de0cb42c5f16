"""Numbers and instants as countries and programs write them, in the form that the contract reads.

A value that has not the stated form stays as it is, so the contract quarantines its row and shows what was delivered.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.sources.instants import where

SIGNS = r"[$€£¥%]"
"""Signs of currencies and per cent that programs write before or after a number."""
DECIMAL_COMMA = rf"^\s*{SIGNS}?\s*[-+]?(\d{{1,3}}(\.\d{{3}})+|\d+)(,\d+)?\s*{SIGNS}?\s*$"
"""A number with a comma before its decimals, with or without points between its thousands and a sign."""
THOUSANDS_COMMA = rf"^\s*[-+]?{SIGNS}?\s*[-+]?(\d{{1,3}}(,\d{{3}})+|\d+)(\.\d+)?\s*{SIGNS}?\s*$"
"""A number with a point before its decimals, with or without commas between its thousands and a sign."""
_NO_DIGITS = rf"[\s,]|{SIGNS}"


def decimal_points(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers with a decimal comma, such as ``1.234,5`` or ``12,50 €``, as text with a decimal point and no sign.

    Parameters
    ----------
    values
        A column of text.
    """
    bare = pc.replace_substring_regex(values, rf"\s|{SIGNS}", "")
    pointed = pc.replace_substring(pc.replace_substring(bare, ".", ""), ",", ".")
    return pc.if_else(pc.fill_null(pc.match_substring_regex(values, DECIMAL_COMMA), False), pointed, values)


def plain_numbers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers with commas between their thousands, such as ``1,234.5``, ``$12.50`` or ``50%``, as text of digits.

    Parameters
    ----------
    values
        A column of text.
    """
    bare = pc.replace_substring_regex(values, _NO_DIGITS, "")
    return pc.if_else(pc.fill_null(pc.match_substring_regex(values, THOUSANDS_COMMA), False), bare, values)


def iso_instants(values: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Return instants that are written otherwise, such as ``31.12.2024 14:05``, as text in ISO 8601.

    Parameters
    ----------
    values
        A column of text.
    pattern
        How they are written, in the words of `datetime.strptime`, for example ``%d.%m.%Y %H:%M``.
    """
    text = pd.Series(values.to_pylist(), dtype="object")
    written = pd.to_datetime(text, format=pattern, errors="coerce").dt.strftime("%Y-%m-%dT%H:%M:%S")
    found = pa.chunked_array([pa.array(written, pa.string(), from_pandas=True)])
    return pc.coalesce(found, values)


def iso_counts(values: pa.ChunkedArray, unit: str) -> pa.ChunkedArray:
    """Return counts of a unit since 1970 that a file holds as text as instants in ISO 8601.

    Parameters
    ----------
    values
        A column of text.
    unit
        ``s``, ``ms`` or ``us``.
    """
    whole = pc.fill_null(pc.match_substring_regex(values, r"^\d{1,18}$"), False)
    counts = where(values, whole).cast(pa.int64())
    instants = pc.assume_timezone(counts.cast(pa.timestamp(unit)), "UTC").cast(pa.timestamp("us", "UTC"))
    return pc.coalesce(pc.strftime(instants, format="%Y-%m-%dT%H:%M:%SZ"), values)
