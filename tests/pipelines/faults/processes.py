"""Child processes that are forked from one parent that has imported everything and started nothing.

Importing takes longer than most jobs of the journeys. The parent imports the product and what it needs, starts no thread,
no engine and no connection, and forks: each child starts its own engine, as the command in a terminal would.
"""

import atexit
import ctypes
import dataclasses
import functools
import importlib
import os
import pickle
import secrets
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # its client would start a thread on import
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MPLBACKEND": "Agg",
    "GRPC_ENABLE_FORK_SUPPORT": "0",  # the parent has no connection that a child could share
    "COLUMNS": "200",
}
IMPORTED = (
    "deltalake", "matplotlib.figure", "mlflow.sklearn", "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store", "pyspark.sql.connect.session", "sklearn.ensemble", "sklearn.linear_model",
    "pipelines.__main__", "pipelines.commands.run", "pipelines.commands.status", "pipelines.commands.assets",
    "pipelines.commands.report", "pipelines.commands.doctor", "pipelines.doctor.examination", "pipelines.doctor.repair",
    "pipelines.execution.jobs", "pipelines.lakehouse.registry.models",
    "pipelines.report.writing", "pipelines.tasks.versions.delivery", "pipelines.tasks.monitoring.estimation", "pipelines.tasks.versions.evaluation",
    "pipelines.tasks.data.features", "pipelines.tasks.data.ingest", "pipelines.tasks.monitoring.measurement", "pipelines.tasks.monitoring.retraining", "pipelines.tasks.versions.promotion",
    "pipelines.tasks.versions.rollback", "pipelines.tasks.predictions.scoring", "pipelines.tasks.versions.serving", "pipelines.tasks.predictions.streaming", "pipelines.tasks.versions.training",
    "pipelines.use_cases.air_time.sources", "pipelines.use_cases.air_time.features", "pipelines.use_cases.flight_delay.features",
    "ml.models.fitting", "ml.models.importance", "ml.evaluation.figures",
)  # fmt: skip
PATIENCE_SECONDS = 900
PR_SET_PDEATHSIG = 1
"""Linux's number for: send me this signal when my parent ends."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended.

    Attributes
    ----------
    code
        Its exit code; minus the signal that ended it.
    said
        What it wrote to standard output and standard error.
    answer
        What its function returned; None if it did not return.
    """

    code: int
    said: str
    answer: Any


def import_everything() -> None:
    """Import what the children need.

    Raises
    ------
    RuntimeError
        If an import has started a thread: forking would not be safe.
    """
    os.environ.update(SETTINGS)
    for name in IMPORTED:
        importlib.import_module(name)
    _warm()
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        raise RuntimeError(f"threads run before the first child is forked: {', '.join(others)}")


SERVER_OF_HOURS = {
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC",
    "spark.driver.memory": "6g",
    "spark.connect.session.manager.defaultSessionTimeout": "10m",
}


def share_jvm() -> None:
    """Start one JVM server for all children, each of which has a session of its own; starting it takes longer than a job.

    The parent itself does not connect to it. It lives for hours, so both of Java's compilers pay, and what the session of a
    killed child holds is let go long before the hour for which Spark keeps it.
    """
    from pipelines.lakehouse.engines import jvm
    from tests.pipelines.conftest import SERVER_OF_TESTS

    jvm.SETTINGS.update(SERVER_OF_TESTS | SERVER_OF_HOURS)
    folder, port, token = Path(tempfile.mkdtemp(prefix="spark-")), jvm._free_port(), secrets.token_urlsafe()
    server = jvm._start(folder, port, token)
    jvm._wait(server, port, folder / "log")
    atexit.register(jvm._end, server, folder)

    @functools.cache
    def session() -> "SparkSession":
        spark = jvm.connect(f"127.0.0.1:{port}", token=token)
        jvm.quiet_spark()
        return spark

    jvm.session = session


def _warm() -> None:
    """Compute once what every child would compute for itself: lists of packages, fonts, MLflow's empty database."""
    import io

    import matplotlib
    import mlflow.sklearn
    import pandas as pd
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches
    from sklearn.linear_model import LinearRegression

    from ml.evaluation.figures import importance_figure
    from ml.models.importance import InputImportance
    from pipelines.execution.provenance import git_commit
    from pipelines.lakehouse.engines.quiet import quiet_mlflow
    from pipelines.lakehouse.registry.local_stores import _empty_database
    from pipelines.lakehouse.registry.requirements import model_requirements

    matplotlib.rcParams["savefig.dpi"] = 20  # nobody looks at the figures
    quiet_mlflow()
    git_commit()
    _empty_database()
    warn_dependency_requirement_mismatches(list(model_requirements()))
    importance_figure([InputImportance(input="a", importance=0.1, standard_error=0.0)], "log_loss").savefig(
        io.BytesIO(), format="png"
    )
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    with tempfile.TemporaryDirectory() as folder:
        mlflow.sklearn.save_model(
            LinearRegression().fit(frame, [1.0, 2.0]), f"{folder}/model", input_example=frame,
            pip_requirements=list(model_requirements()),
        )  # fmt: skip


def _declare_streams() -> None:
    """Declare every use case of this process with a stream; it cannot be undone, so this is for processes of their own."""
    from pipelines.api import StreamingPolicy
    from pipelines.declarations import registry

    read = registry.read_use_case
    registry.read_use_case = lambda package, folder: dataclasses.replace(
        read(package, folder), streaming=StreamingPolicy()
    )
    registry.use_cases.cache_clear()


class Child:
    """A process that calls one function; it has begun when this is made.

    Parameters
    ----------
    work
        Called in the child; what it returns is pickled.
    folder
        Where its output and its answer are kept; the child's working directory.
    """

    def __init__(self, work: Callable[[], Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._run(work)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait until it has ended.

        Raises
        ------
        TimeoutError
            If it takes longer; it is killed.
        """
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"a child took more than {seconds} s: {self.said()[-2000:]}")
            time.sleep(0.005)
        answer = self._folder / "answer"
        return Ended(
            code=os.waitstatus_to_exitcode(status), said=self.said(),
            answer=pickle.loads(answer.read_bytes()) if answer.exists() else None,  # noqa: S301 - our own child's
        )  # fmt: skip

    def said(self) -> str:
        """Return what it has written so far."""
        return (self._folder / "said").read_text(errors="replace")

    def _run(self, work: Callable[[], Any]) -> None:
        code = 70
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.chdir(self._folder)
            (self._folder / "answer").unlink(missing_ok=True)
            output = os.open(self._folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            answer = work()
            (self._folder / "answer").write_bytes(pickle.dumps(answer))
            code = answer if isinstance(answer, int) else 0
        except BaseException:  # noqa: BLE001 - whatever it is, this process ends here and not in its parent's code
            traceback.print_exc()
        finally:
            os._exit(code)


def run_child(work: Callable[[], Any], folder: Path) -> Ended:
    """Call a function in a child and wait until it has ended."""
    return Child(work, folder).wait()


def command(words: Sequence[str]) -> Callable[[], int]:
    """Return the work of a child that runs one command of the product.

    Where a stream runs, or has run in the folder, the use case of the journeys is declared with one, which the shipped is not.
    """

    def work() -> int:
        from pipelines.__main__ import main

        roots = [Path(words[place + 1]) for place, word in enumerate(words) if word == "--root"]
        if any(word.endswith(".stream") for word in words) or any(
            list(root.glob("*/locks/*.stream.lock")) for root in roots
        ):
            _declare_streams()
        return main(words)

    return work
