"""Estimators: each is constructed with its parameters, whose names, values and fit for the problem are checked."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ml.spec.errors import LakehouseError, sentence_of
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def estimator_mistakes(use_case: UseCase, _spark: "SparkSession") -> Iterator[str]:
    """Yield why an estimator cannot be constructed as declared."""
    from ml.models.estimators import (  # loads scikit-learn, for jobs that train alone
        build,
        require_sound,
        require_weights,
    )

    for spec in use_case.estimators:
        try:
            estimator = build(spec, problem=use_case.problem, seed=0)
            require_sound(spec, estimator)
            if use_case.weight is not None:
                require_weights(spec, estimator)
            for corner in spec.search.corners() if spec.search else ():
                tried = replace(spec, parameters={**spec.parameters, **corner}, search=None)
                require_sound(tried, build(tried, problem=use_case.problem, seed=0))
        except LakehouseError as mistake:
            yield str(mistake)
        except Exception as error:  # noqa: BLE001 - whatever a team's constructor raises is said as one sentence
            yield f"estimator {spec.name!r}: {spec.estimator} cannot be constructed: {sentence_of(error)}"
