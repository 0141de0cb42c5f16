"""A small scoring function with its model, its requests and its feature rows; for tests of what calls it."""

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.models.fitting import fit
from ml.spec.costs import Costs
from ml.spec.estimator import Encoding, EstimatorSpec, Problem
from ml.spec.target import MultiClass, Target
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.function import FeatureLookup, RequestColumn, ScoringFunction

NOON = dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def with_hour(requests: pd.DataFrame) -> pd.DataFrame:
    """Add the hour of the request, and whether it says how many there are."""
    return requests.assign(hour=requests["asked_at"].dt.hour, alone=requests["people"].fillna(1))


PLACES = FeatureLookup(
    table="trips_features.places", keys={"origin": "place"}, time="known_at",
    columns={"mean": "place_mean", "kind": "place_kind"},
    kinds={"place": "string", "known_at": "timestamp", "mean": "double", "kind": "string"},
    lookback_hours=6, available_after_minutes=30, age_column="places_age_hours", age_as="hours_since_place",
)  # fmt: skip
LINES = FeatureLookup(
    table="trips_features.lines", keys={"origin": "place", "line": "line"}, time="known_at", columns={"count": "line_count"},
    kinds={"place": "string", "line": "int", "known_at": "timestamp", "count": "bigint"},
    lookback_hours=1_000, available_after_minutes=0, age_column="lines_age_hours",
)  # fmt: skip
FUNCTION = ScoringFunction(
    name="trips",
    request=(
        RequestColumn(name="trip", kind="string", nullable=False),
        RequestColumn(name="asked_at", kind="timestamp", nullable=False),
        RequestColumn(name="origin", kind="string", nullable=True),
        RequestColumn(name="line", kind="int", nullable=True),
        RequestColumn(name="people", kind="int", nullable=True),
    ),
    key="trip", time="asked_at", lookups=(PLACES, LINES), build=with_hour,
    numeric=("hour", "alone", "place_mean", "line_count", "hours_since_place"), categorical=("origin", "place_kind"),
    problem=Problem.BINARY, costs=Costs(false_positive=1.0, false_negative=1.0), kept=("hour", "alone", "place_mean", "line_count",
    "hours_since_place", "origin", "place_kind", "line"),
)  # fmt: skip


def fitted(problem: Target = Problem.BINARY) -> Any:
    """A model that uses every input, missing ones included."""
    chance = np.random.default_rng(1)
    rows = pd.DataFrame({name: chance.normal(size=400) for name in FUNCTION.numeric})
    rows = rows.mask(chance.random(rows.shape) < 0.2)
    for name in FUNCTION.categorical:
        rows[name] = chance.choice(np.array(["a", "b", None], dtype=object), size=400)
    labels = (chance.random(400) < 0.3 + 0.4 * (rows["place_mean"].fillna(0) > 0)).to_numpy(np.float64)
    if isinstance(problem, MultiClass):
        labels = labels + (chance.random(400) < 0.3)
    spec = EstimatorSpec(
        name="trees", estimator="sklearn.ensemble.HistGradientBoostingClassifier", encoding=Encoding.ORDINAL,
        parameters={"max_iter": 8, "min_samples_leaf": 5},
    )  # fmt: skip
    return fit(spec, rows, labels, problem=problem, numeric=FUNCTION.numeric, categorical=FUNCTION.categorical, seed=1)


def requests(count: int, chance: random.Random) -> pa.Table:
    """Requests in time order, several at one instant, some without what they are looked up by."""
    rows = [
        {
            "trip": f"t{number}",
            "asked_at": NOON + (number // 3) * HOUR / 4,
            "origin": chance.choice(["a", "b", "nowhere", None]),
            "line": chance.choice([1, 2, None]),
            "people": chance.choice([1, 4, None]),
        }
        for number in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=FUNCTION.schema())


def feature_rows(lookup: FeatureLookup, chance: random.Random, hours: int) -> pa.Table:
    """Rows of a feature table; quarter hours, so that many have the instant of a request or of a bound of its window."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for _ in range(120):
        row = {
            "place": chance.choice(["a", "b", "c"]), "line": chance.choice([1, 2]),
            "known_at": NOON + chance.randrange(-20 * 4, hours * 4) * HOUR / 4,
            "mean": chance.choice([None, chance.gauss(0, 1)]), "kind": chance.choice(["a", "b", "new", None]),
            "count": chance.choice([None, chance.randrange(9)]),
        }  # fmt: skip
        key = tuple(row[name] for name in (*lookup.keys.values(), lookup.time))
        found[key] = {name: row[name] for name in lookup.kinds}
    return pa.Table.from_pylist(
        list(found.values()), schema=pa.schema([(name, ARROW_TYPES[kind]) for name, kind in lookup.kinds.items()])
    )


def newest_of(
    rows: pa.Table, lookup: FeatureLookup, since: dt.datetime, before: dt.datetime, keys: Any = None
) -> pa.Table:
    """The newest row of each entity in a window, as a publication asks for it."""
    wanted = None if keys is None else {tuple(row.values()) for row in keys.to_pylist()}
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in sorted(rows.to_pylist(), key=lambda one: one[lookup.time]):
        key = tuple(row[name] for name in lookup.keys.values())
        if since <= row[lookup.time] < before and (wanted is None or key in wanted):
            found[key] = row
    listed: Sequence[Mapping[str, Any]] = list(found.values())
    return pa.Table.from_pylist([dict(row) for row in listed], schema=rows.schema)
