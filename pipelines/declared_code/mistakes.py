"""All that is wrong with the code that a use case names, as sentences; nothing of its data is read.

Code is imported only where it is asked about: a job needs a part of it, and has to import that part anyway.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from ml.spec.errors import DeclarationError
from pipelines.declarations.use_case import UseCase
from pipelines.declared_code.builders import builder_mistakes, inputs_builder_mistakes
from pipelines.declared_code.estimators import estimator_mistakes
from pipelines.declared_code.readers import reader_mistakes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Part = Callable[[UseCase, "SparkSession"], Iterator[str]]

PARTS: tuple[Part, ...] = (reader_mistakes, builder_mistakes, inputs_builder_mistakes, estimator_mistakes)
"""What is looked at, in the order in which a job uses it."""
PARTS_OF_JOB: Mapping[str, tuple[Part, ...]] = {
    "features": (reader_mistakes, builder_mistakes),
    "training": (inputs_builder_mistakes, estimator_mistakes),
    "delivery": (inputs_builder_mistakes,),
    "scoring": (inputs_builder_mistakes,),
    "monitoring": (inputs_builder_mistakes, estimator_mistakes),
}
"""What a job, or one that it may start, calls of the team's code; the other jobs call nothing of it."""


def code_mistakes(use_case: UseCase, spark: "SparkSession", *, job: str | None = None) -> list[str]:
    """Return what is wrong with the named code, one sentence each; empty if nothing is.

    Parameters
    ----------
    spark
        Any engine's session: builders are called on data frames without rows.
    job
        The name of the job about to run, whose code alone is looked at; None for all code.
    """
    parts = PARTS if job is None else PARTS_OF_JOB.get(job, ())
    return [f"use case {use_case.name}: {mistake}" for part in parts for mistake in part(use_case, spark)]


def require_sound_code(use_case: UseCase, spark: "SparkSession", *, job: str | None = None) -> None:
    """Raise if the named code is not as declared.

    Raises
    ------
    DeclarationError
        With a line for each mistake.
    """
    if mistakes := code_mistakes(use_case, spark, job=job):
        raise DeclarationError("\n".join(mistakes))
