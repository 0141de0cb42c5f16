"""Sums of parts are the sums of the whole, and what follows from them is within its bound of the exact computation."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.metrics.addends import combined_key, hashed, merged, merged_as_they_come, segment_name
from ml.metrics.clusters import DAY, Units, codes_of
from ml.metrics.days import days_of
from ml.metrics.influence_sums import SecondPass
from ml.metrics.metric_table import constant_scores
from ml.metrics.quality_metrics import MetricError, roc_auc_score
from ml.metrics.score_grid import CELLS, ROC_AUC_BOUND, SAMPLE_ROWS, CellTable, Grid
from ml.metrics.segment_errors import Errors, errors_of
from ml.metrics.segment_summary import Quantity, Segment, segments_of
from ml.metrics.segment_sums import CONSTANT, LABEL, FirstPass, Grids, Layout, class_columns, gridded_values, way_part
from ml.metrics.standard_errors import mean_auc_error, mean_delong, mean_error, paired_mean
from ml.spec.clusters import DAY_MEMORY
from ml.spec.costs import COST_PER_REQUEST, ClassCosts, Costs, ErrorCosts
from ml.spec.estimator import Problem
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]
SHAPES = ("continuous", "tied", "skewed", "rare", "two")
WHOLE = segment_name(())
WEIGHTS = ("", "weight")
"""Columns of weights: all rows count alike, or some not at all and some much."""
SEEDS = st.integers(0, 2**32 - 1)
COLOURS = MultiClass(classes=("red", "green", "blue"))
PROBLEMS: tuple[Target, ...] = (*Problem, COLOURS)
COSTS: dict[Target, ErrorCosts] = {
    Problem.BINARY: Costs(false_positive=1.0, false_negative=2.0),
    COLOURS: ClassCosts(
        amounts={
            "red": {"green": 1.0, "blue": 2.0}, "green": {"red": 3.0, "blue": 1.0, "green": 0.5},
            "blue": {"red": 9.0, "green": 4.0},
        }
    ),
}  # fmt: skip


def probabilities(odds: Floats, shape: str) -> Floats:
    """Probabilities of each class, shape (rows, classes); tied ones come from tied odds."""
    shaped = {"tied": np.round(odds), "skewed": odds**3, "two": 5.0 * (odds > 0.5)}.get(shape, odds)
    return np.asarray(np.exp(shaped) / np.exp(shaped).sum(axis=1, keepdims=True))


def rows(problem: Target, shape: str, count: int, seed: int) -> pd.DataFrame:
    """Scored rows of two models over some days and stores; one in ten has no label."""
    random = np.random.default_rng(seed)
    normal = random.normal(size=count)
    made: dict[str, Floats] = {}
    if isinstance(problem, MultiClass):
        labels = random.choice(3, count, p=(0.02, 0.3, 0.68) if shape == "rare" else (0.2, 0.3, 0.5)).astype(float)
        odds = random.normal(size=(count, 3)) + (np.arange(3) == labels[:, None])
        for name, found in (("a", odds), ("b", odds + random.normal(size=odds.shape))):
            made |= dict(zip(class_columns(name, problem), probabilities(found, shape).T, strict=True))
        scores = normal, normal
    elif problem is Problem.BINARY:
        chance = 1 / (1 + np.exp(-normal + (3 if shape == "rare" else 0)))
        labels = (random.random(count) < chance).astype(float)
        scores = chance, 1 / (1 + np.exp(-normal - random.normal(size=count)))
    else:
        labels = 10 * normal + random.exponential(5, count)
        scores = 9 * normal, 9 * normal + random.normal(size=count)
    first, second = (
        {"tied": np.round(one, 1), "skewed": one**9, "two": (one > 0.4) * 0.5}.get(shape, one) for one in scores
    )
    days = np.datetime64("2024-01-01") + random.integers(0, 12, count)
    return pd.DataFrame({
        "prediction_at": pd.DatetimeIndex(days).tz_localize("UTC"),
        LABEL: np.where(random.random(count) < 0.1, np.nan, labels),
        **(made or {"a": first, "b": second}),
        "weight": random.choice([0.0, 0.3, 1.0, 2.7, 8.0], count),
        "store": random.integers(0, 15, count).astype(str),
        "kind": random.choice(np.array(["x", "y", None], dtype=object), count),
    })  # fmt: skip


def layout_of(problem: Target, **options: Any) -> Layout:
    """Two models, one slice column, stores as entities; errors of classes have costs."""
    return Layout(
        problem=problem, scores=("a", "b"), slices=("kind",), entities=("store",), costs=COSTS.get(problem), **options
    )


def quantities_of(layout: Layout) -> tuple[Quantity, ...]:
    """Every metric with an error alone, of both models, of one less the other, and less a constant."""
    found = [name for name in layout.names if layout.metric(name).has_test]
    columns: tuple[tuple[str, str | None], ...] = (("a", None), ("b", None), ("a", "b"), ("a", CONSTANT))
    return tuple((name, first, second) for name in found for first, second in columns)


def grids_of(batch: pd.DataFrame, layout: Layout, cells: int, share: float = 1.0) -> Grids:
    """Grids from a share of the rows."""
    drawn = batch[batch[LABEL].notna()].sample(frac=share, random_state=1)
    made = {name: Grid.of(values, cells) for name, values in gridded_values(drawn, layout).items()}
    return Grids(whole=made, slices=made)


def summary_of(
    batch: pd.DataFrame, layout: Layout, grids: Grids, parts: int = 3
) -> tuple[dict[str, Segment], dict[str, Errors]]:
    """The summary of rows that are summed in parts."""
    pieces = [batch.iloc[i::parts] for i in range(parts)]
    first = FirstPass(layout=layout, grids=grids)
    segments = segments_of(merged([one for piece in pieces for one in first(piece)]), layout, grids)
    asked = quantities_of(layout)
    second = SecondPass(
        layout=layout, grids=grids, placed={name: one.placed(asked) for name, one in segments.items()}, quantities=asked
    )
    sums = merged([one for piece in pieces for one in second(piece)])
    return errors_of(total_of_squares(sums), segments, second)


def total_of_squares(sums: pd.DataFrame) -> pd.DataFrame:
    """The sums of the second pass with the number and squares of the clusters of each way, as the engine makes them."""
    columns = [str(name) for name in sums if str(name).startswith("sum_")]
    squares = {name.replace("sum", "square"): sums[name] ** 2 for name in columns}
    kept = sums["key"].where(~sums["part"].str.startswith("way ") | (sums["part"] == way_part((DAY,))), 0)
    whole = sums.assign(key=kept, clusters=1, **squares)
    return whole.groupby(["segment", "part", "key"], sort=True, as_index=False).sum()


def arrays(batch: pd.DataFrame, problem: Target) -> tuple[Floats, Floats, Floats]:
    """Labels and both scores of the rows that have a label."""
    known, layout = batch[batch[LABEL].notna()], layout_of(problem)
    return known[LABEL].to_numpy(), layout.scores_of(known, "a"), layout.scores_of(known, "b")


def weights_of(batch: pd.DataFrame, weight: str) -> Floats | None:
    """The weights of the rows that have a label; None where all count alike."""
    return batch[batch[LABEL].notna()][weight].to_numpy() if weight else None


def units_of(batch: pd.DataFrame, *, depend: bool) -> Units:
    """Days and stores of the rows that have a label."""
    known = batch[batch[LABEL].notna()]
    return Units(
        days=days_of(known["prediction_at"]),
        entities={"store": codes_of(known["store"])},
        day_memory=DAY_MEMORY * depend,
    )


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS, shape=st.sampled_from(SHAPES), parts=st.integers(1, 6))
def test_sums_of_parts_merge_to_the_sums_of_the_whole(
    problem: Target, weight: str, seed: int, shape: str, parts: int
) -> None:
    """Both passes, whatever the parts and their order."""
    batch = rows(problem, shape, 300, seed)
    layout = layout_of(problem, weight=weight)
    first = FirstPass(layout=layout, grids=grids_of(batch, layout, 20, 0.5))
    whole = merged(list(first(batch)))
    random = np.random.default_rng(seed)
    place = random.integers(0, parts, len(batch))
    pieces = [merged(list(first(batch[place == i]))) for i in random.permutation(parts)]
    again = merged(list(merged_as_they_come(pieces)))
    assert (whole[["segment", "part", "key"]] == again[["segment", "part", "key"]]).all(axis=None)
    columns = [name for name in whole if str(name).startswith("sum")]
    assert np.allclose(whole[columns].to_numpy(float), again[columns].to_numpy(float), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, shape=st.sampled_from(SHAPES), cells=st.sampled_from([8, 40, 2_000]))
def test_every_metric_is_within_its_bound(problem: Target, weight: str, seed: int, shape: str, cells: int) -> None:
    """On coarse grids from half of the rows, of a model and of a constant; with as many cells as values it is equal."""
    batch = rows(problem, shape, 400, seed)
    layout = layout_of(problem, weight=weight)
    segments, _ = summary_of(batch, layout, grids_of(batch, layout, cells, 1.0 if cells > 400 else 0.5))
    (labels, scores, _), weights = arrays(batch, problem), weights_of(batch, weight)
    for name in layout.names:
        try:
            exact = layout.metric(name).function(labels, scores, weights)
        except MetricError:
            with pytest.raises(MetricError):
                segments[WHOLE].value(name, "a")
            continue
        value, bound = segments[WHOLE].value(name, "a")
        assert abs(value - exact) <= bound + 1e-9 * max(1.0, abs(exact)), name
        if cells > 400:
            assert value == pytest.approx(exact, rel=1e-9, abs=1e-9)
    ranked = tuple(layout.ranked) if shape != "rare" else ()
    for main in ("brier_loss", COST_PER_REQUEST, *ranked) if problem.classes else ("root_mean_squared_error",):
        measured = layout.metric(main)
        expected = measured.function(labels, constant_scores(labels, measured, weights), weights)
        assert segments[WHOLE].value(main, CONSTANT)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("problem", [Problem.BINARY, COLOURS], ids=str)
@settings(max_examples=10, deadline=None)
@given(
    seed=SEEDS, shape=st.sampled_from(("continuous", "tied", "skewed", "two")), cells=st.sampled_from([8, 40, 2_000]),
    depend=st.booleans(),
)  # fmt: skip
def test_the_errors_of_a_ranking_are_within_four_bounds(
    problem: Target, weight: str, seed: int, shape: str, cells: int, depend: bool
) -> None:
    """Of each placement at most the share of its own cell is unknown, so of the standard error four times the bound."""
    batch = rows(problem, shape, 400, seed)
    layout = layout_of(problem, day_memory=DAY_MEMORY * depend, weight=weight)
    segments, errors = summary_of(batch, layout, grids_of(batch, layout, cells, 1.0 if cells > 400 else 0.5))
    (labels, first, second), weights = arrays(batch, problem), weights_of(batch, weight)
    days = units_of(batch, depend=depend).without_entities()
    for name in layout.ranked:
        rankings = layout.metric(name).rankings
        assert rankings is not None
        bound = segments[WHOLE].value(name, "a")[1]
        exact = mean_auc_error(rankings(labels, first), days, weights)
        found = errors[WHOLE].variance((name, "a", None), entities=False)
        assert abs(found.standard_error - exact.standard_error) <= 4 * np.sqrt(2) * bound + 1e-9
        both = bound + segments[WHOLE].value(name, "b")[1]
        compared = mean_delong(rankings(labels, first), rankings(labels, second), groups=days, weights=weights)
        difference = errors[WHOLE].difference((name, "a", "b"), by_unit=True, entities=False)
        assert abs(difference.value - compared.value) <= both + 1e-9
        assert abs(difference.standard_error - compared.standard_error) <= 4 * np.sqrt(2) * both + 1e-9


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, shape=st.sampled_from(SHAPES), depend=st.booleans())
def test_with_a_cell_for_each_value_all_errors_equal_those_of_the_rows(
    problem: Target, weight: str, seed: int, shape: str, depend: bool
) -> None:
    """Days that depend, stores and both; alone, as differences, and by single rows; degrees of freedom and clusters."""
    batch = rows(problem, shape, 300, seed)
    layout = layout_of(problem, day_memory=DAY_MEMORY * depend, weight=weight)
    _, errors = summary_of(batch, layout, grids_of(batch, layout, 5_000))
    (labels, first, second), weights = arrays(batch, problem), weights_of(batch, weight)
    units = units_of(batch, depend=depend)
    for name in {quantity[0] for quantity in quantities_of(layout)}:
        metric = layout.metric(name)
        if metric.rankings is not None:
            ranked, against = metric.rankings(labels, first), metric.rankings(labels, second)
            alone = mean_auc_error(ranked, units, weights)
            compared = [mean_delong(ranked, against, groups=groups, weights=weights) for groups in (units, None)]
        else:
            assert metric.row_loss is not None
            losses = metric.row_loss(labels, first), metric.row_loss(labels, second)
            alone = mean_error(losses[0], units, root=metric.root, weights=weights)
            compared = [
                paired_mean(*losses, root=metric.root, groups=groups, weights=weights) for groups in (units, None)
            ]
        found = errors[WHOLE].variance((name, "a", None))
        assert found.value == pytest.approx(alone.value, rel=1e-6, abs=1e-15)
        assert found.freedom == pytest.approx(alone.freedom, rel=1e-6)
        assert found.clusters == alone.clusters
        for by_unit, expected in zip((True, False), compared, strict=True):
            difference = errors[WHOLE].difference((name, "a", "b"), by_unit=by_unit)
            assert difference.value == pytest.approx(expected.value, rel=1e-9, abs=1e-12)
            assert difference.standard_error == pytest.approx(expected.standard_error, rel=1e-6, abs=1e-12)
            assert difference.degrees_of_freedom == pytest.approx(expected.degrees_of_freedom, rel=1e-6)


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("wrong", [-1.0, np.inf, np.nan, 0.0])
def test_metrics_are_not_defined_where_a_weight_is_none_or_all_are_0(problem: Target, wrong: float) -> None:
    """As on rows, and only in the segments that have such a row."""
    batch = rows(problem, "continuous", 300, 5)
    chosen = (batch["kind"] == "x") & (batch.index % 7 == 0 if wrong else True)
    batch.loc[chosen, "weight"] = wrong
    layout = layout_of(problem, weight="weight")
    segments, errors = summary_of(batch, layout, grids_of(batch, layout, 50))
    for name in layout.names:
        with pytest.raises(MetricError, match="weights are finite, 0 or more, and not all 0"):
            segments[segment_name((), "kind", "x")].value(name, "a")
        assert np.isfinite(segments[segment_name((), "kind", "y")].value(name, "a")[0])
    losses = [name for name in layout.names if layout.metric(name).has_test]
    of_others = errors[segment_name((), "kind", "y")]
    assert all(of_others.variance((name, "a", None)).standard_error > 0 for name in losses)


@pytest.mark.parametrize("shape", ["continuous", "tied", "skewed", "rare"])
def test_the_stated_bound_holds_for_every_distribution_of_scores(shape: str) -> None:
    """On the grid that the tasks use; the error itself is a hundredth of the bound and less."""
    batch = rows(Problem.BINARY, shape, 400_000, 3)
    labels, scores, _ = arrays(batch, Problem.BINARY)
    drawn = np.random.default_rng(1).choice(scores, SAMPLE_ROWS, replace=False)
    grid = Grid.of(drawn, CELLS)
    cells = grid.cell_of(scores)
    counted = [np.bincount(cells, weights=weights, minlength=grid.cells) for weights in (np.ones(cells.size), labels)]
    value, bound = CellTable(
        grid=grid, rows=counted[0], labels=counted[1], values=counted[0], distances=counted[0]
    ).roc_auc_score()
    assert bound <= ROC_AUC_BOUND
    assert abs(value - roc_auc_score(labels, scores)) <= max(bound / 50, 1e-12)


def test_a_few_values_have_cells_of_their_own() -> None:
    """So ties and constants are seen as such."""
    grid = Grid.of(np.array([0.2, 0.5, 0.5, 0.9, np.nan]), 10)
    cells = grid.cell_of(np.array([0.2, 0.5, 0.9]))
    assert grid.single[cells].all()
    assert np.unique(cells).size == 3
    assert not grid.single[grid.cell_of(np.array([0.1, 0.3, 0.6, 1.0]))].any()
    assert Grid.of(np.array([]), 10).cells == 1


def test_keys_of_entities_are_the_same_everywhere_and_missing_ones_are_one_entity() -> None:
    """Pairs of keys are distinct where the pairs are."""
    keys = hashed(pd.Series(["a", None, "b", float("nan"), "a"], dtype=object))
    assert keys[0] == keys[4] != keys[2]
    assert keys[1] == keys[3]
    assert np.unique(keys).size == 3
    many = np.arange(1_000, dtype=np.int64)
    pairs = [combined_key(np.full(1_000, day, dtype=np.int64), many) for day in range(50)]
    assert np.unique(np.concatenate(pairs)).size == 50_000
