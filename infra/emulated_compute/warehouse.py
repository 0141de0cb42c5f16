"""The process of `on_warehouse`, asked one question at a time; it starts with the first one."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from infra.emulated_cloud.world import EngineError

SCRIPT = Path(__file__).with_name("on_warehouse.py")
SECONDS_TO_END = 10


class EngineProcess:
    """Statements, models and predictions on what is below one folder.

    Parameters
    ----------
    root
        The folder of the metastore's tables and models.
    log
        The file for what the engine prints.
    """

    def __init__(self, root: Path, log: Path) -> None:
        self._root, self._log = root, log
        self._process: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()

    def ask(self, do: str, **given: Any) -> Any:
        """Return the answer to a request.

        Raises
        ------
        EngineError
            If the engine refuses or fails.
        """
        with self._asking:
            process = self._started()
            if process.stdin is None or process.stdout is None:
                raise EngineError(f"the engine has no input or output; see {self._log}.")
            process.stdin.write(f"{json.dumps({'do': do, **given})}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise EngineError(f"the engine has ended; see {self._log}.")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        with self._asking:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                self._process.wait(SECONDS_TO_END)
                self._process = None

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._root.mkdir(parents=True, exist_ok=True)
            repository = Path(__file__).resolve().parents[2]
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 -- our own file
                    [sys.executable, str(SCRIPT), str(self._root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=log, text=True, cwd=self._root, start_new_session=True,
                    env={**os.environ, "PYTHONPATH": str(repository)},
                )  # fmt: skip
        return self._process
