"""The scoring function that a use case declares, as a value that needs its declaration no longer."""

from collections import Counter

from ml.spec.entries import load
from pipelines.declarations.feature_table import Lookup
from pipelines.declarations.use_case import UseCase
from pipelines.scoring.function import FeatureLookup, RequestColumn, ScoringFunction

CONNECTS = "pipelines.scoring.lakebase:connect"
"""What connects to a platform's online store: named as text, so that versions of other use cases do not carry it."""


def scoring_function(use_case: UseCase) -> ScoringFunction:
    """Return the scoring function of a use case; its builder of inputs is imported.

    Raises
    ------
    DeclarationError
        If the builder does not exist.
    """
    spine = use_case.spine
    return ScoringFunction(
        name=use_case.name,
        request=tuple(
            RequestColumn(name=column.name, kind=column.type, nullable=column.nullable)
            for column in spine.table.columns
        ),
        key=spine.request_key,
        time=spine.prediction_time,
        lookups=feature_lookups(use_case),
        build=load(use_case.inputs_builder),
        numeric=use_case.numeric_inputs,
        categorical=use_case.categorical_inputs,
        problem=use_case.problem,
        costs=use_case.costs,
        kept=use_case.kept_columns,
        connect=load(CONNECTS) if use_case.online else None,
    )


def feature_lookups(use_case: UseCase) -> tuple[FeatureLookup, ...]:
    """Return the look-ups of a use case, each with the types of what it reads and the wait of its table."""
    waits = use_case.available_after
    names = Counter(lookup.table.name for lookup in use_case.lookups)
    return tuple(_plain(lookup, waits.get(lookup.table.address, 0), alone=names[lookup.table.name] == 1)
                 for lookup in use_case.lookups)  # fmt: skip


def _plain(lookup: Lookup, wait: int, *, alone: bool) -> FeatureLookup:
    table, time = lookup.table, str(lookup.table.time_key)
    read = dict.fromkeys((*lookup.keys.values(), time, *lookup.columns))
    said = table.name if alone else f"{table.name}_by_{'_'.join(lookup.keys)}"
    return FeatureLookup(
        table=table.address,
        keys=dict(lookup.keys),
        time=time,
        columns=dict(lookup.columns),
        kinds={name: table.column(name).type for name in read},
        lookback_hours=lookup.lookback_hours,
        available_after_minutes=wait,
        age_column=f"{said}_age_hours",
        age_as=lookup.age_as,
    )
