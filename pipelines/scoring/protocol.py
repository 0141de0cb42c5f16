"""MLflow's scoring protocol: what a body asks for, as typed rows, or all that is wrong with it; and how an answer is written.

The forms are those of ``mlflow models serve``: ``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs``, see
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/.
"""

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ml.spec.errors import LakehouseError
from ml.spec.near_miss import did_you_mean
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.function import ScoringFunction

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
SHOWN = 10
"""So many mistakes are said; a body may have thousands."""
Columns = dict[str, list[Any]]


class BadRequestError(LakehouseError, ValueError):
    """A body that cannot be answered; the message says what is wrong, where, and what is allowed."""


def asked_rows(body: bytes, function: ScoringFunction, *, most_rows: int) -> pa.Table:
    """Return the requests of a body in their declared types, with the looked-up columns that they give themselves.

    Raises
    ------
    BadRequestError
        With each mistake, up to `SHOWN`.
    """
    try:
        stated = json.loads(body)
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON ({error}).") from error
    columns = _columns(stated)
    count = max(map(len, columns.values()), default=0)
    if not count:
        raise BadRequestError("the body asks for no row; give at least one.")
    if count > most_rows:
        raise BadRequestError(f"the body asks for {count:,} rows; give at most {most_rows:,} at once.")
    kinds, gaps = _kinds(function)
    required = {column.name for column in function.request if not column.nullable}
    mistakes = list(_column_mistakes(columns, kinds, required))
    found: dict[str, pa.Array] = {}
    looked_up = set(function.looked_up)
    for name, kind in kinds.items():
        if name in columns:
            values, wrong = _typed(name, columns[name], kind, gaps=name in gaps)
            mistakes += wrong
            found[name] = values
        elif name not in looked_up and name not in required:
            found[name] = pa.nulls(count, ARROW_TYPES[kind])
    if mistakes:
        more = f" And {len(mistakes) - SHOWN} more." if len(mistakes) > SHOWN else ""
        raise BadRequestError(" ".join(mistakes[:SHOWN]) + more)
    return pa.table(found)


def answer_body(answers: pa.Table) -> bytes:
    """Return answers as the protocol writes them: a record for each request, missing values as null."""
    rows = [{name: _plain(value) for name, value in row.items()} for row in answers.to_pylist()]
    return json.dumps({"predictions": rows}).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, dt.date) else value


def _columns(stated: Any) -> Columns:
    """Return the columns of a body, whatever its form.

    Raises
    ------
    BadRequestError
        If it has none of the forms.
    """
    given = [form for form in FORMS if isinstance(stated, dict) and form in stated]
    if len(given) != 1:
        raise BadRequestError(
            f"the body has {' and '.join(given) or 'none of the forms'}; give one of {', '.join(FORMS)}."
        )
    (form,) = given
    content = stated[form]
    if form == "dataframe_split":
        return _of_split(content)
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        names = dict.fromkeys(name for row in content for name in row)
        return {name: [row.get(name) for row in content] for name in names}
    if form == "inputs" and isinstance(content, dict) and all(isinstance(values, list) for values in content.values()):
        lengths = {len(values) for values in content.values()}
        if len(lengths) > 1:
            raise BadRequestError(
                f"the columns of inputs have {', '.join(map(str, sorted(lengths)))} values; give as many in each."
            )
        return content
    raise BadRequestError(f"{form} holds no records; give a list of objects, one for each row.")


def _of_split(content: Any) -> Columns:
    names, rows = (content.get(part) if isinstance(content, dict) else None for part in ("columns", "data"))
    if not isinstance(names, list) or not isinstance(rows, list):
        raise BadRequestError("dataframe_split needs columns and data, both lists.")
    wrong = next((place for place, row in enumerate(rows) if not isinstance(row, list) or len(row) != len(names)), None)
    if wrong is not None:
        raise BadRequestError(f"row {wrong} of dataframe_split has not the {len(names)} values of its columns.")
    return {str(name): [row[place] for row in rows] for place, name in enumerate(names)}


def _kinds(function: ScoringFunction) -> tuple[dict[str, str], set[str]]:
    """Return the declared type of every column that a request may have, and those that may be missing in a row."""
    kinds = {column.name: column.kind for column in function.request}
    gaps = {column.name for column in function.request if column.nullable}
    for lookup in function.lookups:
        kinds |= {name: lookup.kinds[column] for column, name in lookup.columns.items()}
        kinds |= {lookup.age_as: "double"} if lookup.age_as else {}
        gaps |= set(lookup.made)
    return kinds, gaps


def _column_mistakes(columns: Columns, kinds: Mapping[str, str], required: set[str]) -> Iterator[str]:
    for name in columns:
        if name not in kinds:
            near = did_you_mean(name, kinds)
            known = f": {near}" if near else f"; known are {', '.join(kinds)}."
            yield f"column {name!r} is unknown{known}"
    for name in sorted(required - columns.keys()):
        yield f"column {name!r} is missing; give {_SAID[kinds[name]]} in each row."


def _typed(name: str, values: Sequence[Any], kind: str, *, gaps: bool) -> tuple[pa.Array | None, list[str]]:
    read: list[Any] = []
    mistakes: list[str] = []
    convert = _CONVERT[kind]
    for place, value in enumerate(values):
        if value is None:
            if not gaps:
                mistakes.append(f"row {place}: {name!r} is missing; give {_SAID[kind]}.")
            read.append(None)
            continue
        try:
            read.append(convert(value))
        except (TypeError, ValueError, OverflowError):
            mistakes.append(f"row {place}: {name!r} is {json.dumps(value)[:60]}; give {_SAID[kind]}.")
    if mistakes:
        return None, mistakes
    try:
        return pa.array(read, ARROW_TYPES[kind]), []
    except (pa.ArrowInvalid, OverflowError, ValueError):
        return None, [f"column {name!r} holds a number that no {kind} can; give smaller ones."]


def _exactly(*types: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return checked


def _number(value: Any) -> float:
    found = float(_exactly(int, float)(value))
    if not math.isfinite(found):
        raise ValueError
    return found


def _whole(value: Any) -> int:
    if type(value) is float and value.is_integer():
        return int(value)
    return int(_exactly(int)(value))


def _instant(value: Any) -> dt.datetime:
    found = dt.datetime.fromisoformat(_exactly(str)(value))
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "string": _exactly(str),
    "boolean": _exactly(bool),
    "int": _whole,
    "bigint": _whole,
    "double": _number,
    "date": lambda value: dt.date.fromisoformat(_exactly(str)(value)),
    "timestamp": _instant,
}
_SAID = {
    "string": "a text",
    "boolean": "true or false",
    "int": "a whole number",
    "bigint": "a whole number",
    "double": "a finite number",
    "date": "a date as 2013-02-19",
    "timestamp": "an instant as 2013-02-19T08:00:00Z",
}
