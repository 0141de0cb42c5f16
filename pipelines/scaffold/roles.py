"""Which column of one's own file is the key, the instant of prediction, the label, the entity: each with its reason.

Every choice is made by what the values are; a name only decides between columns that all could be it.
"""

import itertools
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.spec.estimator import Problem
from ml.spec.gate_policy import policy
from ml.spec.target import LEAST_CLASSES, MOST_CLASSES
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.scaffold.columns import FileColumn, numbers_of
from pipelines.scaffold.own_file import OwnFile

KEY_WORDS = re.compile(
    r"(^|_)(id|nr|no|number|key|code|uuid|ref|reference)$|nummer$|(order|customer|user|account|store|client|product|machine)id$"
)
LABEL_WORDS = re.compile(
    r"(^|_)(label|target|outcome|y|class|result|churn|churned|default|defaulted|fraud|returned|retoure|late|failed|failure|"
    r"cancelled|converted|response|decision|sold|demand|consumption)(_|$)"
)
TIME_NAMES = re.compile(r"(^|_)(time|timestamp|date|datetime|day|week|month|at|when|datum|zeit|tag)(_|$)")
INSTANT_EXAMPLES = ("2024-12-31T14:05", "31.12.2024 14:05", "31-Dec-2024")
REQUEST_WORDS = re.compile(
    r"(^|_)(order|ordered|created|create|request|requested|asked|opened|start|started|booked|bestellt|bestelldatum)(_|$)"
)
YES = frozenset(
    {
        "yes",
        "y",
        "true",
        "t",
        "1",
        "ja",
        "j",
        "oui",
        "si",
        "bad",
        "fraud",
        "late",
        "churned",
        "default",
        "returned",
        "failed",
    }
)
MOST_IN_KEY = 3
LEAST_SAMPLED = policy("default", Problem.BINARY).minimum_entities
"""The gate knows how much entities differ from no fewer of them."""
MOST_CATEGORIES = 50
"""A text of more values is no categorical input."""
FEW_REPEATED = 0.05
"""A column that repeats in no larger share of the rows was meant as the key: the others are delivered twice."""


class RoleError(DeclarationError):
    """A file lacks a column without which there is no use case."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Columns that were chosen for a role.

    Attributes
    ----------
    reason
        What was chosen and why: one sentence.
    doubt
        What a person has to decide about it: one sentence; empty for nothing.
    word
        Of a label with two values that are not 0 and 1: the one that counts as 1.
    without
        Of the instant at which an outcome is known: the label of requests without one; None if every request has one.
    """

    columns: tuple[FileColumn, ...]
    reason: str
    doubt: str = ""
    word: str | float | None = None
    without: float | None = None

    @property
    def column(self) -> FileColumn:
        """The only column."""
        (one,) = self.columns
        return one


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The columns of a file, and how many rows it has."""

    file: OwnFile
    columns: tuple[FileColumn, ...]

    def named(self, given: str, option: str) -> FileColumn:
        """Return the column that a person has named, by its header or its declared name."""
        for column in self.columns:
            if given in (column.header, column.name):
                return column
        headers = [column.header for column in self.columns]
        raise self.refused(f"{option} names an {unknown('column', given, headers).rstrip('.')}")

    def refused(self, why: str) -> RoleError:
        """Return the refusal of the file."""
        return RoleError(f"no use case can be made of {self.file.name}: {why}.")


def prediction_time_of(roles: Roles, given: str) -> Chosen:
    """Return the column with the instant at which a prediction is due."""
    if given:
        column = roles.named(given, "--time")
        if not column.is_instant:
            raise roles.refused(f"--time names {column.header!r}, whose values are no instants that can be read")
        return Chosen(columns=(column,), reason=f"{column.header!r} is the instant of prediction, as named.")
    found = [
        column for column in roles.columns if column.is_instant and column.missing <= 0.01 * roles.file.rows.num_rows
    ]
    if not found:
        raise roles.refused(
            "no column has an instant in every row, and a prediction is due at one: add the instant at which each row was asked, "
            f"written like {' or '.join(INSTANT_EXAMPLES)}{_nearly_instants(roles)}"
        )
    best = min(
        found,
        key=lambda column: (not REQUEST_WORDS.search(column.name), _days_only(column), roles.columns.index(column)),
    )
    others = ", ".join(repr(column.header) for column in found if column is not best)
    doubt = (
        f"{others} could be the instant of prediction too: name it with --time if {best.header!r} is not."
        if others
        else ""
    )
    return Chosen(
        columns=(best,), reason=f"{best.header!r} is the instant of prediction: it has one in every row.", doubt=doubt
    )


def _nearly_instants(roles: Roles) -> str:
    """Return which columns are named like instants and cannot be read as such; empty for none."""
    named = [one for one in roles.columns if TIME_NAMES.search(one.name) and not one.is_instant and one.distinct]
    shown = [f"{one.header!r} has values like {str(pc.drop_null(one.values)[0].as_py())!r}" for one in named]
    return f" ({'; '.join(shown)}, which are not read)" if shown else ""


def label_of(roles: Roles, given: str, *, time: FileColumn) -> Chosen:
    """Return the column that is to be predicted."""
    if given:
        column = roles.named(given, "--label")
        return Chosen(columns=(column,), reason=f"{column.header!r} is predicted, as named.")
    possible = [
        column for column in roles.columns
        if column is not time and (_may_be_label(column) or (column is _last(roles) and _may_be_classes(column)))
    ]  # fmt: skip
    if not possible:
        raise roles.refused("no column has numbers or two values, so nothing can be predicted: name it with --label")
    named = [column for column in possible if LABEL_WORDS.search(column.name)]
    two = [column for column in possible if column.distinct == 2 and column.is_number]
    if named:
        column, why = named[-1], "its name says so"
    elif len(two) == 1:
        column, why = two[0], "it alone has numbers with two values"
    else:
        column, why = possible[-1], "it is the last column that can be"
    # What stands last in the file is predicted as often as what is named so.
    sure = named == [column] and (_last(roles) is column or _last(roles) not in possible)
    classes = [one.header for one in roles.columns if one is not column and one is not time and _may_be_classes(one)]
    doubt = (
        ""
        if sure
        else f"whether {column.header!r} is what is predicted is not said in the file: name another column with --label if it is not"
        + (f", also one whose few texts are classes ({', '.join(map(repr, classes))})." if classes else ".")
    )
    return Chosen(columns=(column,), reason=f"{column.header!r} is predicted: {why}.", doubt=doubt)


def key_of(roles: Roles, given: Sequence[str], *, time: FileColumn, label: FileColumn) -> Chosen:
    """Return the columns whose values name a row: one if any does, else the fewest that do together."""
    if given:
        columns = tuple(roles.named(name, "--key") for name in given)
        repeated = _repeated(columns)
        doubt = (
            f"the key as named repeats in {repeated:,} rows: of each, later rows with the same time are quarantined."
            if repeated
            else ""
        )
        return Chosen(
            columns=columns,
            reason=f"{_and(columns)} {'names' if len(columns) == 1 else 'name'} a request, as named.",
            doubt=doubt,
        )
    possible = [
        column for column in roles.columns if column not in (time, label) and not column.missing and _may_be_key(column)
    ]
    for column in sorted(possible, key=lambda one: not KEY_WORDS.search(one.name)):
        if _looks_like_key(column) and not _repeated((column,)):
            return Chosen(columns=(column,), reason=f"{column.header!r} names a request: no value is there twice.")
    for columns in _together(possible, time):
        if not _repeated(columns):
            return Chosen(
                columns=columns,
                reason=f"{_and(columns)} together name a request: no single column does, and no two rows share them.",
                doubt=f"whether {_and(columns)} name a request in later files too is not said in the file: name columns with --key if not.",
            )
    raise roles.refused(
        f"no column, and no {MOST_IN_KEY} together, name a row{_nearly(roles, possible)}; name them with --key, or add a column "
        "with a number for each row"
    )


def entity_of(roles: Roles, *, key: Collection[FileColumn], without: Collection[FileColumn]) -> Chosen | None:
    """Return the column that says to what several rows belong, such as a customer or a store; None if none does.

    Parameters
    ----------
    key
        The columns that name a row: one of several, such as the store of a store's day, names what the row belongs to.
    """
    rows = roles.file.rows.num_rows
    found = [
        column for column in roles.columns
        if column not in without and _may_be_key(column) and (KEY_WORDS.search(column.name) or column in key)
        and 2 <= column.distinct <= rows / 2 and column.missing <= 0.5 * rows
    ]  # fmt: skip
    if not found:
        return None
    best = max(found, key=lambda column: column.distinct)
    fixed = "exactly these (FIXED in declaration.py); SAMPLED if the decision is about others like them too"
    declared = (
        f"{fixed}{f', of which the gate then asks for {LEAST_SAMPLED}' if best.distinct < LEAST_SAMPLED else ''}."
        if is_fixed(best, key)
        else "a sample of all there will be (SAMPLED in declaration.py); FIXED if the decision is about exactly these."
    )
    return Chosen(
        columns=(best,),
        reason=f"{best.header!r} is an entity that several rows belong to: {best.distinct:,} of them in {rows:,} rows.",
        doubt=f"entities of {best.header!r} are declared as {declared}",
    )


def is_fixed(entity: FileColumn, key: Collection[FileColumn]) -> bool:
    """Return whether an entity is one of few that come again with every instant, such as the stores of a chain.

    So few that the gate never had a sample of them are these too.
    """
    return entity.distinct < LEAST_SAMPLED or (entity in key and entity.distinct <= MOST_CATEGORIES)


def positive_of(label: FileColumn) -> Chosen | None:
    """Return which of two values counts as 1, as the word of the choice; None if they are 0 and 1, or false and true."""
    counts: Mapping[Any, int] = {
        one["values"]: one["counts"] for one in pc.value_counts(_two_values(label)).to_pylist()
    }
    if label.kind.type == "boolean" or set(counts) == {0.0, 1.0}:
        return None
    spoken = [word for word in counts if str(word).strip().lower() in YES]
    word = spoken[0] if len(spoken) == 1 else min(counts, key=lambda one: (counts[one], str(one)))
    sure = len(spoken) == 1
    return Chosen(
        columns=(label,),
        word=word,
        reason=f"the value {word!r} counts as 1: {'it says so' if sure else 'it is the rarer of the two'}.",
        doubt=""
        if sure
        else f"which value of {label.header!r} counts as 1 is not said in the file: {word!r} is taken.",
    )


def _two_values(label: FileColumn) -> pa.ChunkedArray:
    held = pc.drop_null(label.values)
    if label.kind.type == "string":
        return held
    return held if label.kind.type == "boolean" else numbers_of(label).drop_null()


def _may_be_key(column: FileColumn) -> bool:
    whole = column.kind.type == "double" and column.family == "float" and _is_whole(column.values)
    return column.kind.type in ("string", "bigint") or whole


def _looks_like_key(column: FileColumn) -> bool:
    """Return whether a column is meant to name something: by its name, as text, or by counting upwards."""
    if KEY_WORDS.search(column.name) or column.kind.type == "string":
        return True
    return bool(pd.Series(numbers_of(column).to_pylist()).is_monotonic_increasing)


def _is_whole(values: pa.ChunkedArray) -> bool:
    held = pc.drop_null(values)
    return bool(len(held)) and bool(pc.all(pc.equal(pc.floor(held), held)).as_py())


def _may_be_label(column: FileColumn) -> bool:
    if KEY_WORDS.search(column.name) or column.is_instant or column.distinct < 2:
        return False
    if _may_be_classes(column):
        # A text of several values is an input more often than not: its name has to say so, or its place.
        return bool(LABEL_WORDS.search(column.name))
    return column.is_number or (column.kind.type == "string" and column.distinct == 2)


def _may_be_classes(column: FileColumn) -> bool:
    few = LEAST_CLASSES <= column.distinct <= MOST_CLASSES
    return column.kind.type == "string" and few and not KEY_WORDS.search(column.name)


def _last(roles: Roles) -> FileColumn | None:
    """Return the last column of the file that holds no instants, where what is predicted stands in most files."""
    return next((column for column in reversed(roles.columns) if not column.is_instant), None)


def _nearly(roles: Roles, possible: Sequence[FileColumn]) -> str:
    """Return which column would name a row but for a few, and how to take it all the same; empty if none does."""
    rows = roles.file.rows.num_rows
    near = min(possible, key=lambda one: _repeated((one,)), default=None)
    repeated = _repeated((near,)) if near else rows
    if near is None or repeated > FEW_REPEATED * rows:
        return ""
    counts = pc.value_counts(near.values.cast(pa.string())).to_pylist()
    twice = next(one["values"] for one in counts if one["counts"] > 1)
    return (
        f" ({near.header!r} does but for {repeated:,} of {rows:,} rows, such as a second {twice!r}: give --key "
        f"{shlex.quote(near.header)} and these are quarantined)"
    )


def _together(columns: Sequence[FileColumn], time: FileColumn) -> Iterator[tuple[FileColumn, ...]]:
    """Yield columns that may name a row together, the fewest and those with the likeliest names first."""
    likely = sorted(columns, key=lambda one: not KEY_WORDS.search(one.name))[:8]
    for size in range(2, MOST_IN_KEY + 1):
        yield from ((*chosen, time) for chosen in itertools.combinations(likely, size - 1))
        yield from itertools.combinations(likely, size)


def _repeated(columns: Sequence[FileColumn]) -> int:
    keys = pa.table({str(place): column.values.cast(pa.string()) for place, column in enumerate(columns)})
    return int(keys.num_rows - keys.group_by(keys.column_names).aggregate([]).num_rows)


def _days_only(column: FileColumn) -> bool:
    return column.kind.written is not None and column.kind.written.days_only


def _and(columns: Sequence[FileColumn]) -> str:
    *before, last = [repr(column.header) for column in columns]
    return f"{', '.join(before)} and {last}" if before else last
