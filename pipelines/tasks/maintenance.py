"""Task of the maintenance job: keep tables and logs small, and keep what models in use were trained on.

No row is removed: what goes is old versions of tables, after the use case's `history_days`. The versions that a model in
use names in its tag ``table_versions`` stay, so that `python -m pipelines reproduce` can read them.

The registry grows by one version for each estimator of a training, its runs and files with it. They stay: they are the
record of what was decided. Their number goes with trainings, which the cooldown limits, and not with days.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ml.gate.verdict import Outcome
from pipelines.declarations.asset import Table
from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.store import Upkeep
from pipelines.tasks.versions.promotion import ROLLBACK

CHAMPIONS_KEPT = 5
"""So many of the newest champions stay reproducible: those a rollback can go back to, one after the other, and those that
other environments have received, whose registries this one may not be allowed to read."""


def maintain(context: Context) -> TaskResult:
    """Compact every table, write checkpoints and remove versions that are old and of no use."""
    tables, use_case = context.lakehouse.tables, context.use_case
    before = context.now - dt.timedelta(days=use_case.history_days)
    keep = table_versions(_in_use(context))
    maintained = 0
    for table in use_case.tables:
        if not tables.exists(table):
            continue
        done = tables.maintain(table, before=before, keep=keep.get(table.address, ()))
        maintained += done is not None
        context.say(_said(table, done))
    return TaskResult(values={"tables": str(maintained)})


def _in_use(context: Context) -> list[ModelVersion]:
    """Return the versions with an alias and the newest champions."""
    verdicts = context.lakehouse.tables.read(context.use_case.table("verdicts")).toArrow().to_pylist()
    champions = newest_champions(verdicts)
    versions = context.lakehouse.models.versions(context.use_case.model)
    return [version for version in versions if version.aliases or version.number in champions]


def newest_champions(verdicts: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the versions that became champion last, by a promotion or a rollback; pure."""
    moved = [row for row in verdicts if row["outcome"] in (Outcome.PROMOTE, ROLLBACK) and row["promoted"] is not None]
    newest = dict.fromkeys(row["promoted"] for row in sorted(moved, key=lambda row: row["decided_at"], reverse=True))
    return set(list(newest)[:CHAMPIONS_KEPT])


def table_versions(versions: Collection[ModelVersion]) -> Mapping[str, set[int]]:
    """Return, by address, the versions of the tables that model versions record; pure."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for version in versions:
        for address, number in json.loads(version.tags.get("table_versions", "{}")).items():
            if number is not None:
                found[address].add(number)
    return found


def _said(table: Table, done: Upkeep | None) -> str:
    if done is None:
        return f"{table.address}: other runs were writing all the time; the next maintenance does it"
    said = [f"{done.compacted} files compacted"]
    said += [f"{done.files} files and {done.commits} commits removed"] if done.files is not None else []
    said += [f"versions {', '.join(map(str, done.kept))} kept for models in use"] if done.kept else []
    return f"{table.address}: {'; '.join(said)}"
