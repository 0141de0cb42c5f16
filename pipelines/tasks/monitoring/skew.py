"""Task of the monitoring job that compares the inputs of a request at scoring with those at training.

Each prediction is stored with the inputs that the model got, each training set with those that it was fitted or
evaluated on. For every training set that is new the requests that the champion had scored are compared by key, in the
engine. Where inputs differ, they are made again from the tables as scoring and as training had read them: that tells a
row that came late from one that was corrected, and both from code that was changed.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.findings import WHOLE_TABLE, Finding, FindingKind
from ml.monitoring.findings_history import findings_changes
from ml.monitoring.skew import InputDifference, skew_findings
from ml.spec.errors import LakehouseError
from pipelines.dataframes.input_comparison import (
    IN_BOTH,
    SCORED,
    TRAINED,
    ComparedInputs,
    ScoredBy,
    counts,
    examples,
    pairs,
    scored_by,
    sums,
)
from pipelines.dataframes.training_rows import feature_ages, requests, with_inputs
from pipelines.declarations.asset import Table
from pipelines.declarations.feature_table import Lookup
from pipelines.declarations.source import Corrections
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.windows import window_of
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.lakehouse.tables.as_of import TablesAsOf
from pipelines.tasks.data.labels import live_predictions
from pipelines.tasks.monitoring.window_judge import finding_of
from pipelines.tasks.versions.reference import Reference

if TYPE_CHECKING:  # stands for the tables as of recorded versions
    from pipelines.lakehouse.tables.tables import Tables

LOOKED_INTO = 5
"""Versions of the tables, those behind most of the requests that differ, from which inputs are made again."""
REACH = dt.timedelta(days=366)
"""A request that was moved by more counts as not scored."""
THEN, LATER = "then__", "later__"
"""Prefixes of inputs that today's code makes from the tables as scoring, and as training, read them."""
CAUSES = ("late", "replaced", "corrected", "changed")
INSTANT = dt.timedelta(microseconds=1)


def skew(context: Context, *, until: dt.datetime | None) -> TaskResult:
    """Compare the inputs of every training set that was not compared before with those that were scored.

    What was compared is marked last, so a task that is cut off does it again.
    """
    use_case, tables, end = context.use_case, context.lakehouse.tables, until or context.now
    findings, history, table = (use_case.table(name) for name in ("findings", "findings_history", "skew"))
    new = _new_sets(context)
    for training_set_id in new:
        rows, differences = _compared(context, training_set_id)
        found = skew_findings(differences)
        tables.merge(history, records(history, findings_changes(_said_before(context, found), found, recorded_at=end)))
        tables.merge(findings, records(findings, [finding.as_row() for finding in found]))
        tables.merge(table, records(table, [{**row, "computed_at": context.now} for row in rows]))
        both = sum(row["requests"] for row in rows if row["column_name"] == WHOLE_TABLE)
        context.say(f"training set {training_set_id}: {both:,} requests were scored before, {len(found)} findings")
        for finding in found:
            context.say(f"skew: {finding.message}")
    if not new:
        context.say("no training set is new: there is nothing to compare")
    return TaskResult(rows=len(new))


def _new_sets(context: Context) -> list[str]:
    """Return the training sets that were not compared, the one with the oldest requests first.

    A set that a retraining of this very run has made waits for the next run, also if the run is continued.
    """
    use_case, tables = context.use_case, context.lakehouse.tables
    done = tables.read(use_case.table("skew")).select("training_set_id").distinct()
    sets = tables.read(use_case.table("training_set")).where(F.col("training_set_id") != context.run_id)
    last = sets.groupBy("training_set_id").agg(F.max("prediction_at").alias("last"))
    ended = last.join(done, on="training_set_id", how="left_anti")
    rows = ended.orderBy("last", "training_set_id").toArrow().to_pylist()
    return [row["training_set_id"] for row in rows]


def _said_before(context: Context, found: Sequence[Finding]) -> list[Finding]:
    same = {(finding.window_start, finding.key) for finding in found}
    stored = context.lakehouse.tables.read(context.use_case.table("findings"))
    rows = stored.where(F.col("kind") == FindingKind.SKEW.value).toArrow().to_pylist()
    return [one for one in map(finding_of, rows) if (one.window_start, one.key) in same]


def _compared(context: Context, training_set_id: str) -> tuple[list[dict[str, Any]], list[InputDifference]]:
    """Return the rows of the table ``skew`` for a training set, and the difference of each input and window."""
    use_case = context.use_case
    stored = context.lakehouse.tables.read(use_case.table("training_set"))
    trained = stored.where(F.col("training_set_id") == training_set_id)
    (span,) = (
        trained.agg(F.min("prediction_at").alias("first"), F.max("prediction_at").alias("last"),
                    F.min("table_versions").alias("versions")).toArrow().to_pylist()
    )  # fmt: skip
    scored = live_predictions(context, in_utc(span["first"]) - REACH, in_utc(span["last"]) + REACH)
    inputs = ComparedInputs(numeric=use_case.numeric_inputs, categorical=use_case.categorical_inputs)
    by_champions = scored.where(F.col("alias") == CHAMPION)
    paired = pairs(
        trained, by_champions, inputs, length=use_case.monitoring.window, without=_trained_without(context, by_champions)
    )  # fmt: skip
    counted = counts(paired, inputs)
    keys = sorted({key for row in counted for name in inputs.names if (key := row[f"example__{name}"]) is not None})
    shown = examples(paired, inputs, keys) if keys else {}
    causes = _causes(context, paired, inputs, json.loads(span["versions"])) if keys else Counter()
    rows: list[dict[str, Any]] = []
    differences: list[InputDifference] = []
    for row in counted:
        own = _differences(use_case, training_set_id, inputs, row, shown, causes)
        whole = {
            "column_name": WHOLE_TABLE, "lookup": f"the request, {use_case.spine.table.address}",
            "differing": row["differing"], "requests": row["requests"], **dict.fromkeys(CAUSES, 0),
            **_place(use_case, training_set_id, row),
        }  # fmt: skip
        counted_of_window = {name: row[name] for name in ("trained", "moved")}
        rows += [{**one, **counted_of_window} for one in (whole, *map(asdict, own))]
        differences += own
    return rows, differences


def _trained_without(context: Context, scored: DataFrame) -> dict[str, list[int]]:
    """Return the inputs that were declared after versions were trained that have scored, each with those versions."""
    models, use_case = context.lakehouse.models, context.use_case
    found: dict[str, list[int]] = {}
    for number in scored.select("model_version").distinct().toArrow()["model_version"].to_pylist():
        try:
            reference = Reference.stored(models, models.version(use_case.model, number))
        except LakehouseError:  # it is gone, or of an older release: what it was trained on is not known
            continue
        own = {column.name for column in reference.spec.columns}
        for name in set(use_case.inputs) - own:
            found.setdefault(name, []).append(number)
    return found


def _place(use_case: UseCase, training_set_id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    window = window_of(in_utc(row["window"]), use_case.monitoring.window)
    return {"window_start": window.start, "window_end": window.end, "training_set_id": training_set_id}


def _differences(
    use_case: UseCase, training_set_id: str, inputs: ComparedInputs, row: Mapping[str, Any],
    shown: Mapping[str, Mapping[str, Any]], causes: "Causes",
) -> list[InputDifference]:  # fmt: skip
    """Return how each input differs in one window; none where no request is in both."""
    place = _place(use_case, training_set_id, row)

    def difference(name: str) -> InputDifference:
        example = row[f"example__{name}"]
        values = shown.get(example, {})
        because: dict[str, Any] = {cause: causes[place["window_start"], name, cause] for cause in CAUSES}
        return InputDifference(
            **place, column_name=name, lookup=origin_of(use_case, name), requests=row["requests"],
            differing=row[f"differing__{name}"], example_key=example,
            scored_value=values.get(f"{SCORED}{name}"), trained_value=values.get(f"{TRAINED}{name}"), **because,
        )  # fmt: skip

    return [difference(name) for name in inputs.names] if row["requests"] else []


def origin_of(use_case: UseCase, name: str) -> str:
    """Return in words what an input comes from: a lookup, or the request itself."""
    lookup = lookup_of(use_case, name)
    if lookup is None:
        return f"the request itself ({use_case.spine.table.address}, with the inputs builder {use_case.inputs_builder})"
    keys = ", ".join(own if own == other else f"{own} = {other}" for own, other in lookup.keys.items())
    return f"the lookup of {lookup.table.address} by {keys}"


def lookup_of(use_case: UseCase, name: str) -> Lookup | None:
    """Return the lookup that gives an input; None for an input that the request itself gives."""
    return next((one for one in use_case.lookups if name in one.columns.values() or name == one.age_as), None)


def table_of(use_case: UseCase, name: str) -> Table:
    """Return the table that an input comes from."""
    lookup = lookup_of(use_case, name)
    return use_case.spine.table if lookup is None else lookup.table


Causes = Counter[tuple[dt.datetime, str, str]]
"""Start of the window, input and cause to the requests that differ by it."""


def _causes(
    context: Context, paired: DataFrame, inputs: ComparedInputs, trained_from: Mapping[str, int | None]
) -> Causes:
    """Return why requests differ, as far as the tables are kept as scoring read them."""
    use_case = context.use_case
    kept = context.now - dt.timedelta(days=use_case.history_days)
    found: Causes = Counter()
    for group in scored_by(paired, inputs, scored_since=kept, most=LOOKED_INTO):
        differing = paired.where(
            F.col(IN_BOTH) & (F.col("features_version") == group.features_version)
            & inputs.any_differ(SCORED, TRAINED)
        )  # fmt: skip
        scored_from = json.loads(group.features_version)
        again = _made_again(context, differing, inputs, group, {THEN: scored_from, LATER: trained_from})
        wanted = {
            f"{cause}__{name}": condition
            for name in inputs.names
            if table_of(use_case, name).address in scored_from
            for cause, condition in _conditions(use_case, inputs, name).items()
        }
        for row in sums(again, wanted):
            start = window_of(in_utc(row["window"]), use_case.monitoring.window).start
            for name in inputs.names:
                for cause in CAUSES:
                    found[start, name, cause] += row.get(f"{cause}__{name}", 0)
    return found


def _made_again(
    context: Context,
    differing: DataFrame,
    inputs: ComparedInputs,
    group: ScoredBy,
    versions: Mapping[str, Mapping[str, int | None]],
) -> DataFrame:
    """Return the requests with their inputs and the ages of the joined rows, made again as of recorded versions."""
    use_case, key = context.use_case, context.use_case.spine.request_key
    keys = differing.select(F.col("request_key").alias(key), "trained_for")
    ages = {str(place): lookup for place, lookup in enumerate(use_case.lookups)}
    joined = differing
    for prefix, recorded in versions.items():
        then = _as_of(context, recorded)
        asked = requests(then, group.first, group.last + INSTANT).join(keys, on=key)
        rows = asked.where(F.col(use_case.spine.prediction_time) == F.col("trained_for")).drop("trained_for")
        made = with_inputs(then, rows, group.first, group.last + INSTANT)
        joined = joined.join(made.select("request_key", F.lit(True).alias(f"{prefix}found"), *inputs.prefixed(prefix)),
                             on="request_key", how="left")  # fmt: skip
        if ages:
            named = {f"{prefix}age_{place}": lookup for place, lookup in ages.items()}
            joined = joined.join(
                feature_ages(then, rows, named, group.first, group.last + INSTANT), on="request_key", how="left"
            )
    return joined


def _as_of(context: Context, versions: Mapping[str, int | None]) -> Context:
    tables = cast("Tables", TablesAsOf(context.lakehouse.tables, versions))
    return replace(context, lakehouse=replace(context.lakehouse, tables=tables))


def _conditions(use_case: UseCase, inputs: ComparedInputs, name: str) -> dict[str, Column]:
    """Return the condition of each cause by which an input differs; no two of them hold together."""
    found = F.col(f"{THEN}found") & F.col(f"{LATER}found")
    differs = inputs.differ(name, SCORED, TRAINED) & F.coalesce(found, F.lit(False))
    changed = inputs.differ(name, THEN, SCORED) | inputs.differ(name, LATER, TRAINED)
    lookup = lookup_of(use_case, name)
    same_code = differs & ~changed
    kind = "corrected" if _corrects_itself(use_case, table_of(use_case, name)) else "replaced"
    if lookup is None:
        return {"changed": differs & changed, kind: same_code}
    place = use_case.lookups.index(lookup)
    then, later = F.col(f"{THEN}age_{place}"), F.col(f"{LATER}age_{place}")
    late = F.coalesce(later < then, later.isNotNull() & then.isNull())
    return {"changed": differs & changed, "late": same_code & late, kind: same_code & ~late}


def _corrects_itself(use_case: UseCase, table: Table) -> bool:
    """Return whether the feed behind a table declares that it corrects what it has delivered."""
    origins = next((one.sources for one in use_case.features if one.table.address == table.address), (table,))
    return any(
        source.corrections is not Corrections.NEVER
        for source in use_case.sources
        if source.table.address in [origin.address for origin in origins]
    )
