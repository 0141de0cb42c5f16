"""What a use case made of one's own file consists of: key, instants, label, entity and inputs, each with the reason.

The file decides where it can; what it does not say is a sentence about what a person has to decide.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.spec.estimator import Problem
from ml.spec.target import LEAST_CLASSES, MOST_CLASSES, MULTI_CLASS, MultiClass, Target
from pipelines.declarations import asset
from pipelines.declarations.standard_tables import standard_tables
from pipelines.declarations.use_case_checks import LABEL_COLUMNS
from pipelines.scaffold.columns import FileColumn, columns_of, declared_names, delivered_as, numbers_of
from pipelines.scaffold.first_windows import Demanded, FirstWindows, asked_of, first_windows
from pipelines.scaffold.given import Given
from pipelines.scaffold.outcome_instants import known_at_of, skipped_hours
from pipelines.scaffold.own_file import OwnFile
from pipelines.scaffold.roles import (
    MOST_CATEGORIES,
    Roles,
    entity_of,
    is_fixed,
    key_of,
    label_of,
    positive_of,
    prediction_time_of,
)
from pipelines.sources.readings import Readings

_INPUT = asset.column("an_input", "double")
_WITH_INPUTS = [{one.name for one in table.columns} for table in standard_tables("any", (_INPUT,))]
TAKEN = frozenset(
    {name for names in _WITH_INPUTS if _INPUT.name in names for name in names - {_INPUT.name}}
    | {*LABEL_COLUMNS, "request_id", "reported_at", "hour", "weekday", "outcomes_28d", "mean_28d"}
)
"""Names that the columns of a file cannot have: those of the use case's own inputs and of the tables that keep inputs."""
GIVES_AWAY = 0.999
"""A number that orders rows as the label does, up to so large a rank correlation, is the label in other words."""
ASSUMED_DAYS = 7
"""After so many days an outcome counts as known where the file does not say when it was."""
WEIGHT_WORDS = re.compile(r"(^|_)(sampl\w*|survey|row|case|design|frequency|expansion)_weights?$|^(weights?|exposure)$")
SURE = 0.99
"""An outcome is due after the days in which so large a share of outcomes was known."""


@dataclass(frozen=True, kw_only=True)
class ProposedInputs:
    """The columns that reach the estimator, and the others with the reason why they do not."""

    numeric: tuple[FileColumn, ...]
    categorical: tuple[FileColumn, ...]
    left_out: tuple[tuple[FileColumn, str], ...]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Everything that the templates write.

    Attributes
    ----------
    key
        The columns that name a request, several if no single one does.
    known_at
        The instant from which an outcome was known; None if the file has none.
    positive
        The value of the label that counts as 1; None if its values are numbers already.
    class_values
        Of several classes the value of the label that each has, in the order of the classes; else none.
    without_outcome
        The label of requests without such an instant; None if all have one.
    fixed
        Whether the entities are few that come again with every instant: the decision is about exactly these.
    due_days
        Days after which nearly every outcome is known.
    time_zone
        Of instants without one; empty if all say theirs.
    first, last
        Of the instants of prediction.
    asked, windows
        What the gate asks of an evaluation, and the windows of the first jobs on the file.
    proposed, decide
        What was chosen and why, and what the file does not say: a sentence each.
    """

    file: OwnFile
    columns: tuple[FileColumn, ...]
    key: tuple[FileColumn, ...]
    time: FileColumn
    known_at: FileColumn | None
    label: FileColumn
    positive: str | float | None
    problem: Target
    class_values: tuple[str | float, ...]
    without_outcome: float | None
    entity: FileColumn | None
    fixed: bool
    inputs: ProposedInputs
    due_days: int
    time_zone: str
    first: pd.Timestamp
    last: pd.Timestamp
    asked: Demanded
    windows: FirstWindows
    proposed: tuple[str, ...]
    decide: tuple[str, ...]


def propose(file: OwnFile, given: Given) -> Proposal:
    """Return the use case that a file proposes.

    Raises
    ------
    RoleError
        If the file has no column for what every use case needs, in one sentence.
    """
    roles = Roles(file=file, columns=columns_of(file.rows, TAKEN))
    zone = given.time_zone or "UTC"
    time = prediction_time_of(roles, given.time)
    label = label_of(roles, given.label, time=time.column)
    key = key_of(roles, given.key, time=time.column, label=label.column)
    problem = _problem(roles, label.column, given.problem)
    positive = positive_of(label.column) if problem is Problem.BINARY else None
    values = class_values(label.column) if isinstance(problem, MultiClass) else ()
    labels = _labels(label.column, positive.word if positive else None, values)
    instants = {column.name: instants_of(column, zone) for column in roles.columns if column.is_instant}
    known = known_at_of(roles, instants, time.column, labels)
    single = key.columns if len(key.columns) == 1 else ()
    entity = entity_of(roles, key=key.columns, without=(time.column, label.column, *single))
    fixed = entity.column if entity and is_fixed(entity.column, key.columns) else None
    used = [
        *single,
        time.column,
        label.column,
        *(entity.columns if entity and not fixed else ()),
        *(known.columns if known else ()),
    ]
    inputs = _inputs([column for column in roles.columns if column not in used], labels, named=fixed)
    at = instants[time.column.name]
    chosen = [one for one in (time, key, label, positive, known, entity) if one]
    doubts = (
        *_doubts(label.column, problem, roles.columns, given, has_known_at=known is not None, inputs=inputs),
        *skipped_hours(roles.columns, instants, zone),
    )
    due = _due_days(instants[known.column.name] - at) if known else ASSUMED_DAYS
    asked = asked_of(problem, label.column, has_entities=entity is not None)
    windows = first_windows(at, due, asked)
    return Proposal(
        file=file, columns=roles.columns, key=key.columns, time=time.column, label=label.column, problem=problem, class_values=values,
        known_at=known.column if known else None, positive=positive.word if positive else None,
        without_outcome=known.without if known else None, entity=entity.column if entity else None, fixed=fixed is not None,
        inputs=inputs,
        due_days=due, time_zone=zone if any(map(is_naive, roles.columns)) else "", first=at.min(), last=at.max(), asked=asked, windows=windows,
        proposed=(*file.said, *(one.reason for one in chosen)), decide=(*(one.doubt for one in chosen if one.doubt), *doubts, *_too_few(windows, asked)),
    )  # fmt: skip


def instants_of(column: FileColumn, zone: str) -> "pd.Series[pd.Timestamp]":
    """Return the instants of a column in UTC, missing where a value is none."""
    unit = column.kind.written.unit if column.kind.written else ""
    return Readings(pa.table({column.name: delivered_as(column)})).instants(column.name, time_zone=zone, time_unit=unit)


def is_naive(column: FileColumn) -> bool:
    """Return whether a column has instants that do not say their zone."""
    return column.kind.written is not None and not column.kind.written.has_zone


def _problem(roles: Roles, label: FileColumn, given: str | None) -> Target:
    two = label.distinct == 2
    several = LEAST_CLASSES <= label.distinct <= MOST_CLASSES
    by_values = Problem.BINARY if two else MULTI_CLASS if several and not label.is_number else Problem.REGRESSION
    if (given or by_values) == MULTI_CLASS:
        if not several:
            raise roles.refused(
                f"{label.header!r} has {label.distinct:,} different values, and a multi-class problem has {LEAST_CLASSES} to "
                f"{MOST_CLASSES}"
            )
        names = declared_names([_in_words(value) for value in class_values(label)], ())
        return MultiClass(classes=tuple(names.values()))
    problem = Problem(given or by_values)
    if problem is Problem.BINARY and not two:
        raise roles.refused(f"{label.header!r} has {label.distinct:,} different values, and a binary problem has 2")
    if problem is Problem.REGRESSION and not label.is_number:
        raise roles.refused(
            f"{label.header!r} is text with {label.distinct:,} different values, and a regression predicts numbers"
        )
    return problem


def class_values(label: FileColumn) -> tuple[str | float, ...]:
    """Return the values of a label that names classes, in their order."""
    held = label.values if label.kind.type == "string" else numbers_of(label)
    return tuple(sorted(pc.unique(pc.drop_null(held)).to_pylist()))


def _in_words(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _labels(label: FileColumn, positive: str | float | None, classes: Sequence[str | float]) -> "pd.Series[float]":
    """Return what is predicted as numbers, missing where the file has none; of several classes their places."""
    if classes:
        held = label.values if isinstance(classes[0], str) else numbers_of(label)
        return pd.Series(pc.index_in(held, pa.array(classes, held.type)).to_pylist(), dtype="float64")
    values = label.values if isinstance(positive, str) else numbers_of(label)
    found = values if positive is None else pc.equal(values, positive)
    return pd.Series(found.to_pylist(), dtype="float64")


def _inputs(columns: Sequence[FileColumn], labels: "pd.Series[float]", *, named: FileColumn | None) -> ProposedInputs:
    """Return the columns that reach the estimator; the others with the reason why they do not.

    Parameters
    ----------
    named
        A column whose values are names, also where they are numbers; None for no such column.
    """
    reasons = {column.name: "" if column is named else _why_not(column, labels) for column in columns}
    kept = [column for column in columns if not reasons[column.name]]
    return ProposedInputs(
        numeric=tuple(column for column in kept if column.is_number and column is not named),
        categorical=tuple(column for column in kept if not column.is_number or column is named),
        left_out=tuple((column, reasons[column.name]) for column in columns if reasons[column.name]),
    )


def _why_not(column: FileColumn, labels: "pd.Series[float]") -> str:
    if not column.kind.type:
        return f"holds {column.family}, which no declared column can"
    if column.is_instant:
        return "holds instants: compute hours or days from it in inputs.py"
    if column.distinct < 2:
        return "has no two values"
    if not column.is_number and column.distinct > MOST_CATEGORIES:
        return f"has {column.distinct:,} different texts"
    if (
        column.is_number
        and abs(pd.Series(numbers_of(column).to_pylist(), dtype="float64").corr(labels, method="spearman"))
        >= GIVES_AWAY
    ):
        return "gives the label away: it is known only with the outcome, or says the same"
    return ""


def _due_days(ages: "pd.Series[pd.Timedelta]") -> int:
    days = ages.dropna().dt.total_seconds() / 86_400
    return max(math.ceil(float(days.quantile(SURE))), 1)


def _doubts(
    label: FileColumn,
    problem: Target,
    columns: Sequence[FileColumn],
    given: Given,
    *,
    has_known_at: bool,
    inputs: ProposedInputs,
) -> Iterator[str]:
    if isinstance(problem, MultiClass):
        yield f"the classes of {label.header!r} are those of the file: a request with another value gets no label."
    elif not problem.classes and label.distinct <= MOST_CLASSES and given.problem is None:
        yield (
            f"{label.header!r} has {label.distinct} different numbers: if they name classes instead of counting something, "
            f"give --problem {MULTI_CLASS}."
        )
    naive = [repr(column.header) for column in columns if is_naive(column)]
    if naive and not given.time_zone:
        yield f"the zone of {', '.join(naive)} is not said in the file: UTC is taken; give --time-zone if it is another."
    if not has_known_at:
        yield f"when an outcome is known is not said in the file: {ASSUMED_DAYS} days after its prediction are taken (KNOWN_AFTER in sources.py)."
    for column in columns:
        yield from (f"{column.header!r} {sentence}" for sentence in column.kind.said)
        if column.kind.odd:
            yield (
                f"{column.header!r} has {len(column.kind.odd):,} values like {column.kind.odd[0]!r} that are no "
                f"{'instants' if column.is_instant else 'numbers'}: their rows are quarantined."
            )
    yield from (f"{column.header!r} is no input: it {why}." for column, why in inputs.left_out)
    if inputs.numeric or inputs.categorical:
        headers = ", ".join(repr(column.header) for column in (*inputs.numeric, *inputs.categorical))
        yield f"whether each input is known at the prediction is not said in the file: remove what is not, of {headers}."
    for column in inputs.numeric:
        if WEIGHT_WORDS.search(column.name):
            yield (
                f"if {column.header!r} says how much a row counts, declare it as `weight` (docs/models.md) and take it out of the "
                "inputs."
            )
    yield from _words(columns)


def _too_few(windows: FirstWindows, asked: Demanded) -> Iterator[str]:
    """Yield what the first windows of the file have too little of for a champion, or for predictions."""
    if not windows.suffice(asked):
        yield (
            f"the gate asks for {asked.what} on {asked.days} days; the evaluation below has {windows.rows:,} on "
            f"{windows.days}, so no version becomes champion: bring a file of about {windows.enough:,} days, or have the gate in "
            "declaration.py ask for less (minimum_rows, minimum_positives, minimum_days)."
        )
    if not windows.scored:
        yield (
            f"the file is too short to leave a part of it to score, about {windows.enough:,} days are enough: give features and "
            "scoring a later file."
        )


def _words(columns: Sequence[FileColumn]) -> Iterator[str]:
    words: Mapping[str, str] = {word: column.header for column in columns for word in column.words}
    for word, header in words.items():
        texts = [one.header for one in columns if one.kind.type == "string" and one.family == "text"]
        held = [one.header for one in columns if one.header in texts and pc.any(pc.equal(one.values, word)).as_py()]
        also = f", and so it does in {', '.join(map(repr, held))}" if held else ""
        yield f"{word!r} stands for a missing value in {header!r}{also}: is that so?"
