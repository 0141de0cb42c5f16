"""The comparison of scoring with training, as the report shows it: by training set and window, with what differs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from ml.monitoring.findings import WHOLE_TABLE
from ml.monitoring.skew import InputDifference, causes
from pipelines.report.records import EnvironmentRecords, Row

MISSING = "no value"


@dataclass(frozen=True, kw_only=True)
class DifferingInput:
    """One input that differs, with why and one request's values."""

    column_name: str
    lookup: str
    causes: tuple[str, ...]
    example_key: str
    scored_value: str
    trained_value: str


@dataclass(frozen=True, kw_only=True)
class ComparedSet:
    """The requests of one training set and one window.

    Attributes
    ----------
    is_corrected
        Whether every difference is a correction that the feed declares.
    """

    training_set_id: str
    start: dt.datetime
    trained: int
    requests: int
    moved: int
    differing: int
    inputs: tuple[DifferingInput, ...]
    is_corrected: bool


def compared_sets(environment: EnvironmentRecords) -> tuple[ComparedSet, ...]:
    """Return every comparison, the oldest window first."""
    whole = [row for row in environment.skew if row["column_name"] == WHOLE_TABLE]
    ordered = sorted(whole, key=lambda row: (row["window_start"], row["computed_at"], row["training_set_id"]))
    return tuple(_compared(row, environment.skew) for row in ordered)


def _compared(whole: Row, rows: Sequence[Row]) -> ComparedSet:
    place = (whole["training_set_id"], whole["window_start"])
    own = [
        row
        for row in rows
        if (row["training_set_id"], row["window_start"]) == place
        and row["column_name"] != WHOLE_TABLE
        and row["differing"]
    ]
    return ComparedSet(
        training_set_id=whole["training_set_id"], start=whole["window_start"], trained=whole["trained"],
        requests=whole["requests"], moved=whole["moved"], differing=whole["differing"],
        inputs=tuple(_differing(row) for row in sorted(own, key=lambda row: (-row["differing"], row["column_name"]))),
        is_corrected=all(row["differing"] == row["corrected"] for row in own),
    )  # fmt: skip


def _differing(row: Row) -> DifferingInput:
    counted = InputDifference(**{name: row[name] for name in InputDifference.__dataclass_fields__})
    scored, trained = (MISSING if row[name] is None else row[name] for name in ("scored_value", "trained_value"))
    return DifferingInput(
        column_name=row["column_name"], lookup=row["lookup"], causes=causes(counted), example_key=row["example_key"],
        scored_value=scored, trained_value=trained,
    )  # fmt: skip
