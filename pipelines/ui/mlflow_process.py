"""MLflow's own server over the runs of one environment and the registry that all share, on a Unix socket of this user.

MLflow asks for no sign-in. Its server therefore listens on no port: only on a socket in a folder that nobody else may
enter, and `pipelines.ui.front` lets requests in. The server is MLflow's, with its documented options
(https://mlflow.org/docs/latest/api_reference/cli.html#mlflow-server); ``--uds`` is uvicorn's
(https://www.uvicorn.org/settings/#socket-binding).
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ml.spec.errors import LakehouseError
from pipelines.lakehouse.engines.choice import ModelStores
from pipelines.report.mlflow_links import prefix as prefix_of

WITHIN_SECONDS = 120
POLL_SECONDS = 0.2


class MlflowServerError(LakehouseError):
    """MLflow's server did not start."""


@dataclass(frozen=True, kw_only=True)
class MlflowServer:
    """A running server.

    Attributes
    ----------
    prefix
        What the path of each of its addresses begins with.
    """

    prefix: str
    socket: Path
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Wait until the server listens.

        Raises
        ------
        MlflowServerError
            If it ends, or does not listen within two minutes.
        """
        begun = time.monotonic()
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() - begun > WITHIN_SECONDS:
                said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise MlflowServerError(f"MLflow's server did not start: {' '.join(said) or 'it said nothing'}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the server and the workers that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start(environment: str, stores: ModelStores, folder: Path) -> MlflowServer:
    """Start MLflow's server for one environment.

    Parameters
    ----------
    folder
        For the socket and the log; nobody else may enter it.
    """
    socket, log, prefix = folder / f"{environment}.sock", folder / f"{environment}.log", prefix_of(environment)
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", stores.tracking, "--registry-store-uri",
        stores.registry, "--static-prefix", prefix, "--workers", "1", "--uvicorn-opts", f"--uds {socket} --log-level warning",
    ]  # fmt: skip
    with log.open("wb") as written:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
        )  # fmt: skip
    return MlflowServer(prefix=prefix, socket=socket, process=process, log=log)
