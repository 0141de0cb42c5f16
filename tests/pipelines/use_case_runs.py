"""Runs the jobs of a use case at an instant and reads its tables; shared by the tests of models' lives."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pipelines.declarations.use_case import UseCase
from pipelines.execution.jobs import run_and_record
from pipelines.execution.runner import JobRun
from pipelines.lakehouse.lakehouse import Lakehouse


def run_job(lakehouse: Lakehouse, use_case: UseCase, job: str, parameters: Mapping[str, str], **options: Any) -> JobRun:
    """Run a job; its present is the end of its window."""
    now = dt.datetime.fromisoformat(parameters["until"])
    return run_and_record(lakehouse, use_case.job(job), parameters, now=now, **options)


def rows_of(lakehouse: Lakehouse, use_case: UseCase, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return lakehouse.tables.read(use_case.table(name)).toArrow().to_pylist()
