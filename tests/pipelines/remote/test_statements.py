"""SQL on the environment's warehouse: typed rows, retries and waiting, and one sentence for each failure."""

import datetime as dt
import math

import pytest
from databricks.sdk.service import sql as sdk

from pipelines.remote import statements
from pipelines.remote.connection import Remote, connect
from pipelines.remote.errors import NotDeployedError, RefusedError, RemoteError
from pipelines.remote.statements import NoTableError, Sql, quoted, text
from tests.pipelines.remote.loopback_workspace import (
    Fault,
    LoopbackWorkspace,
    RefusalError,
    StatementResult,
    VirtualClock,
)


def warehouse(identity: str, environment: str | None) -> sdk.EndpointInfo:
    """Return a SQL warehouse with the tag of an environment."""
    tags = [sdk.EndpointTagPair(key="environment", value=environment)] if environment else []
    return sdk.EndpointInfo(id=identity, name=f"sql-{identity}", tags=sdk.EndpointTags(custom_tags=tags))


@pytest.fixture
def remote(logged_in: LoopbackWorkspace, clock: VirtualClock) -> Remote:
    """A connection to staging, whose warehouse is on the second page of the list."""
    logged_in.held.warehouses = [warehouse("a", None), warehouse("b", "prod"), warehouse("c", "staging")]
    return connect("staging", say=lambda _line: None, clock=clock)


def test_rows_have_python_types(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """All rows are fetched, though the first answer has only two; a missing value is None."""
    columns = [("n", "LONG"), ("x", "DOUBLE"), ("flag", "BOOLEAN"), ("at", "TIMESTAMP"), ("words", "STRING")]
    rows = [[str(n), f"{n}.5", "true", "2013-04-01T06:00:00.000Z", f"row {n}"] for n in range(5)]
    logged_in.statement = lambda _text, _catalog: (columns, [*rows, [None, "NaN", "false", None, None]])
    found = Sql(remote).rows("SELECT 1")
    assert len(found) == 6
    at = dt.datetime(2013, 4, 1, 6, tzinfo=dt.UTC)
    assert found[4] == {"n": 4, "x": 4.5, "flag": True, "at": at, "words": "row 4"}
    assert (found[5]["n"], found[5]["flag"], found[5]["at"]) == (None, False, None)
    assert math.isnan(found[5]["x"])


def test_no_rows_is_an_empty_list(remote: Remote) -> None:
    """A statement without rows raises no error."""
    assert Sql(remote).rows("SELECT 1") == []


def test_a_pending_statement_is_polled_until_it_has_run(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """A warehouse that is starting delays the answer, and the rows come nevertheless."""
    logged_in.statement = lambda _text, _catalog: ([("n", "INT")], [["1"]])
    logged_in.polls = 3
    assert Sql(remote).rows("SELECT 1") == [{"n": 1}]
    assert clock.waited == [statements.POLL_SECONDS] * 3


def test_a_statement_that_takes_too_long_is_cancelled(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """After 15 minutes an error with the statement is raised and a cancellation is sent."""
    logged_in.polls = 10_000
    with pytest.raises(RemoteError, match="took longer than 900 s and was cancelled: SELECT 1"):
        Sql(remote).rows("SELECT 1")
    assert logged_in.asked[-1].endswith("/cancel")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("[TABLE_OR_VIEW_NOT_FOUND] The table or view cannot be found.", NoTableError),
        ("[SCHEMA_NOT_FOUND] The schema cannot be found.", NoTableError),
        ("[INSUFFICIENT_PERMISSIONS] Insufficient privileges: no SELECT.", RefusedError),
        ("[DIVIDE_BY_ZERO] Division by zero.", RemoteError),
    ],
)
def test_a_failed_statement_raises_an_error_with_the_reason_of_the_warehouse(
    remote: Remote, logged_in: LoopbackWorkspace, message: str, kind: type[RemoteError]
) -> None:
    """A missing table, a missing right and any other failure have their own error classes."""

    def refuse(_text: str, _catalog: str) -> StatementResult:
        raise RefusalError(400, "BAD_REQUEST", message)

    logged_in.statement = refuse
    with pytest.raises(RemoteError) as failed:
        Sql(remote).rows("SELECT 1")
    assert type(failed.value) is kind
    assert message in str(failed.value)
    if kind is NoTableError:
        assert Sql(remote).rows_if_exists("SELECT 1") == []
    else:
        with pytest.raises(kind):
            Sql(remote).rows_if_exists("SELECT 1")


def test_the_warehouse_is_the_one_with_the_tag_of_the_environment(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """It is looked up once, on every page, and each statement names the catalog."""
    sql = Sql(remote)
    sql.rows("SELECT 1")
    sql.rows("SELECT 2")
    one, two = logged_in.bodies("/sql/statements")
    assert (one["warehouse_id"], two["warehouse_id"], one["catalog"]) == ("c", "c", "staging")
    assert sum("sql/warehouses" in asked for asked in logged_in.asked) == 2


@pytest.mark.parametrize("count", [0, 2])
def test_without_exactly_one_warehouse_no_statement_is_sent(
    remote: Remote, logged_in: LoopbackWorkspace, count: int
) -> None:
    """The error lists the candidates and names the variable that chooses one."""
    logged_in.held.warehouses = [warehouse("b", "prod"), *(warehouse(f"s{n}", "staging") for n in range(count))]
    known = "sql-s0, sql-s1" if count else "sql-b"
    with pytest.raises(
        NotDeployedError, match=rf"has {count} SQL warehouses .* \(there are: {known}\): .*DATABRICKS_WAREHOUSE_ID"
    ):
        Sql(remote).rows("SELECT 1")
    assert logged_in.bodies("/sql/statements") == []


def test_the_warehouse_can_be_chosen_by_a_variable(
    logged_in: LoopbackWorkspace, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's variable DATABRICKS_WAREHOUSE_ID decides."""
    monkeypatch.setenv("DATABRICKS_WAREHOUSE_ID", "mine")
    Sql(connect("staging", say=lambda _line: None, clock=clock)).rows("SELECT 1")
    assert logged_in.bodies("/sql/statements")[0]["warehouse_id"] == "mine"


def test_a_statement_is_repeated_when_its_answer_is_lost(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """After status 500 the statement is sent again, because every statement of ours may run twice."""
    logged_in.faults = [Fault("POST .*/sql/statements", RefusalError(500, "INTERNAL_ERROR", "lost"))]
    assert Sql(remote).rows("SELECT 1") == []
    assert len(logged_in.bodies("/sql/statements")) == 2


def test_names_and_values_are_written_as_sql() -> None:
    """Names are quoted, texts are escaped, and timestamps have their zone."""
    assert quoted("prod.flight_delay_bronze.weather") == "`prod`.`flight_delay_bronze`.`weather`"
    assert text("it's \\ done") == "'it\\'s \\\\ done'"
    assert text(dt.datetime(2013, 2, 19, 1, 2, 3, 4, dt.UTC)) == "TIMESTAMP '2013-02-19 01:02:03.000004+00:00'"
    assert text(7) == "7"
