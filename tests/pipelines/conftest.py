"""Engines and lakehouses for the tests of pipelines: each engine is started once, when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest
from pyspark.sql import SparkSession

from pipelines.declarations.asset import Column, Layer, Table
from pipelines.lakehouse.engines import embedded, jvm
from pipelines.lakehouse.engines.unavailable import EngineUnavailableError
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace, VirtualClock, point_to

# On a few rows, compiling each query takes longer than running it uncompiled. One server lives through all tests.
SERVER_OF_TESTS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.memory": "2g",
}
ENGINES = ["embedded", pytest.param("spark", marks=pytest.mark.jvm)]


@pytest.fixture(scope="session", autouse=True)
def _coarse_figures() -> None:
    """Draw figures with few pixels: nobody looks at those of a test, and drawing takes a third of a second each."""
    mpl.rcParams["savefig.dpi"] = 20


@pytest.fixture(scope="session")
def embedded_spark() -> SparkSession:
    """The session of the embedded engine."""
    return embedded.session()


@pytest.fixture(scope="session")
def jvm_spark(tmp_path_factory: pytest.TempPathFactory) -> SparkSession:
    """The session of JVM Spark with Delta; without Java or Delta's jars its tests are skipped with the reason."""
    folder = tmp_path_factory.mktemp("spark-conf")
    (folder / "spark-defaults.conf").write_text("\n".join(f"{name} {value}" for name, value in SERVER_OF_TESTS.items()))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPARK_CONF_DIR", str(folder))
            return jvm.session()
    except EngineUnavailableError as unavailable:
        pytest.skip(str(unavailable))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each local engine in turn."""
    request.getfixturevalue("jvm_spark" if request.param == "spark" else "embedded_spark")
    return str(request.param)


@pytest.fixture(scope="module", params=["embedded", pytest.param("spark", marks=[pytest.mark.jvm, pytest.mark.proof])])
def life_engine(request: pytest.FixtureRequest) -> str:
    """The engine on which a whole life is lived: the embedded one every time, JVM Spark as a proof."""
    request.getfixturevalue("jvm_spark" if request.param == "spark" else "embedded_spark")
    return str(request.param)


@pytest.fixture
def lakehouse(engine: str, tmp_path: Path) -> Iterator[Lakehouse]:
    """An empty dev environment on each local engine."""
    with open_lakehouse("dev", engine=engine, root=tmp_path) as opened:
        yield opened


@pytest.fixture
def embedded_lakehouse(tmp_path: Path) -> Iterator[Lakehouse]:
    """An empty dev environment on the embedded engine alone."""
    with open_lakehouse("dev", root=tmp_path) as opened:
        yield opened


@pytest.fixture
def loopback() -> Iterator[LoopbackWorkspace]:
    """A workspace on loopback that holds nothing yet."""
    server = LoopbackWorkspace()
    yield server
    server.close()


@pytest.fixture
def clock() -> VirtualClock:
    """Time that passes only by waiting."""
    return VirtualClock()


@pytest.fixture
def logged_in(loopback: LoopbackWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LoopbackWorkspace:
    """The workspace on loopback as the one that the SDK's own configuration points to."""
    point_to(loopback.host, monkeypatch, tmp_path)
    return loopback


@pytest.fixture
def sensors() -> Table:
    """A table with a key, a time key and a column of every type that may be declared."""
    return Table(
        use_case="tests",
        layer=Layer.FEATURES,
        name="sensors",
        comment="what a sensor's owner said",
        primary_key=("sensor",),
        time_key="known_at",
        columns=(
            Column(name="sensor", type="string", nullable=False, comment="the sensor's name"),
            Column(name="known_at", type="timestamp", nullable=False),
            Column(name="active", type="boolean"),
            Column(name="floor", type="int"),
            Column(name="serial", type="bigint"),
            Column(name="value", type="double"),
            Column(name="installed_on", type="date"),
        ),
    )
