"""The tables and the model of a use case as they are at one moment, and how they become so again.

A table goes back by Delta's RESTORE, which undoes appended, merged and replaced rows alike. It is only restored if
every commit since then was made by runs that are ours: Delta's history names the job run of each. An alias is only
moved back, and a version only deleted, if it came after the snapshot. What cannot be undone safely stays as it is and is reported.
"""

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType

from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.remote.connection import Remote
from pipelines.remote.errors import RemoteError
from pipelines.remote.registry import RegisteredVersions, delete_versions, put_aliases_back, registered
from pipelines.remote.statements import NoTableError, Sql, quoted

HISTORY = 200
"""How many commits are looked at: many times what an integration run makes."""
MAINTENANCE = ("OPTIMIZE", "VACUUM START", "VACUUM END")
"""Operations that move rows between files and change none: the platform makes them whenever it likes."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One moment of a use case in a deployed environment.

    Attributes
    ----------
    at
        By the clock of the warehouse.
    versions
        Newest version of every table by its address; None for one that does not exist.
    models
        None if the model is not registered.
    """

    at: dt.datetime
    versions: Mapping[str, int | None]
    models: RegisteredVersions | None

    @property
    def sentence(self) -> str:
        """What it would take to go back by hand."""
        aliases = self.models.aliases if self.models else {}
        named = ", ".join(f"{alias} is version {number}" for alias, number in sorted(aliases.items())) or "no alias"
        return f"before, at {self.at:%Y-%m-%d %H:%M:%S} UTC: {named}; {len(self.versions)} tables"


def snapshot(remote: Remote, sql: Sql, use_case: UseCase) -> Snapshot:
    """Return the moment.

    Raises
    ------
    RemoteError
        If the workspace cannot be asked.
    """
    (now,) = sql.rows("SELECT current_timestamp() AS now")
    versions = {table.address: version_of(remote, sql, table.address) for table in use_case.tables}
    return Snapshot(at=now["now"], versions=MappingProxyType(versions), models=registered(remote, use_case.model))


def restore_snapshot(
    remote: Remote, sql: Sql, use_case: UseCase, before: Snapshot, ours: Collection[int]
) -> tuple[CheckResult, ...]:
    """Undo what runs of ours did since a snapshot, and return what was undone and what was left.

    Parameters
    ----------
    ours
        Ids of the runs, of jobs and of tasks.
    """
    try:
        model = tuple(_model_back(remote, use_case, before))
    except RemoteError as error:
        model = (CheckResult(about="clean-up of the model", held=False, found=f"left as it is: {error}"),)
    names = frozenset(str(run_id) for run_id in ours)
    tables = [_table_back(remote, sql, address, version, names) for address, version in before.versions.items()]
    left = [check for check in tables if not check.held]
    restored = CheckResult(
        about="clean-up of the tables", held=not left, found=f"{len(tables) - len(left)} of {len(tables)} are as before"
    )
    return (*model, restored, *left)


def version_of(remote: Remote, sql: Sql, address: str) -> int | None:
    """Return the newest version of a table by its address; None if there is no such table."""
    try:
        rows = sql.rows(f"DESCRIBE HISTORY {quoted(remote.name(address))} LIMIT 1")
    except NoTableError:
        return None
    return int(rows[0]["version"])


def _model_back(remote: Remote, use_case: UseCase, before: Snapshot) -> Iterator[CheckResult]:
    """Put the aliases back first, so that nothing is scored by a version that is about to go."""
    now = registered(remote, use_case.model)
    if now is None:
        yield CheckResult(about="clean-up of the model", held=True, found="there is none")
        return
    was = before.models or RegisteredVersions(name=now.name, aliases={}, numbers=())
    moved = {alias: number for alias, number in now.aliases.items() if was.aliases.get(alias) != number}
    new = tuple(number for number in now.numbers if number not in was.numbers)
    elsewhere = sorted(alias for alias, number in moved.items() if number not in new)
    if elsewhere:
        yield CheckResult(
            about="clean-up of the model", held=False,
            found=f"left as it is: somebody else has moved {', '.join(elsewhere)} meanwhile",
        )  # fmt: skip
        return
    done = put_aliases_back(remote, was, now)
    delete_versions(remote, now.name, new)
    gone = f"versions {', '.join(str(number) for number in new)} are deleted" if new else "no new version"
    yield CheckResult(about="clean-up of the model", held=True, found="; ".join((*done, gone)))


def _table_back(remote: Remote, sql: Sql, address: str, version: int | None, ours: AbstractSet[str]) -> CheckResult:
    about, name = f"clean-up of table {address}", quoted(remote.name(address))
    known = -1 if version is None else version
    try:
        newer = [
            row for row in sql.rows_if_exists(f"DESCRIBE HISTORY {name} LIMIT {HISTORY}") if row["version"] > known
        ]
        if newer and len(newer) != max(row["version"] for row in newer) - known:
            return CheckResult(
                about=about, held=False, found=f"left as it is: more than {HISTORY} commits since version {known}"
            )
        changes = [row for row in newer if row["operation"] not in MAINTENANCE]
        foreign = [row for row in changes if not ours & _runs_of(row["job"]) and row["version"] > 0]
        if foreign:
            shown = ", ".join(f"{row['version']} ({row['operation']})" for row in foreign)
            return CheckResult(about=about, held=False, found=f"left as it is: versions {shown} are not of these runs")
        # A table that was not there keeps its first version, in which it was created without rows.
        goal = max(known, 0)
        if not any(row["version"] > goal for row in changes):
            return CheckResult(about=about, held=True, found="unchanged")
        sql.rows(f"RESTORE TABLE {name} TO VERSION AS OF {goal}")
        return _restored(sql, about, name, newest=max(row["version"] for row in newer))
    except RemoteError as error:
        return CheckResult(about=about, held=False, found=f"left as it is: {error}")


def _restored(sql: Sql, about: str, name: str, newest: int) -> CheckResult:
    """Return whether nobody committed between the look at the history and the restoring."""
    (last, *_) = sql.rows(f"DESCRIBE HISTORY {name} LIMIT 1")
    alone = last["version"] == newest + 1
    found = (
        "as before"
        if alone
        else f"restored, and with it somebody's commits between versions {newest} and {last['version']}"
    )
    return CheckResult(about=about, held=alone, found=found)


def _runs_of(job: str | None) -> frozenset[str]:
    """Return the ids of the runs that Delta's history says made a commit."""
    written_by = json.loads(job) if job else {}
    return frozenset(str(written_by[name]) for name in ("jobRunId", "runId") if written_by.get(name))
