"""A use case declares what its rows are clustered by; its tables keep those columns, and mistakes are named."""

from dataclasses import replace

import pytest

from ml.spec.clusters import INDEPENDENT_DAYS, Clusters, Entity, EntityKind
from ml.spec.estimator import Problem
from ml.spec.gate_policy import GuardRail, Method, policy
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case

AIR_TIME = use_case("air_time")


def by(*columns: str) -> Clusters:
    """Sampled entities in these columns."""
    return Clusters(entities=tuple(Entity(column=name, kind=EntityKind.SAMPLED) for name in columns))


def test_nothing_is_declared_by_default_and_the_tables_stay_as_they_were() -> None:
    """Days are the units, independent of each other; every table has the inputs only."""
    assert AIR_TIME.clusters == INDEPENDENT_DAYS
    assert AIR_TIME.kept_columns == AIR_TIME.inputs


def test_a_column_of_the_spine_is_kept_with_training_rows_and_predictions() -> None:
    """It may be missing in rows of before; an input is kept once."""
    declared = replace(AIR_TIME, clusters=by("destination", "carrier"))
    assert declared.kept_columns == (*AIR_TIME.inputs, "destination")
    for name in ("training_set", "predictions"):
        columns = {column.name: column for column in declared.table(name).columns}
        assert columns["destination"].nullable
        assert columns["destination"].type == "string"
        assert [column.name for column in declared.table(name).columns].count("carrier") == 1
    assert declared.inputs == AIR_TIME.inputs


RESAMPLED = replace(policy("default", Problem.REGRESSION), method=Method.DAY_BOOTSTRAP, resamples=100)
WITHOUT_TEST = replace(policy("default", Problem.REGRESSION), guard_rails=(GuardRail(metric="r2_score"),))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clusters": by("orign")}, "clusters: unknown input or column of the spine 'orign': did you mean 'origin'"),
        ({"clusters": by("origin"), "gate": RESAMPLED}, "method='day_bootstrap' ignores them; give method='analytic_by_day'"),
        ({"clusters": Clusters(), "gate": WITHOUT_TEST}, "clusters: the gate's r2_score has no test by clusters; give mean"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(changes: dict[str, object], said: str) -> None:
    """It names what was found and what is allowed."""
    with pytest.raises(DeclarationError, match=r"use case air_time: clusters: ") as raised:
        replace(AIR_TIME, **changes)  # type: ignore[arg-type] # one of its fields
    assert said in str(raised.value)
