"""Readers: they can be imported and take a location and a window. What they deliver is judged with each delivery."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.declarations.use_case import UseCase
from pipelines.declared_code.loading import CodeError, called

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def reader_mistakes(use_case: UseCase, _spark: "SparkSession") -> Iterator[str]:
    """Yield why a reader, or a generator of synthetic rows, cannot be called."""
    for source in use_case.sources:
        try:
            called(source.reader, "location", "since", "until")
        except CodeError as mistake:
            yield f"reader of source {source.name!r}: {mistake}"
        for environment, data in source.data.items():
            if data.generator:
                try:
                    called(data.generator, "since", "until")
                except CodeError as mistake:
                    yield f"generator of source {source.name!r} in {environment}: {mistake}"
