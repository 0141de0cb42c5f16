"""One mergeable record per column: counts, missing values, moments, range, and a histogram or category counts.

Profiles are small (a few kilobytes a column), can be merged over days, slices and workers, and suffice for drift
statistics (`ml.drift.statistics`). Counts, minimum and maximum merge exactly; mean and variance to rounding. How a
column is binned is fixed beforehand in `ml.profiles.specification`, one column's part is in
`ml.profiles.column_profile`; running over a Spark table is `pipelines.dataframes.profiling`.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.profiles.column_profile import SCALARS, ColumnProfile, merge_columns, profile_column
from ml.profiles.column_values import categories, numbers
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import ProfileSpec


@dataclass(frozen=True)
class Profile:
    """The column profiles of one set of rows, in the order of their specification."""

    spec: ProfileSpec
    columns: Mapping[str, ColumnProfile]

    @property
    def rows(self) -> int:
        """Number of rows seen."""
        return max((column.rows for column in self.columns.values()), default=0)

    def to_json(self) -> str:
        """Return the profile with its specification as one line of JSON."""
        return json.dumps({"spec": self.spec.to_json(), "profile": base64.b64encode(self.to_bytes()).decode()})

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """Rebuild the profile that `to_json` wrote, bit by bit."""
        record = json.loads(text)
        return cls.from_bytes(base64.b64decode(record["profile"]), ProfileSpec.from_json(record["spec"]))

    def to_bytes(self) -> bytes:
        """Return the profile without its specification, compressed; the form in which workers send it."""
        scalars = np.array([[float(getattr(c, n)) for n in SCALARS] for c in self.columns.values()], dtype="<f8")
        counts = [column.counts.astype("<i8") for column in self.columns.values()]
        body = scalars.tobytes() + b"".join(array.tobytes() for array in counts)
        return bytes.fromhex(self.spec.fingerprint) + zlib.compress(body, level=1)

    @classmethod
    def from_bytes(cls, data: bytes, spec: ProfileSpec) -> "Profile":
        """Rebuild the profile that `to_bytes` wrote.

        Raises
        ------
        ValueError
            If it was made with another specification.
        """
        if data[:8].hex() != spec.fingerprint:
            raise ValueError(
                f"the profile was made with specification {data[:8].hex()}, not {spec.fingerprint}: profile the rows again."
            )
        body = zlib.decompress(data[8:])
        scalars = np.frombuffer(body, "<f8", len(spec.columns) * len(SCALARS)).reshape(-1, len(SCALARS))
        counts = np.frombuffer(body, "<i8", offset=scalars.nbytes)
        ends = np.cumsum([column.places for column in spec.columns])
        parts = np.split(counts.astype(np.int64), ends[:-1]) if len(ends) else []
        return cls(
            spec,
            {
                column.name: ColumnProfile(column=column, counts=part, **_scalars(row))
                for column, part, row in zip(spec.columns, parts, scalars, strict=True)
            },
        )


def profile(columns: Mapping[str, Any], spec: ProfileSpec) -> Profile:
    """Profile rows that are held in memory.

    Parameters
    ----------
    columns
        Column name to values of shape (rows,); other columns than those of the specification are ignored.

    Raises
    ------
    ValueError
        If a column of the specification is missing, or a numeric one holds other values.
    """
    missing = [name for name in spec.names if name not in columns]
    if missing:
        raise ValueError(f"cannot profile: column {', '.join(missing)} missing; got {', '.join(columns) or 'none'}.")
    return Profile(
        spec,
        {
            column.name: profile_column(
                column,
                numbers(columns[column.name])
                if isinstance(column, NumericColumn)
                else categories(columns[column.name]),
            )
            for column in spec.columns
        },
    )


def empty(spec: ProfileSpec) -> Profile:
    """Return the profile of no rows; merging it changes nothing."""
    return Profile(spec, {c.name: ColumnProfile(column=c, counts=np.zeros(c.places, np.int64)) for c in spec.columns})


def merge(a: Profile, b: Profile) -> Profile:
    """Return the profile of both sets of rows together.

    Raises
    ------
    ValueError
        If the two were made with different specifications.
    """
    if a.spec != b.spec:
        raise ValueError(
            f"profiles of different specifications ({a.spec.fingerprint} and {b.spec.fingerprint}) cannot be merged: "
            "profile both with one specification."
        )
    return Profile(a.spec, {name: merge_columns(a.columns[name], b.columns[name]) for name in a.columns})


def merge_all(profiles: Iterable[Profile], spec: ProfileSpec) -> Profile:
    """Return the profile of all sets of rows together; that of no rows if there are none."""
    return reduce(merge, profiles, empty(spec))


def _scalars(row: NDArray[np.float64]) -> dict[str, Any]:
    whole = ("count", "nulls", "nans", "infinities", "zeros")
    return {name: int(value) if name in whole else float(value) for name, value in zip(SCALARS, row, strict=True)}
