"""SQL on the environment's own warehouse: a statement goes out, rows with Python's types come back.

Only small results: rows travel in the answers themselves (at most 25 MiB, the limit of the platform).
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from databricks.sdk.service import sql as sdk
from databricks.sdk.service.sql import ColumnInfoTypeName as Type
from databricks.sdk.service.sql import StatementState as State

from pipelines.remote.connection import Remote
from pipelines.remote.deployment import ENVIRONMENT_TAG
from pipelines.remote.errors import NotDeployedError, RefusedError, RemoteError

if TYPE_CHECKING:
    from databricks.sdk.service.sql import EndpointInfo

WAIT_IN_REQUEST = "30s"
POLL_SECONDS = 2.0
STATEMENT_WITHIN_SECONDS = 900
"""A warehouse that was asleep needs minutes to wake; a statement of ours takes seconds after that."""

Row = Mapping[str, Any]


class NoTableError(RemoteError):
    """A statement named a table that does not exist, or that the caller may not know of."""


class Sql:
    """The environment's warehouse, found at the first statement."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._warehouse: str | None = None

    def rows(self, statement: str) -> list[Row]:
        """Return what a statement answers, one mapping from column to value per row.

        Raises
        ------
        NoTableError
            If a table does not exist.
        RefusedError
            If the caller may not do that.
        RemoteError
            If the statement fails or takes longer than a quarter of an hour; it is then cancelled.
        """
        answer = self._finished(statement)
        described = answer.manifest.schema if answer.manifest else None
        columns = (described.columns if described else None) or []
        return [
            {column.name or "": _value(column.type_name, text) for column, text in zip(columns, row, strict=True)}
            for row in self._all_rows(answer)
        ]

    def rows_if_exists(self, statement: str) -> list[Row]:
        """Return what a statement answers; no rows where its table was never written."""
        try:
            return self.rows(statement)
        except NoTableError:
            return []

    def _finished(self, statement: str) -> sdk.StatementResponse:
        api, warehouse = self._remote.client.statement_execution, self._warehouse_id()
        answer = self._remote.ask(
            "run a statement on the warehouse",
            lambda: api.execute_statement(
                statement, warehouse, catalog=self._remote.environment.catalog, wait_timeout=WAIT_IN_REQUEST,
                on_wait_timeout=sdk.ExecuteStatementRequestOnWaitTimeout.CONTINUE, disposition=sdk.Disposition.INLINE,
                format=sdk.Format.JSON_ARRAY,
            ),
        )  # fmt: skip
        begun, identity = self._remote.clock.time(), answer.statement_id or ""
        while _state(answer) in (State.PENDING, State.RUNNING):
            if self._remote.clock.time() - begun > STATEMENT_WITHIN_SECONDS:
                self._remote.ask("cancel a statement", lambda: api.cancel_execution(identity))
                raise RemoteError(
                    f"a statement took longer than {STATEMENT_WITHIN_SECONDS} s and was cancelled: {statement}"
                )
            self._remote.clock.pause(POLL_SECONDS)
            answer = self._remote.ask("look at a statement", lambda: api.get_statement(identity))
        if _state(answer) is not State.SUCCEEDED:
            raise self._failure(answer, statement)
        return answer

    def _all_rows(self, answer: sdk.StatementResponse) -> list[list[str]]:
        part, rows = answer.result, list[list[str]]()
        api, identity = self._remote.client.statement_execution, answer.statement_id or ""
        while part is not None:
            rows += part.data_array or []
            following = part.next_chunk_index
            if following is None:
                break
            # Bound now: the number changes before the next request.
            part = self._remote.ask("read more rows", lambda n=following: api.get_statement_result_chunk_n(identity, n))  # type: ignore[misc] # mypy cannot type a lambda's default
        return rows

    def _warehouse_id(self) -> str:
        self._warehouse = self._warehouse or self._remote.client.config.warehouse_id or self._find_warehouse()
        return self._warehouse

    def _find_warehouse(self) -> str:
        found = self._remote.ask("list the SQL warehouses", lambda: list(self._remote.client.warehouses.list()))
        name = self._remote.environment.name
        own = [one for one in found if _tags(one).get(ENVIRONMENT_TAG) == name and one.id]
        if len(own) == 1:
            return str(own[0].id)
        known = ", ".join(sorted(one.name or "" for one in own or found)) or "none"
        raise NotDeployedError(
            f"{self._remote.host} has {len(own)} SQL warehouses with the tag {ENVIRONMENT_TAG}={name} that you may use, and "
            f"one is needed (there are: {known}): deploy {name}-workspace, or set DATABRICKS_WAREHOUSE_ID."
        )

    def _failure(self, answer: sdk.StatementResponse, statement: str) -> RemoteError:
        error = answer.status.error if answer.status else None
        said = " ".join(((error.message if error else None) or "no reason given").split())
        if "TABLE_OR_VIEW_NOT_FOUND" in said or "SCHEMA_NOT_FOUND" in said:
            return NoTableError(f"{self._remote.host}: {said}")
        if "INSUFFICIENT_PERMISSIONS" in said or "PERMISSION_DENIED" in said:
            return RefusedError(f"{self._remote.host} does not allow you to run {statement!r}: {said}")
        return RemoteError(f"{self._remote.host} could not run {statement!r}: {said}")


def quoted(name: str) -> str:
    """Return ``a.b.c`` as SQL quotes it."""
    return ".".join(f"`{part}`" for part in name.split("."))


def text(value: object) -> str:
    """Return a value as a literal of Spark SQL: text in quotes, an instant with its zone, everything else as it is."""
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value.astimezone(dt.UTC).isoformat(sep=' ')}'"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)


def _state(answer: sdk.StatementResponse) -> State | None:
    return answer.status.state if answer.status else None


def _tags(warehouse: "EndpointInfo") -> dict[str, str]:
    pairs = (warehouse.tags.custom_tags if warehouse.tags else None) or []
    return {pair.key or "": pair.value or "" for pair in pairs}


def _instant(said: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(said)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


_CONVERSIONS: Mapping[Type, Callable[[str], Any]] = {
    Type.LONG: int, Type.INT: int, Type.SHORT: int, Type.BYTE: int, Type.DOUBLE: float, Type.FLOAT: float,
    Type.DECIMAL: float, Type.BOOLEAN: lambda said: said.lower() == "true", Type.TIMESTAMP: _instant,
}  # fmt: skip
"""A result says everything as text; these are the types that ours are read back as."""


def _value(kind: Type | None, said: str | None) -> Any:
    convert = _CONVERSIONS.get(kind) if kind else None
    return said if said is None or convert is None else convert(said)
