"""A process that runs a job and kills itself at one call of a store: ``ROOT JOB RUN_ID POINT [NAME=VALUE...]``.

The job ``register`` stores a small model and registers it as a training does.

A point is the name of a method of `MlflowClient`, or ``table.method`` of the store of tables, each with ``:before`` or
``:after``. The parameters ``only`` and those of the job follow.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from pipelines.declarations.registry import job as job_named
from pipelines.execution.jobs import run_and_record
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.tables.delta_files import DeltaFiles
from pipelines.use_cases.air_time.declaration import USE_CASE as AIR_TIME


def killing(call: Callable[..., Any], when: str, applies: Callable[..., bool]) -> Callable[..., Any]:
    """Return a call that ends the process before or after it is done."""

    @functools.wraps(call)
    def killed(*given: Any, **options: Any) -> Any:
        if not applies(*given, **options):
            return call(*given, **options)
        if when == "after":
            call(*given, **options)
        return os.kill(os.getpid(), signal.SIGKILL)

    return killed


def arm(point: str) -> None:
    """Patch the call at which the process is killed."""
    name, _, when = point.partition(":")
    table, _, method = name.rpartition(".")
    if table:
        call = killing(getattr(DeltaFiles, method), when, lambda _store, declared, *_rest: declared.name == table)
        setattr(DeltaFiles, method, call)
    else:
        setattr(MlflowClient, method, killing(getattr(MlflowClient, method), when, lambda *_given, **_options: True))


def register(lakehouse: Lakehouse, run_id: str) -> None:
    """Register a model of a few numbers as the candidate that the run has trained."""
    models, inputs = lakehouse.models, pd.DataFrame({"x": [0.0, 1.0, 2.0]})
    fitted = LinearRegression().fit(inputs, [0.0, 1.0, 2.0])
    tags = {"training_set_id": run_id, "estimator": "ridge"}
    with models.start_run("air_time", name=f"ridge {run_id}") as run:
        models.register(
            AIR_TIME.model, fitted, run=run, input_example=inputs, output_example=fitted.predict(inputs), tags=tags
        )


def main(root: str, job: str, run_id: str, point: str, *parameters: str) -> None:
    """Run the job; the process does not come to its end."""
    given = dict(text.split("=", 1) for text in parameters)
    only = [key for key in given.pop("only", "").split(",") if key]
    arm(point)
    with open_lakehouse("dev", root=Path(root)) as lakehouse:
        if job == "register":
            register(lakehouse, run_id)
        run_and_record(lakehouse, job_named(job), given, run_id=run_id, only=only)
    raise SystemExit(f"{point} was never called")


if __name__ == "__main__":
    main(*sys.argv[1:])
