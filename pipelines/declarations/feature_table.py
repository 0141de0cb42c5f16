"""Features as declared: how a feature table is built, which of its columns a prediction uses, and what is predicted."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.declarations.asset import Table
from pipelines.declarations.mistakes import DeclarationError


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """One feature table and how its rows are built from a bronze table.

    Attributes
    ----------
    builder
        ``module:function``; called with a Spark data frame of `source` rows, returns rows of `table`.
    source
        The bronze table it is built from; its time key orders the rows.
    memory_days
        How far back a source row can still change a feature row; a refresh reads no further.
    """

    table: Table
    builder: str
    source: Table
    memory_days: int

    def __post_init__(self) -> None:
        if not self.table.is_feature_table or self.source.time_key is None:
            raise DeclarationError(
                f"feature table {self.table.address} and its source need a primary key and a time key."
            )
        if self.memory_days < 0:
            raise DeclarationError(
                f"feature table {self.table.address}: memory_days is {self.memory_days}; give 0 or more."
            )


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Which columns of a feature table join the spine, by which keys, and how old they may be.

    Attributes
    ----------
    keys
        Spine column to feature table key, for example ``{"origin": "origin"}``.
    columns
        Feature table column to input name.
    lookback_hours
        Rows known longer than this before the prediction time count as unknown.
    age_as
        Input name for the hours between the feature row and the prediction; None to leave it out.
    """

    table: Table
    keys: Mapping[str, str]
    columns: Mapping[str, str]
    lookback_hours: int
    age_as: str | None = None

    def __post_init__(self) -> None:
        if set(self.keys.values()) != set(self.table.primary_key):
            raise DeclarationError(
                f"lookup of {self.table.address}: keys {sorted(self.keys.values())} are not its primary key "
                f"{sorted(self.table.primary_key)}."
            )
        for name in self.columns:
            self.table.column(name)
        if self.lookback_hours <= 0:
            raise DeclarationError(
                f"lookup of {self.table.address}: lookback_hours is {self.lookback_hours}; give more than 0."
            )


@dataclass(frozen=True, kw_only=True)
class Spine:
    """The rows to predict: which table, which key, and the instant at which a prediction is due.

    Attributes
    ----------
    request_key
        The column that identifies one prediction.
    prediction_time
        The instant of prediction; nothing known at or after it may be used.
    """

    table: Table
    request_key: str
    prediction_time: str

    def __post_init__(self) -> None:
        self.table.column(self.request_key)
        if self.table.column(self.prediction_time).type != "timestamp":
            raise DeclarationError(
                f"spine {self.table.address}: prediction_time {self.prediction_time!r} is no column of type timestamp."
            )
