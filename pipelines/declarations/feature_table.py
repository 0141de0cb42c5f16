"""Features as declared: how a feature table is built, which of its columns a prediction uses, and what is predicted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.declarations.asset import Layer, Table
from pipelines.declarations.mistakes import gathered, refuse, require_types, unknown


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """One feature table and how its rows are built from bronze tables.

    Attributes
    ----------
    builder
        ``module:function``; called with a Spark data frame of the rows of each of `sources`, in their order, returns rows of
        `table`.
    source
        The bronze table it is built from; its time key orders the rows.
    further_sources
        More bronze tables that its rows are built from. A batch of any of them brings the table up to date.
    memory_days
        How far back a source row can still change a feature row; a refresh reads no further.
    available_after_minutes
        How long after its instant a row has usually reached the table at the latest: until the feed has delivered it and a
        refresh has built it. A prediction uses a row only once it is so old, in training as in scoring, so that no model
        learns from rows that scoring could not have had.
    fresh_within_hours
        Of a shared table: the longest time without a new row that its owner promises to those who read it. A table is shared
        if its layer is `Layer.SHARED`; its comment says what it is for.
    """

    table: Table
    builder: str
    source: Table
    memory_days: int
    further_sources: tuple[Table, ...] = ()
    available_after_minutes: int = 0
    fresh_within_hours: float | None = None

    @gathered
    def __post_init__(self) -> None:
        require_types("feature table", self)
        where, mistakes = f"feature table {self.table.address}", []
        if not self.table.is_feature_table or any(source.time_key is None for source in self.sources):
            mistakes.append(f"{where} and its source need a primary key and a time key.")
        addresses = [source.address for source in self.sources]
        if repeated := sorted({address for address in addresses if addresses.count(address) > 1}):
            mistakes.append(f"{where}: {', '.join(repeated)} is named more than once; name each source once.")
        if self.memory_days < 0:
            mistakes.append(f"{where}: memory_days is {self.memory_days}; give 0 or more.")
        if self.available_after_minutes < 0:
            mistakes.append(f"{where}: available_after_minutes is {self.available_after_minutes}; give 0 or more.")
        refuse([*mistakes, *self._sharing_mistakes(where)])

    @property
    def is_shared(self) -> bool:
        """Whether other use cases may read it."""
        return self.table.layer is Layer.SHARED

    def _sharing_mistakes(self, where: str) -> Iterator[str]:
        """Yield what those who would read the table are not told, or are told of one that nobody may read."""
        promised = self.fresh_within_hours
        if not self.is_shared:
            if promised is not None:
                yield f"{where}: fresh_within_hours is a promise to other use cases; declare the table with Layer.SHARED."
            return
        if promised is None or not promised > 0:
            yield f"{where}: it is shared and fresh_within_hours is {promised}; give the hours that readers can rely on, above 0."
        if not self.table.comment:
            yield f"{where}: it is shared and its comment is empty; say what a row is, for those who look for it."

    @property
    def sources(self) -> tuple[Table, ...]:
        """The bronze tables that it is built from, in the order in which the builder takes them."""
        return (self.source, *self.further_sources)


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

    @gathered
    def __post_init__(self) -> None:
        require_types("lookup", self)
        where, known = f"lookup of {self.table.address}", [column.name for column in self.table.columns]
        mistakes = [f"{where}: {unknown('column', name, known)}" for name in self.columns if name not in known]
        if sorted(self.keys.values()) != sorted(self.table.primary_key):
            mistakes.append(
                f"{where}: keys {sorted(self.keys.values())} are not its primary key {sorted(self.table.primary_key)}."
            )
        if not self.columns and self.age_as is None:
            mistakes.append(f"{where}: columns is empty; name at least one, or age_as.")
        if self.lookback_hours <= 0:
            mistakes.append(f"{where}: lookback_hours is {self.lookback_hours}; give more than 0.")
        refuse(mistakes)


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

    @gathered
    def __post_init__(self) -> None:
        require_types("spine", self)
        refuse(
            f"spine {self.table.address}: {field} {mistake}"
            for field, name, kind in (
                ("request_key", self.request_key, "string"),
                ("prediction_time", self.prediction_time, "timestamp"),
            )
            if (mistake := _column_mistake(self.table, name, kind))
        )


def _column_mistake(table: Table, name: str, kind: str) -> str:
    """Return why a column of a table is not one of a type that every row has; empty if it is."""
    found = next((column for column in table.columns if column.name == name), None)
    if found is None:
        return f"{name!r}: {unknown('column', name, [column.name for column in table.columns])}"
    if found.type != kind:
        return f"{name!r} is a {found.type}; declare it as {kind}."
    return f"{name!r} may be missing; declare it with required=True." if found.nullable else ""
