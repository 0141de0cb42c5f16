"""A process that proves that a stored model can be loaded elsewhere: outside the repository, with what it carries alone.

It is started once, in the background, and imports what every model needs; each model is loaded in a copy of it.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.spec.errors import ROOMS
from pipelines.lakehouse.registry.model_files import CODE_FOLDER, ModelFilesError
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.served import Served

SCRIPT = Path(__file__).with_name("fresh_loader.py")
SERVED_CODE = "served_code"
"""Where a version keeps the modules of its scoring function, among its files."""
MODEL_FILE = "model.pkl"
"""Where MLflow keeps the pickled object among the files of a model."""
SECONDS = 120
"""A model that is not loaded within so many seconds cannot be served either."""
IMPORTED = ("numpy", "pandas", "cloudpickle", "sklearn.compose", "sklearn.pipeline", "sklearn.preprocessing",
            "sklearn.impute")  # fmt: skip
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Threads of libraries would not be in the copies of the process."""
RELATIVE = 1e-9
"""How far predictions of two processes may be apart, relative to their size: sums in another order round otherwise."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A few rows with what the fitted object predicts for them here.

    Attributes
    ----------
    rows
        As the fitted object takes them.
    method
        ``predict`` or ``predict_proba``.
    """

    rows: pd.DataFrame
    method: str

    def predicted(self, fitted: Any) -> Any:
        """Return what an object predicts for the rows."""
        return getattr(fitted, self.method)(self.rows)


@dataclass(frozen=True, kw_only=True)
class ServedProbe:
    """A scoring function with a few requests, which give the looked-up columns themselves.

    Attributes
    ----------
    requests
        The columns of a request and those of its look-ups.
    """

    function: ScoringFunction
    requests: pd.DataFrame


def require_servable(files: Path, fitted: Any, probe: ServedProbe) -> None:
    """Load what MLflow serves in a process outside the repository, and compare its answers with those here.

    Raises
    ------
    ModelFilesError
        If it cannot be loaded there, or answers something else.
    """
    there = _asked(files, {"code": str(files / SERVED_CODE), "served": str(files)}, probe.requests)
    here = Served(probe.function, fitted).predict(probe.requests)
    if not here.equals(there):
        raise ModelFilesError(
            "the served model answers something else once it is stored and loaded again: the builder of inputs keeps "
            "something in the process that trained it. Let it follow from the request alone."
        )


def require_loadable(files: Path, fitted: Any, probe: Probe) -> None:
    """Load stored files in a process outside the repository, and compare its predictions with those here.

    Raises
    ------
    ModelFilesError
        If the files cannot be loaded there, or predict something else.
    """
    there = np.asarray(_asked(files, {"code": str(files / CODE_FOLDER), "method": probe.method}, probe.rows))
    here = np.asarray(probe.predicted(fitted))
    if there.shape != here.shape or not np.allclose(there, here, rtol=RELATIVE, atol=RELATIVE, equal_nan=True):
        raise ModelFilesError(
            "the model predicts other values once it is stored and loaded again: its class keeps something in the process "
            "that trained it. Keep all that was fitted in attributes."
        )


def _asked(files: Path, how: dict[str, Any], asked: pd.DataFrame) -> Any:
    """Return what the process answers to rows.

    Raises
    ------
    ModelFilesError
        If it gives no answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer, log, rows = (Path(folder, name) for name in ("answer", "log", "rows"))
        rows.write_bytes(pickle.dumps(asked))
        request = {
            "model": str(files / MODEL_FILE), "rows": str(rows), "answer": str(answer), "log": str(log),
            "hidden": list(ROOMS), "seconds": SECONDS, **how,
        }  # fmt: skip
        ended = _loader().ask(request)
        if ended != 0:
            said = log.read_text(encoding="utf-8").strip().rpartition("\n")[2] if log.exists() else ""
            why = (
                f"it took more than {SECONDS} seconds" if ended == -14 else said or f"it ended with {ended}"
            )  # SIGALRM
            raise ModelFilesError(
                f"the model cannot be loaded outside the repository ({why}): what it is made of must be installed or be a "
                "module of the use case."
            )
        return pickle.loads(answer.read_bytes())  # noqa: S301 - ours


class _Loader:
    """The process, as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Of its own session, so that Ctrl-C at the terminal is this process's affair; it ends with its input.
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tempfile.gettempdir(),
            env={**os.environ, **ONE_THREAD}, text=True, start_new_session=True,
        )  # fmt: skip
        self._send({"path": _interpreters_own(), "imported": IMPORTED})

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> int:
        """Return how the process that answers a request ended, as the system counts; -1 if none can be started."""
        with self._lock:
            try:
                self._send(request)
            except OSError:
                return -1
            assert self._process.stdout is not None  # noqa: S101 - it was asked for
            return int(self._process.stdout.readline() or -1)

    def _send(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()


_running: list[_Loader] = []


def start_loader() -> None:
    """Start the process, unless it lives: it gets ready while a model is being fitted."""
    _loader()


def _loader() -> _Loader:
    if not (_running and _running[-1].alive):
        _running[:] = [_Loader()]
    return _running[-1]


def _interpreters_own() -> list[str]:
    """Return the places of imports that belong to the interpreter or to what is installed: none of the repository."""
    homes = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    return [
        place for place in sys.path
        if place and (Path(place).name in ("site-packages", "dist-packages")
                      or any(home in Path(place).resolve().parents for home in homes))
    ]  # fmt: skip
