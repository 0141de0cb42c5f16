"""Opening environments on engines: names, missing programs, shared sessions, and an end without output."""

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from pipelines.declarations.asset import Table
from pipelines.declarations.mistakes import DeclarationError
from pipelines.lakehouse.engines import databricks, jvm
from pipelines.lakehouse.engines.choice import ENGINES
from pipelines.lakehouse.engines.unavailable import EngineUnavailableError
from pipelines.lakehouse.lakehouse import open_lakehouse

PROJECT = Path(__file__).parents[4]


def python(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own, in the project's folder."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env={**os.environ, **variables}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_an_unknown_environment_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """No folder is created."""
    with (
        pytest.raises(DeclarationError, match="unknown environment 'stagin': did you mean 'staging'"),
        open_lakehouse("stagin", root=tmp_path / "lakehouse"),
    ):
        pass
    assert not (tmp_path / "lakehouse").exists()


def test_an_unknown_engine_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """The message lists the engines that exist."""
    with (
        pytest.raises(DeclarationError, match=r"unknown engine 'sparc': did you mean 'spark'\? Known: databricks, emb"),
        open_lakehouse("dev", engine="sparc", root=tmp_path),
    ):
        pass


def test_importing_the_lakehouse_loads_no_engine() -> None:
    """Neither Spark, MLflow, Delta nor pandas."""
    code = (
        "import sys; from pipelines.lakehouse.lakehouse import open_lakehouse; "
        "print(sorted({'pyspark', 'pysail', 'mlflow', 'deltalake', 'pandas'} & set(sys.modules)))"
    )
    assert python(code).stdout == "[]\n"


def test_environments_share_a_session_but_no_table(tmp_path: Path, sensors: Table) -> None:
    """They may be open at once or one after the other; times are in UTC in each."""
    with open_lakehouse("dev", root=tmp_path) as dev, open_lakehouse("prod", root=tmp_path) as prod:
        assert dev.spark is prod.spark
        assert dev.spark.sql("SELECT hour(timestamp'2013-07-01T05:00:00Z') AS hour").first()["hour"] == 5
        dev.tables.create(sensors)
        assert dev.tables.exists(sensors)
        assert not prod.tables.exists(sensors)
    with open_lakehouse("dev", root=tmp_path) as again:
        assert again.tables.exists(sensors)
        assert (again.environment.name, again.engine) == ("dev", "embedded")
    assert (tmp_path / "dev" / "tables" / sensors.schema / sensors.name / "_delta_log").is_dir()


def test_a_process_that_used_the_embedded_engine_ends_quietly(tmp_path: Path) -> None:
    """Only the program's own output is printed."""
    code = (
        "from pathlib import Path; from pipelines.lakehouse.lakehouse import open_lakehouse\n"
        f"with open_lakehouse('dev', root=Path({str(tmp_path)!r})) as lakehouse:\n"
        "    print(lakehouse.spark.range(3).count())"
    )
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", "")


IDLE = """
import time
from pipelines.lakehouse.engines.embedded import session
spark = session()
print(spark.range(1).count(), flush=True)
time.sleep(4)
print(spark.range(2).count())
"""


def test_an_idle_session_lives_as_long_as_its_process() -> None:
    """While a model is fitted or a notebook stands open; that Sail ends one after a second shows that it is asked by this name."""
    ended = python(IDLE, SAIL_SPARK__SESSION_TIMEOUT_SECS="1")
    assert ended.stdout == "1\n"
    assert "is not running" in ended.stderr
    told = python(
        "from pipelines.lakehouse.engines.embedded import session; session(); import os; print(os.environ['SAIL_SPARK__SESSION_TIMEOUT_SECS'])"
    )
    assert int(told.stdout) > dt.timedelta(days=365).total_seconds()


@pytest.mark.jvm
def test_an_idle_session_of_the_jvm_lives_as_long_as_its_process(jvm_spark: SparkSession) -> None:
    """Spark ends one after an hour by default."""
    assert jvm_spark.conf.get("spark.connect.session.manager.defaultSessionTimeout") == "3650d"


def test_without_java_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error replaces the traceback of the Java gateway."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineUnavailableError, match="needs Java 17 and none was found: install it or set JAVA_HOME"):
        jvm.session.__wrapped__()


def test_a_java_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sentence has the last lines of the server's log; the wait ends with the server."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'Error: this JVM is broken' >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineUnavailableError, match=r"did not start: .*Error: this JVM is broken.*Java 17") as failed:
        jvm.session.__wrapped__()
    assert "\n" not in str(failed.value)


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also if that process is killed: the pipe to the server's shell closes, and the shell ends the server."""
    mark, ready = tmp_path / "ended", tmp_path / "ready"
    server = f"trap 'echo > {mark}; exit' TERM; echo > {ready}; while :; do sleep 0.05; done"
    started = subprocess.Popen(
        ["/bin/sh", "-c", jvm.WITH_PARENT, "spark", "/bin/sh", "-c", server], stdin=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not mark.exists()
    started.stdin.close()
    started.wait(timeout=60)
    assert mark.exists()


def test_the_databricks_engine_outside_databricks_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop without Databricks Connect has no session of a cluster."""

    def no_session() -> None:
        return None

    monkeypatch.setattr(SparkSession, "getActiveSession", no_session)
    monkeypatch.setitem(sys.modules, "databricks.connect", None)
    with pytest.raises(EngineUnavailableError, match="needs the session of a Databricks cluster"):
        databricks.session()


def test_the_databricks_engine_takes_the_session_of_the_cluster(
    embedded_spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Models are in Unity Catalog, runs in the workspace, and no local folder is made."""
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: embedded_spark)
    with open_lakehouse("prod", engine="databricks", root=tmp_path / "lakehouse") as lakehouse:
        assert lakehouse.spark is embedded_spark
        assert (lakehouse.model_stores.tracking, lakehouse.model_stores.registry) == ("databricks", "databricks-uc")
        assert lakehouse.model_stores.experiments == "/lakehouse/experiments/"
    assert not (tmp_path / "lakehouse").exists()


@pytest.mark.jvm
def test_both_local_engines_work_in_one_process(jvm_spark: SparkSession, embedded_spark: SparkSession) -> None:
    """Neither changes the session, port or environment variables of the other."""
    assert jvm_spark.range(4).count() == embedded_spark.range(4).count() == 4
    answers: list[Any] = [s.sql("SELECT current_timezone() AS zone").first() for s in (jvm_spark, embedded_spark)]
    assert [answer["zone"] for answer in answers] == ["UTC", "UTC"]
    assert "SPARK_REMOTE" not in os.environ


def test_there_are_three_engines() -> None:
    """A fourth engine needs tests here and in the suite of tables."""
    assert set(ENGINES) == {"embedded", "spark", "databricks"}
