"""Runs the jobs of a use case as of an instant and reads its tables; shared by the tests of models' lives."""

import datetime as dt

from pipelines.execution.jobs import run_and_record


def run_job(lakehouse, use_case, job, parameters, **options):
    """Run a job as of the end of its window."""
    now = dt.datetime.fromisoformat(parameters["until"])
    return run_and_record(lakehouse, use_case.job(job), parameters, now=now, **options)


def rows_of(lakehouse, use_case, name):
    """The rows of a table."""
    return lakehouse.tables.read(use_case.table(name)).toArrow().to_pylist()
