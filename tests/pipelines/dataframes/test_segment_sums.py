"""The engine's summary of rows is the one that a single process makes, on every engine."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.evaluation.key_hashes import key_hashes
from ml.metrics.addends import segment_name
from ml.metrics.clusters import Units, codes_of
from ml.metrics.days import days_of
from ml.metrics.quality_metrics import roc_auc_score
from ml.metrics.segment_summary import Segment, pooled_segment
from ml.metrics.segment_sums import Layout
from ml.metrics.standard_errors import Difference, delong
from ml.spec.clusters import DAY_MEMORY
from ml.spec.estimator import Problem
from pipelines.dataframes import segment_sums
from pipelines.dataframes.segment_sums import Asked, summarise
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.tasks.versions.summarised_evaluation import known_keys

QUANTITY = ("roc_auc_score", "first", "second")
WHOLE, POOL = segment_name(()), segment_name((), "kind", "pool")
COUNT = 900


def rows() -> pd.DataFrame:
    """Scored rows of twenty days, thirty stores and four kinds, one of which is missing."""
    random = np.random.default_rng(4)
    seen = random.normal(size=COUNT)
    days = pd.DatetimeIndex(np.datetime64("2024-03-01") + random.integers(0, 20, COUNT))
    return pd.DataFrame({
        "request_key": [f"r{number}" for number in range(COUNT)],
        "prediction_at": days.tz_localize("UTC") + pd.Timedelta(hours=23),
        "label": np.where(random.random(COUNT) < 0.1, np.nan, (random.random(COUNT) < 1 / (1 + np.exp(-seen)))),
        "first": 1 / (1 + np.exp(-seen)), "second": 1 / (1 + np.exp(-seen - random.normal(size=COUNT))),
        "store": random.integers(0, 30, COUNT).astype(str),
        "kind": random.choice(np.array(["a", "b", "c", None], dtype=object), COUNT),
    })  # fmt: skip


def exact(chosen: pd.DataFrame) -> Difference:
    """The comparison on the rows themselves."""
    known = chosen[chosen["label"].notna()]
    units = Units(
        days=days_of(known["prediction_at"]), entities={"store": codes_of(known["store"])}, day_memory=DAY_MEMORY
    )
    return delong(*(known[name].to_numpy(np.float64) for name in ("label", "first", "second")), groups=units)


@pytest.mark.proof_on_jvm
def test_every_segment_and_every_pool_of_segments_is_compared_as_its_rows_are(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In many small batches: all rows, one kind, the missing kind, and two kinds together."""
    monkeypatch.setattr(segment_sums, "GATHERED_ROWS", 250)
    frame = rows()
    table = pa.Table.from_pandas(frame.assign(label=frame["label"].astype("Float64")), preserve_index=False)
    layout = Layout(
        problem=Problem.BINARY, scores=("first", "second"), slices=("kind",), entities=("store",), day_memory=DAY_MEMORY
    )

    def asked(found: dict[str, Segment]) -> Asked:
        pooled = [segment_name((), "kind", kind) for kind in ("a", "b")]
        whole = {**found, POOL: pooled_segment(POOL, [found[name] for name in pooled])}
        return Asked(segments=whole, quantities=(QUANTITY,), pools=dict.fromkeys(pooled, POOL))

    summary = summarise(lakehouse.spark.createDataFrame(table), layout, key="request_key", count=COUNT, asked=asked)
    kind = frame["kind"]
    for name, chosen in (
        (WHOLE, frame), (segment_name((), "kind", "c"), frame[kind == "c"]),
        (segment_name((), "kind", None), frame[kind.isna()]), (POOL, frame[kind.isin(["a", "b"])]),
    ):  # fmt: skip
        expected, found = exact(chosen), summary.errors[name].difference(QUANTITY, by_unit=True)
        assert found.value == pytest.approx(expected.value, abs=1e-12)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-6)
        assert (found.clusters, found.dominant) == (expected.clusters, expected.dominant)
        assert found.degrees_of_freedom == pytest.approx(expected.degrees_of_freedom, rel=1e-6)


def test_a_grid_from_a_sample_of_the_rows_keeps_the_bound(
    embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is drawn by key; cells are then coarser than scores."""
    monkeypatch.setattr(segment_sums, "SAMPLE_ROWS", 600)
    monkeypatch.setattr(segment_sums, "CELLS", 50)
    frame = rows().dropna(subset=["label"])
    table = pa.Table.from_pandas(frame, preserve_index=False)
    layout = Layout(problem=Problem.BINARY, scores=("first",))
    summary = summarise(
        embedded_lakehouse.spark.createDataFrame(table), layout, key="request_key", count=len(frame),
        asked=lambda found: Asked(segments=found, quantities=()),
    )  # fmt: skip
    value, bound = summary.segments[WHOLE].value("roc_auc_score", "first")
    assert summary.grids.whole["score first"].cells < 60
    assert 0.001 < bound < 0.05
    assert abs(value - roc_auc_score(frame["label"].to_numpy(np.float64), frame["first"].to_numpy())) <= bound


def test_rows_that_a_version_was_trained_on_are_counted_by_their_hashes(embedded_lakehouse: Lakehouse) -> None:
    """The keys stay with the engine."""
    keys = rows()["request_key"]
    frame = embedded_lakehouse.spark.createDataFrame(pa.table({"request_key": keys.to_list()}))
    assert known_keys(frame, key_hashes([*keys[:321], "other"])) == 321
    assert known_keys(frame.where("request_key < ''"), key_hashes(["other"])) == 0
