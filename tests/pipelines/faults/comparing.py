"""Compares what two lakehouses hold under one normalisation: what a disturbed run lost, doubled or changed.

The normalisation, all of it:

====================  =================================================================================================
run ids               the product's, MLflow's and those of logged models are one word wherever they stand
clocks                columns and tags that hold the time of the run, and the seconds that something took, are left out, and so
                      is the gate's rule about those seconds
version numbers       a version is called by what it contains (estimator, training rows, a digest of its files) wherever
                      its number stands; the numbers of Delta versions, which a repeated commit takes up, are one word
code                  the commit of the code that trained a version, which is committed to while the proof runs
digests               of an evaluation, which contain the above, are one word
model cards           the text of a card, which is made of records that are compared themselves, is left out
attempts              of the attempts at a task of one run the last one counts, without its number and without how many rows
                      it wrote: what an earlier attempt wrote, a later one does not write again
a cut-off run         what it left under its own id (rows of `OF_A_RUN`, versions and MLflow runs that it made) is left out
                      where another run did its work; it is compared where the run itself was continued
====================  =================================================================================================

Everything else must be equal: every row of every table, every version, tag and alias, every finding.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.declarations.registry import use_cases
from tests.pipelines.faults.observing import State, Version

OF_A_RUN = {
    "training_set": "training_set_id",
    "evaluations": "evaluation_id",
    "verdicts": "evaluation_id",
    "runs": "run_id",
    "model_cards": "evaluation_id",
    "skew": "training_set_id",
}
"""The tables whose rows belong to one run, and the column that says which."""
CLOCKS = {
    "as_of", "computed_at", "decided_at", "evaluated_at", "ingested_at", "quarantined_at", "refreshed_at", "scored_at",
    "seconds", "seconds_per_1000_rows", "started_at",
}  # fmt: skip
MADE_OF_RECORDS = {"card"}
"""Columns whose text is made of other rows and of the versions' tags."""
CLOCKS_OF_TABLES = {"streams": {"recorded_at"}}
"""Further columns that hold the time of the run."""
CLOCKS_OF_EVENTS = {"retrainings": {"decided_at"}}
"""Columns of that name that do not hold the time of the run."""
CLOCK_OR_DATE = {"refreshes": {"since"}}
"""The time of the run if a batch has no event; otherwise the first event's."""
NUMBERS = {
    "champion",
    "candidate",
    "against",
    "version",
    "promoted",
    "challenger",
    "model_version",
    "model_id",
    "previous",
    "instead_of",
}
"""Columns and keys that hold the number of a model version."""
TABLE_VERSIONS = {"features_version", "table_versions"}
COMMIT = "git_commit"
RUN_ID = re.compile(r"\d{8}T\d{6}\.\d{6}")
MLFLOW_ID = re.compile(r"\bm-[0-9a-f]{32}\b|\b[0-9a-f]{32}\b")
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
ROLLBACK_TIME = re.compile(r"(?<=^rollback )\S+|^\d{4}-\d\d-\d\dT\S+(?= to version)")
VERSION = re.compile(r"\b([Vv]ersions?) (\d+)")
SHORTEST = 20
"""Characters of the shortest text that a pattern without the word version fits."""
SIGNIFICANT = 10
"""Digits of a number that are compared: sums may be taken in another order."""
SHOWN, LONGEST, BEFORE = 3, 400, 120
"""How many rows a message shows, and how many characters of each, also before a difference."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that differs: where, what kind (lost, doubled, extra), and what."""

    where: str
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind} {self.what}"


def compare(expected: State, found: State, *, cut_off: Collection[str] = ()) -> list[Difference]:
    """Return what differs under the normalisation.

    Parameters
    ----------
    expected, found
        The states after an undisturbed and after a disturbed run.
    cut_off
        The ids of runs whose own records are left out of both.
    """
    one, other = normalised(expected, cut_off=cut_off), normalised(found, cut_off=cut_off)
    return doubled_keys(found) + [
        difference
        for where in sorted(one.keys() | other.keys())
        for difference in _differences(where, one.get(where, Counter()), other.get(where, Counter()))
    ]


def normalised(state: State, *, cut_off: Collection[str] = ()) -> dict[str, Counter[str]]:
    """Return everything that a lakehouse holds as texts, counted, by where it stands."""
    left_out = [version for version in state.versions if version.tags.get("training_set_id") in cut_off]
    versions = [version for version in state.versions if version not in left_out]
    names = {(v.environment, v.number): content_name(v) for v in state.versions}
    found: dict[str, Counter[str]] = {}
    for where, rows in state.tables.items():
        environment, table = where.partition("/")[0], where.rpartition(".")[2]
        kept = _kept(table, rows, cut_off, {v.number for v in left_out if v.environment == environment})
        texts = _Texts(environment, names, table)
        found[where] = Counter(json.dumps(texts.row(row), sort_keys=True, default=str) for row in kept)
    for version in versions:
        texts = _Texts(version.environment, names, "versions")
        tags = {name: texts.value(name, value) for name, value in version.tags.items() if name != COMMIT}
        text = json.dumps({"content": content_name(version), "status": version.status, "tags": tags}, sort_keys=True)
        found.setdefault(f"{version.environment}/versions", Counter())[text] += 1
    for (environment, model, alias), number in state.aliases.items():
        text = f"{alias} of {model} is {names.get((environment, number), f'the missing version {number}')}"
        found.setdefault(f"{environment}/aliases", Counter())[text] += 1
    for environment, name, status in state.runs:
        if status != "RUNNING" and not any(run_id in name for run_id in cut_off):
            found.setdefault(f"{environment}/MLflow runs", Counter())[f"{RUN_ID.sub('<run>', name)} {status}"] += 1
    return {where: texts for where, texts in found.items() if texts}


def content_name(version: Version) -> str:
    """Return what a version is called by: the same for the same content."""
    tags = version.tags
    return (
        f"<{tags.get('estimator')} of {tags.get('trained_from')} to {tags.get('trained_until')}, files {version.files}>"
    )


def doubled_keys(state: State) -> list[Difference]:
    """Return the declared keys that more than one row of a table has."""
    keys = {table.address: table.row_key for declared in use_cases() for table in declared.tables}
    return [
        Difference(where=where, kind="doubled", what=f"key {key} stands {count} times")
        for where, rows in state.tables.items()
        if (columns := keys.get(where.partition("/")[2], ()))
        for key, count in Counter(tuple(str(row[name]) for name in columns) for row in rows).most_common(SHOWN)
        if count > 1
    ]


def _kept(
    table: str, rows: Iterable[Mapping[str, Any]], cut_off: Collection[str], made: Collection[int]
) -> list[Mapping[str, Any]]:
    """Return the rows of a table that are compared."""
    column = OF_A_RUN.get(table)
    kept = [row for row in rows if column is None or row[column] not in cut_off]
    if table == "metrics":
        kept = [row for row in kept if row["alias"] != "evaluation" or row["model_version"] not in made]
    if table == "runs":
        last: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for row in sorted(kept, key=lambda row: row["attempt"]):
            last[row["run_id"], row["job"], row["task"]] = row
        kept = list(last.values())
    return kept


class _Texts:
    """The values of one table, or of the tags of versions, without what the normalisation takes away."""

    def __init__(self, environment: str, names: Mapping[tuple[str, int], str], table: str) -> None:
        self._environment, self._names, self._table = environment, names, table

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row; its clocks are left out."""
        clocks = CLOCKS - CLOCKS_OF_EVENTS.get(self._table, set()) | CLOCK_OR_DATE.get(self._table, set())
        clocks |= CLOCKS_OF_TABLES.get(self._table, set())
        left_out = clocks | MADE_OF_RECORDS | ({"attempt", "rows"} if self._table == "runs" else set())
        return {name: self.value(name, value) for name, value in row.items() if name not in left_out}

    def value(self, name: str, value: Any) -> Any:
        """Return one value by its column, tag or key."""
        if name in TABLE_VERSIONS and isinstance(value, str):
            return re.sub(r": \d+", ": <n>", value)
        if (name in NUMBERS and value not in (None, "")) or (name == "batch_id" and isinstance(value, int)):
            number = str(value)
            return self._names.get((self._environment, int(number)), number) if number.isdigit() else number
        if isinstance(value, str):
            return self._text(name, value)
        if isinstance(value, float):
            return float(f"{value:.{SIGNIFICANT}g}")
        if isinstance(value, dict) and value.get("rule") == "latency":
            return "<latency>"
        if isinstance(value, dict):
            return {key: self.value(key, inner) for key, inner in value.items() if key not in CLOCKS}
        if isinstance(value, list):
            return [self.value(name, inner) for inner in value]
        return value

    def _text(self, name: str, text: str) -> Any:
        if len(text) < SHORTEST and text[:1] not in "[{" and "ersion" not in text:
            return text
        if text[:1] in "[{":
            try:
                return self.value(name, json.loads(text))
            except ValueError:
                pass
        for pattern, word in ((RUN_ID, "<run>"), (MLFLOW_ID, "<id>"), (DIGEST, "<digest>"), (ROLLBACK_TIME, "<time>")):
            text = pattern.sub(word, text)
        return VERSION.sub(lambda found: f"{found[1]} {self.value('version', found[2])}", text)


def _differences(where: str, expected: Counter[str], found: Counter[str]) -> list[Difference]:
    lost, more = expected - found, found - expected
    if lost and lost.total() == more.total():
        changes = [_change(one, other) for one, other in zip(sorted(lost), sorted(more), strict=False)]
        return [Difference(where=where, kind="changed", what=f"{lost.total()}: {'; '.join(changes[:SHOWN])}")]
    doubled = Counter({text: count for text, count in more.items() if text in expected})
    extra = more - doubled
    kinds = {"lost": lost, "doubled": doubled, "extra": extra}
    return [Difference(where=where, kind=kind, what=_shown(texts)) for kind, texts in kinds.items() if texts]


def _change(expected: str, found: str) -> str:
    """Return what differs between two rows, from a little before the first difference."""
    first = next((place for place, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), 0)
    begin = max(0, first - BEFORE)
    return f"...{expected[begin : begin + LONGEST]} became ...{found[begin : begin + LONGEST]}"


def _shown(texts: Counter[str]) -> str:
    return f"{texts.total()}: {'; '.join(text[:LONGEST] for text in list(texts)[:SHOWN])}"
