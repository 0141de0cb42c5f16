"""The texts of a use case that is proposed from a file, and the commands that train it on that file."""

import json
import math
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from ml.spec.target import MultiClass
from pipelines.declarations.standard_jobs.parameters import EVALUATION_DAYS, TRAINING_DAYS
from pipelines.scaffold.columns import FileColumn
from pipelines.scaffold.proposal import Proposal, is_naive

SLICED = 10
"""A categorical input with more values is not proposed for slices."""
LINE = 110
SPARE_ROWS = 1.2
"""So many times the rows that the gate asks for are evaluated: not every day has as many as the mean."""
NEXT_FROM_FILE = """next, as docs/own-data.md explains:
  .venv/bin/python -m pipelines check {name}
  .venv/bin/python -m pipelines run {name}.features --env dev --param location={folder} --param until={end}
  .venv/bin/python -m pipelines run {name}.training --env dev --param until={until} --param training_days={training} --param evaluation_days={evaluation}
{scored}  .venv/bin/python -m pipelines report --env dev --use-case {name}"""
SCORED = """  .venv/bin/python -m pipelines run {name}.scoring --env dev --param since={until} --param until={end}
  .venv/bin/python -m pipelines run {name}.monitoring --env dev --param since={until} --param until={end} --skip retrain
"""
"""What follows on the training where a part of the file was left for it."""


@dataclass(frozen=True, kw_only=True)
class ColumnLine:
    """A declared column in the source of the new use case: the comment above it, and its call."""

    comment: str
    code: str


def template_values(proposal: Proposal) -> dict[str, Any]:
    """Return what the templates of a use case made of a file are filled with, beside its name and team."""
    classified, entity, known = bool(proposal.problem.classes), proposal.entity, proposal.known_at
    key = _key_name(proposal)
    label = proposal.label.name
    chosen = [
        proposal.time,
        *([entity] if entity else []),
        *proposal.inputs.numeric,
        *proposal.inputs.categorical,
    ]
    request = [column for column in dict.fromkeys(column.name for column in chosen) if column != key]
    own = {column.name: column for column in proposal.columns}
    outcome = [*([known.name] if known else []), *([entity.name] if entity else []), label]
    outcome = [name for name in outcome if name != key]
    forms = [(column.name, form) for column in proposal.columns if (form := _form(column))]
    categorical = ["weekday", *(column.name for column in proposal.inputs.categorical)]
    days_only = bool(proposal.time.kind.written and proposal.time.kind.written.days_only)
    several = proposal.problem if isinstance(proposal.problem, MultiClass) else None
    what = "the class of" if several else "the probability of" if classified else "the quantity"
    description = f"{what} {label}, for each row of {proposal.file.name}"
    return {
        "file": proposal.file.name, "file_in_text": proposal.file.name.replace('"', "'"),
        "rows": f"{proposal.file.rows.num_rows:,}", "question": f"What will {label} be, for each row?",
        "problem": "CLASSES" if several else f"Problem.{str(proposal.problem).upper()}",
        "classified": classified, "linear": "LogisticRegression" if classified else "Ridge",
        "classes": several.classes if several else (), "class_values": [_literal(value) for value in proposal.class_values],
        "kind": "Classifier" if classified else "Regressor", "description": description,
        "label_comment": f"{label} of each request, once known", "tolerance": _tolerance(proposal),
        "options": _csv_options(proposal), "columns": [(column.header, column.name) for column in proposal.columns],
        "forms": forms, "forms_with_pattern": any("partial" in form for _, form in forms),
        "form_names": sorted({form.removeprefix("partial(").split(",")[0] for _, form in forms}),
        "together": [column.name for column in proposal.key] if len(proposal.key) > 1 else [],
        "key": key, "time": proposal.time.name, "known_at": known.name if known else "",
        "label": label, "reported": known.name if known and proposal.without_outcome is not None else label,
        "positive": _literal(proposal.positive),
        "entity": entity.name if entity else "", "entity_kind": "FIXED" if proposal.fixed else "SAMPLED", "has_mean": _has_mean(proposal),
        "request_columns": [key, *request], "outcome_columns": [key, *([] if known else ["reported_at"]), *outcome],
        "request_lines": [_key_line(proposal), *(_line(own[name], proposal) for name in request)],
        "outcome_lines": [_key_line(proposal), *_known_line(proposal), *(_line(own[name], proposal) for name in outcome)],
        "delivered": _delivered(proposal, [key, *request]), "outcome_delivered": _delivered(proposal, [key, *outcome]),
        "time_options": _clock(proposal, proposal.time), "known_options": _clock(proposal, known) if known else "",
        "time_zone": proposal.time_zone, "time_zone_reason": _zone_reason(proposal),
        "numeric": [*([] if days_only else ["hour"]), *(column.name for column in proposal.inputs.numeric), *_looked_up(proposal)],
        "categorical": categorical, "days_only": days_only,
        "slices": [column.name for column in proposal.inputs.categorical if column.distinct <= SLICED][:2],
        "left_out": [f"{column.name} is left out: it {why}." for column, why in proposal.inputs.left_out],
        "retrained": _retrained(proposal), "due_days": proposal.due_days, "due_reason": _due_reason(proposal), "without_outcome": proposal.without_outcome,
        "proposed": [_wrapped(sentence) for sentence in proposal.proposed],
        "decide": [_wrapped(sentence) for sentence in proposal.decide],
    }  # fmt: skip


def quoted(text: str) -> str:
    """Return a text as Python writes it, in the quotes of the repository's style."""
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def next_commands(proposal: Proposal, name: str) -> str:
    """Return the commands that check the new use case, train it on its file, score what is left of it, and show what came of it."""
    windows = proposal.windows
    end = f"{windows.end:%Y-%m-%dT%H:%M}".removesuffix("T00:00")
    scored = SCORED.format(name=name, until=windows.until, end=end) if windows.scored else ""
    return NEXT_FROM_FILE.format(
        name=name,
        folder=shlex.quote(str(proposal.file.folder)),
        end=end,
        until=windows.until,
        training=windows.training_days,
        evaluation=windows.evaluation_days,
        scored=scored,
    )


@dataclass(frozen=True, kw_only=True)
class RetrainedOn:
    """On how many days a scheduled training trains and evaluates where the file has fewer rows a day than the defaults need."""

    training_days: int
    evaluation_days: int
    reason: str


def _retrained(proposal: Proposal) -> RetrainedOn | None:
    """Return on how many days the gate has what it asks for; None if it has it on the days of the default."""
    asked, rows = proposal.asked, proposal.file.rows.num_rows
    a_day = rows / ((proposal.last.floor("D") - proposal.first.floor("D")).days + 1)
    evaluation = math.ceil(SPARE_ROWS * asked.rows / a_day)
    if evaluation <= int(EVALUATION_DAYS.default):
        return None
    return RetrainedOn(
        training_days=max(int(TRAINING_DAYS.default), 2 * evaluation),
        evaluation_days=evaluation,
        reason=f"The gate asks for {asked.what.rstrip(',')}, and the file has {a_day:,.{0 if a_day >= 3 else 1}f} rows a day.",
    )


def _literal(value: str | float | None) -> str:
    return "" if value is None else quoted(value) if isinstance(value, str) else repr(value)


def _key_name(proposal: Proposal) -> str:
    return proposal.key[0].name if len(proposal.key) == 1 else "request_id"


def _looked_up(proposal: Proposal) -> list[str]:
    if proposal.entity is None:
        return []
    return ["outcomes_28d", *(["mean_28d"] if _has_mean(proposal) else [])]


def _has_mean(proposal: Proposal) -> bool:
    """Return whether the mean of earlier labels says something: not where no outcome is one, nor of places of classes."""
    return proposal.without_outcome is None and not isinstance(proposal.problem, MultiClass)


def _key_line(proposal: Proposal) -> ColumnLine:
    if len(proposal.key) > 1:
        return ColumnLine(
            comment="# The columns that name a request together; the key of a request is a string.",
            code='key("request_id")',
        )
    (column,) = proposal.key
    kind = "" if column.kind.type == "string" else f", delivered as {column.family}"
    again = proposal.file.rows.num_rows - column.distinct
    twice = f"in {again:,} rows one that was there before" if again else "none twice"
    comment = f"# {column.distinct:,} different values, {twice}{kind}; the key of a request is a string."
    return ColumnLine(comment=comment, code=f"key({quoted(column.name)})")


def _known_line(proposal: Proposal) -> Iterator[ColumnLine]:
    if proposal.known_at is None:
        comment = "# The prediction's instant and KNOWN_AFTER, which sources.py adds."
        yield ColumnLine(comment=comment, code='key("reported_at", "timestamp")')


def _line(column: FileColumn, proposal: Proposal) -> ColumnLine:
    """Return how a column is declared; the comment says what the file has in it."""
    required = column in (proposal.time, proposal.known_at)
    kind = "string" if column is proposal.entity else column.kind.type
    call = "key" if required else "column"
    words = f", {quoted(kind)}" if kind != "string" or not required else ""
    return ColumnLine(comment=f"# {_facts(column)}", code=f"{call}({quoted(column.name)}{words})")


def _facts(column: FileColumn) -> str:
    """Return what the file has in a column, in a line."""
    missing = f", {column.missing:,} missing" if column.missing else ""
    if column.is_instant:
        written = column.kind.written
        form = (
            f" written as {written.pattern}"
            if written and written.pattern
            else f" counted in {written.unit}"
            if written and written.unit
            else ""
        )
        return f"instants{form}{missing}"
    if column.is_number and column.kind.type != "boolean":
        span = pc.min_max(column.values).as_py() if column.family != "text" else None
        bounds = f" from {span['min']} to {span['max']}" if span else ""
        return f"{column.distinct:,} different numbers{bounds}{missing}"
    shown = ", ".join(repr(value) for value in pc.unique(pc.drop_null(column.values)).to_pylist()[:3])
    return " ".join(f"{column.distinct:,} different values, such as {shown}{missing}".split())[:LINE]


def _form(column: FileColumn) -> str:
    """Return the function that gives a column the form that the contract reads; empty if it has it."""
    written = column.kind.written
    if written and written.pattern:
        return f"partial(iso_instants, pattern={quoted(written.pattern)})"
    if written and written.unit and column.family == "text":
        return f"partial(iso_counts, unit={quoted(written.unit)})"
    return column.kind.number_form


def _csv_options(proposal: Proposal) -> str:
    options = proposal.file.options
    if options is None:
        return ""
    words = dict.fromkeys(word for column in proposal.columns for word in column.words)
    given = {
        "delimiter": quoted(options.delimiter), "encoding": quoted(options.encoding),
        "missing": f"({', '.join(map(quoted, ('', *words)))})" if words else "",
    }  # fmt: skip
    return ", ".join(f"{name}={value}" for name, value in given.items() if value)


def _delivered(proposal: Proposal, names: Sequence[str]) -> list[str]:
    """Return the columns that are delivered otherwise than their declared type is by default."""
    own: Mapping[str, FileColumn] = {column.name: column for column in proposal.columns}
    found = []
    for column in (own[name] for name in names if name in own):
        written = column.kind.written
        if written and written.unit and column.family == "integer":
            found.append(f"Delivered(column={quoted(column.name)}, time_unit={quoted(written.unit)})")
        elif column.family == "float" and column in (*proposal.key, proposal.entity):
            found.append(f'Delivered(column={quoted(column.name)}, types=("float",))')
    return found


def _clock(proposal: Proposal, column: FileColumn) -> str:
    """Return the keywords by which a reader understands the instants of a column."""
    written = column.kind.written
    zone = f", time_zone={quoted(proposal.time_zone)}" if proposal.time_zone and is_naive(column) else ""
    unit = f", time_unit={quoted(written.unit)}" if written and written.unit and column.family == "integer" else ""
    return zone + unit


def _zone_reason(proposal: Proposal) -> str:
    naive = ", ".join(column.name for column in proposal.columns if is_naive(column))
    return f"decide: the zone of instants that do not say theirs: {naive}."[:LINE]


def _due_reason(proposal: Proposal) -> str:
    if proposal.known_at is None:
        return "decide: an outcome that is not known after so many days is missing; the file does not say when one is known."
    return f"Of the outcomes in the file 99% were known after so many days, by {proposal.known_at.name}."


def _tolerance(proposal: Proposal) -> str:
    values = (
        pc.stddev(pc.cast(proposal.label.values, "float64", safe=False)).as_py()
        if proposal.label.family != "text"
        else 0
    )
    return f"{0.05 * (values or 1.0):.2g}"


def _wrapped(sentence: str) -> str:
    plain = sentence.replace("\\", "/").replace('"', "'")
    return "\n  ".join(textwrap.wrap(plain, LINE))
