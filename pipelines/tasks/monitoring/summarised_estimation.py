"""Estimates where there are more predictions than the driver should hold: the engine sums, the driver divides."""

import datetime as dt
from collections.abc import Mapping, Sequence

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.estimation.metric_estimates import Estimate, Estimation
from ml.estimation.summarised_estimates import (
    KNOWN,
    YES,
    Expected,
    ExpectedSums,
    expected_of,
    summarised_estimates,
)
from ml.metrics.addends import segment_name
from ml.metrics.segment_sums import Layout
from ml.monitoring.findings import Window
from ml.monitoring.summarised_windows import COUNTS
from pipelines.dataframes.segment_sums import Asked, added_up, summarise
from pipelines.execution.context import Context
from pipelines.tasks.data.labels import predictions_with_labels
from pipelines.tasks.monitoring.summarised_monitoring import GROUPS, SCORE, WINDOW, counted, groups_of
from pipelines.tasks.versions.fitting import weight_column


def summarised(
    context: Context, windows: Sequence[Window], end: dt.datetime, count: int, estimations: Mapping[int, Estimation]
) -> list[tuple[Window, str, int, dict[str, int], tuple[Estimate, ...]]]:
    """Return window, alias, version, counts and estimates of every group of predictions.

    Parameters
    ----------
    count
        About how many predictions there are.
    estimations
        What was learned about each version; predictions of others are left out.
    """
    use_case = context.use_case
    metrics = next(iter(estimations.values())).metrics
    made = counted(predictions_with_labels(context, windows[0].start, end, inputs=use_case.kept_columns))
    made = made.where(F.col("model_version").isin(*estimations)).withColumn(
        WINDOW, F.date_trunc(use_case.monitoring.window, "prediction_at")
    )
    layout = Layout(
        problem=use_case.problem, scores=(SCORE,), groups=GROUPS, entities=use_case.clusters.sampled,
        day_memory=use_case.clusters.day_memory, counts=COUNTS, costs=use_case.costs, weight=weight_column(use_case),
    )  # fmt: skip
    summary = summarise(
        made, layout, key="request_key", count=count,
        asked=lambda segments: Asked(segments=segments, quantities=tuple((name, SCORE, None) for name in metrics)),
    )  # fmt: skip
    known = made.withColumn(KNOWN, F.when(F.col("label").isNotNull(), F.lit(YES)))
    grids = summary.grids.whole
    sums = ExpectedSums(layout=layout, estimations=estimations, inputs=use_case.inputs, grids=grids, score=SCORE)
    expected = expected_of(added_up(known.select(KNOWN, *sums.columns), sums).toArrow().to_pandas())
    found: list[tuple[Window, str, int, dict[str, int], tuple[Estimate, ...]]] = []
    for window in windows:
        for alias, version in groups_of(summary, window):
            group = (window.start.isoformat(), alias, version)
            segment = summary.segments[segment_name(group)]
            counts = {
                "predictions": int(segment.total("predictions")), "labelled": segment.rows,
                "not_due": int(segment.total("not_due")),
            }  # fmt: skip
            made_of = Expected(layout=layout, grids=grids, sums=expected, group=group, score=SCORE)
            errors = summary.errors.get(segment.name)
            estimates = summarised_estimates(made_of, segment, errors, score=SCORE, metrics=metrics)
            found.append((window, alias, version, counts, estimates))
    return found
