"""Two use cases from the templates: one shares the history of its routes, the other one has no features but those."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipelines.declarations.asset import Layer, Table
from pipelines.declarations.shared_features import SharedFeatures
from pipelines.declarations.use_case import UseCase
from tests.pipelines.template_use_case import template_use_case

OWNER, READER = "routes", "late_planes"
FRESH_HOURS = 72.0


def sharing(owner: UseCase) -> UseCase:
    """The use case with its feature table shared."""
    (feature,), (lookup,) = owner.features, owner.lookups
    table = replace(feature.table, layer=Layer.SHARED)
    return replace(
        owner,
        features=(replace(feature, table=table, fresh_within_hours=FRESH_HOURS),),
        lookups=(replace(lookup, table=table),),
        team="operations",
    )


def relied_on(owner: UseCase) -> Table:
    """The owner's table as a reader states it again: other words, the same columns."""
    return replace(owner.features[0].table, comment="how long flights of a route are late")


def reading(reader: UseCase, owner: UseCase) -> UseCase:
    """The use case with nothing but the owner's features."""
    (lookup,), table = reader.lookups, relied_on(owner)
    return replace(
        reader,
        features=(),
        shared_features=(SharedFeatures(table=table, fresh_within_hours=FRESH_HOURS),),
        lookups=(replace(lookup, table=table),),
        team="revenue",
    )


@contextmanager
def teams(root: Path) -> Iterator[tuple[UseCase, UseCase]]:
    """Give the owner and the reader."""
    for name in (OWNER, READER):
        (root / name).mkdir()
    with template_use_case(OWNER, root / OWNER, {}) as first, template_use_case(READER, root / READER, {}) as second:
        owner = sharing(first)
        yield owner, reading(second, owner)
