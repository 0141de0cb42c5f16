"""The same model, store and requests for all servers of `benchmarks.serving`; run as a script, it is our server."""

import random
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa

from ml.models.fitting import fit
from ml.spec.estimator import EstimatorSpec
from pipelines.declarations.answers import answers_table
from pipelines.declarations.registry import use_case
from pipelines.online.publishing import publish
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.fastest import fastest
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.scoring.served import load_function
from pipelines.serving.answering import Answering
from pipelines.serving.application import Application
from pipelines.serving.journal import Journal
from pipelines.serving.limits import Limits
from pipelines.serving.scorer import Scorer
from pipelines.serving.server import listening_socket, run_server
from pipelines.serving.versions import Followed, Loaded

DECLARED = use_case("flight_delay")
ENTITIES = 40
CHAMPION_FILE = "champion.txt"
FOLLOW_SECONDS = 0.2
TOKEN = "the-benchmark"  # noqa: S105 - of a server that lives for a benchmark


def fitted(spec: EstimatorSpec) -> tuple[Any, pd.DataFrame]:
    """Return a model of the declared inputs, fitted on random rows, and a few of them."""
    chance = np.random.default_rng(1)
    rows = pd.DataFrame({name: chance.normal(size=20_000) for name in DECLARED.numeric_inputs})
    for name in DECLARED.categorical_inputs:
        rows[name] = chance.choice([f"{name}{number}" for number in range(15)], size=len(rows))
    labels = (chance.random(len(rows)) < 0.5).astype(np.float64)
    model = fit(
        spec, rows, labels, problem=DECLARED.problem, numeric=DECLARED.numeric_inputs,
        categorical=DECLARED.categorical_inputs, seed=1,
    )  # fmt: skip
    return model, rows.head(500)


def requests(function: ScoringFunction, count: int) -> list[dict[str, Any]]:
    """Return requests as they are asked: entities that the store has, at one instant."""
    chance = random.Random(2)  # noqa: S311 - no secret
    made: Mapping[str, Any] = {
        "string": lambda name: f"{name}{chance.randrange(ENTITIES)}", "int": lambda _: chance.randrange(20),
        "double": lambda _: chance.random() * 1_000, "timestamp": lambda _: "2013-02-20T12:00:00Z",
    }  # fmt: skip
    return [{c.name: made[c.kind](c.name) for c in function.request} for _ in range(count)]


def fill(store: str, function: ScoringFunction) -> None:
    """Publish a row for each entity of each feature table."""
    at = pd.Timestamp("2013-02-20T11:00:00Z").to_pydatetime()
    with psycopg.connect(store, autocommit=True) as connection:
        for lookup in function.lookups:
            names = {feature: asked for asked, feature in lookup.keys.items()}
            schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in lookup.kinds.items()])
            rows = [
                {
                    n: at if k == "timestamp" else f"{names.get(n, n)}{e}" if k == "string" else e
                    for n, k in lookup.kinds.items()
                }
                for e in range(ENTITIES)
            ]
            found = pa.Table.from_pylist(rows, schema=schema)
            publish(
                connection,
                lookup,
                _Rows(found),
                changes={"all": at},
                until=at + pd.Timedelta(minutes=30).to_pytimedelta(),
            )


class _Rows:
    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def newest(self, *_: Any) -> pa.Table:
        return self._rows


class _Source:
    """Versions of the files that all servers serve; a file beside them says which one is champion.

    Each number has a digest of its own, so each is compiled, as a new version is.
    """

    def __init__(self, files: Path) -> None:
        self._files = files
        self._rows = pa.table(pd.read_parquet(files.parent / "rows.parquet"))
        self._kept = KeptLibraries(files.parent / "compiled")

    def current(self) -> int:
        return int((self._files.parent / CHAMPION_FILE).read_text())

    def load(self, number: int) -> Loaded:
        function, fitted = load_function(self._files), mlflow.sklearn.load_model(str(self._files))
        model, how = fastest(fitted, function, self._rows, digest=f"benchmark {number}", kept=self._kept)
        return Loaded(number=number, function=function, model=model, how=how)


def serve(files: Path, store: str, port: int) -> None:
    """Serve the files with our endpoint."""
    followed = Followed(_Source(files), print)
    followed.look()
    threading.Thread(target=_follow, args=(followed,), daemon=True).start()
    limits = Limits()
    journal = Journal(files.parent / "journal")
    scorer = Scorer(Answering(followed, store=store, table=answers_table(DECLARED), journal=journal), limits)
    scorer.start()
    application = Application(scorer, followed, token=TOKEN, limits=limits, facts=dict)
    run_server(application, listening_socket("127.0.0.1", port), limits)


def _follow(followed: Followed) -> None:
    while True:
        time.sleep(FOLLOW_SECONDS)
        followed.look()


def declared_function() -> ScoringFunction:
    """Return the scoring function of the use case whose requests are asked."""
    return scoring_function(DECLARED)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
