"""What is known of a challenger: how both versions served, and what the gate says of the requests that both have scored.

During a rollout each request is scored by both versions, whichever of them answers. So every stage has pairs of scores of the
same requests, and the gate compares the two on those whose outcome is due.
"""

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.evaluation.record import Evaluation
from ml.labels.maturity import LabelCounts
from ml.rollout.decision import RolloutEvidence, ServedCounts
from ml.rollout.distance import score_distance
from ml.rollout.look_verdicts import verdicts_of_look
from ml.spec.errors import LakehouseError, sentence_of
from ml.spec.gate_policy import GatePolicy
from ml.spec.target import score_columns
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.dataframes.label_maturity import counts_of, with_standing
from pipelines.dataframes.scoring import scores_in
from pipelines.dataframes.training_rows import sampled, weight_of
from pipelines.declarations.answers import ANSWER_ID, ANSWERED_AT, ROLLOUT_ID, SECONDS, SHADOW_OF, STAGE
from pipelines.execution.context import Context
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.tasks import row_limits
from pipelines.tasks.data.ingest import delivered_until
from pipelines.tasks.versions.evaluation import overlap_by_keys
from pipelines.tasks.versions.fitting import metric_weights
from pipelines.tasks.versions.training import TRAINING

PAIR, OWN, THEIRS = "pair", "own__", "theirs__"
"""The request that two scores are of, and the prefixes of the challenger's and the champion's."""
SEED = 0
SLOWEST = 0.99


@dataclass(frozen=True, kw_only=True)
class RolloutLook:
    """One look at a challenger.

    Attributes
    ----------
    evaluation
        What the gate judged; None where it was not asked.
    number
        Which look of the gate in this stage it is; None where the gate could not decide, which spends nothing.
    """

    evidence: RolloutEvidence
    evaluation: Evaluation | None = None
    number: int | None = None


def look_at(
    context: Context, state: RolloutState, *, until: dt.datetime, looks: int, asked_today: bool, stopped: str
) -> RolloutLook:
    """Return what is known of the challenger of a rollout.

    Parameters
    ----------
    until
        Labels count as they were known then.
    looks
        How often the gate has decided in this stage.
    asked_today
        Whether it has on this day: it is asked once a day, because an hour brings hardly a label and costs a look.
    stopped
        Why a person wants the challenger back; empty if nobody does.
    """
    answers = _answers(context, state)
    counts = _counts(context, state, answers)
    evidence = RolloutEvidence(
        percentage=state.percentage,
        days=max((until - state.since) / dt.timedelta(days=1), 0.0),
        champion=counts[state.champion],
        challenger=counts[state.version],
        score_distance=_distance(context, state, answers),
        stopped=stopped,
        overtaken=_overtaken(context, state),
        refused=_refused(context, state),
    )
    if asked_today:
        return RolloutLook(evidence=replace(evidence, not_asked="the gate has decided today, and is asked once a day"))
    return _judged(context, state, answers, evidence, until=until, look=looks + 1)


def _answers(context: Context, state: RolloutState) -> DataFrame:
    """Return what both versions have scored in a rollout, with the request that a score is of."""
    rows = context.lakehouse.tables.read(context.use_case.table("answers"))
    own = rows.where(
        (F.col(ROLLOUT_ID) == state.rollout_id) & F.col("model_version").isin(state.version, state.champion)
    )
    return own.withColumn(PAIR, F.coalesce(F.col(SHADOW_OF), F.col(ANSWER_ID)))


def _counts(context: Context, state: RolloutState, answers: DataFrame) -> dict[int, ServedCounts]:
    """Return what each version did in the present stage."""
    of_stage = answers.where(F.col(STAGE) == state.percentage)
    served = of_stage.groupBy("model_version").agg(F.count(F.lit(1)).alias("rows")).toArrow().to_pylist()
    failures = context.lakehouse.tables.read(context.use_case.table("failed_answers"))
    failed = (
        failures.where((F.col(ROLLOUT_ID) == state.rollout_id) & (F.col(STAGE) == state.percentage) & F.col("request_key").isNotNull())
        .groupBy("model_version").agg(F.count(F.lit(1)).alias("rows")).toArrow().to_pylist()
    )  # fmt: skip
    scored, lost = ({row["model_version"]: row["rows"] for row in rows} for rows in (served, failed))
    timed = _at_most(of_stage.where(F.col(SECONDS).isNotNull()).select(PAIR, "model_version", SECONDS), PAIR)
    seconds = to_pandas(timed).groupby("model_version")[SECONDS].quantile(SLOWEST).to_dict()
    return {
        version: ServedCounts(
            version=version, attempts=scored.get(version, 0) + lost.get(version, 0), failures=lost.get(version, 0),
            seconds=float(seconds[version]) if version in seconds else None,
        )
        for version in (state.version, state.champion)
    }  # fmt: skip


def _at_most(rows: DataFrame, key: str) -> DataFrame:
    """Return rows, or a share of them drawn by key where they are too many for one machine."""
    count = rows.count()
    return rows if count <= row_limits.EXACT_ROWS else sampled_by(rows, key, row_limits.EXACT_ROWS / count)


def sampled_by(rows: DataFrame, key: str, share: float) -> DataFrame:
    """Return a share of rows, drawn by a key."""
    return rows.where(sampled(F.col(key), share, SEED))


def _pairs(context: Context, state: RolloutState, answers: DataFrame) -> DataFrame:
    """Return the first scores of each request by both versions, one row for each, with what the gate needs."""
    use_case = context.use_case
    scores = score_columns(use_case.problem)
    kept = list(dict.fromkeys((*use_case.slices, *use_case.clusters.columns)))

    def of(version: int, prefix: str, *others: str) -> DataFrame:
        named = (F.col(name).alias(f"{prefix}{name}") for name in (*scores, SECONDS))
        return answers.where(F.col("model_version") == version).select(PAIR, *others, *named)

    both = of(state.version, OWN, "request_key", "prediction_at", ANSWERED_AT, STAGE, *kept).join(
        of(state.champion, THEIRS), on=PAIR
    )
    first = both.groupBy("request_key").agg(F.min(F.struct(ANSWERED_AT, PAIR)).alias("first"))
    return both.join(first.select(F.col("first").getField(PAIR).alias(PAIR)), on=PAIR)


def _distance(context: Context, state: RolloutState, answers: DataFrame) -> float | None:
    """Return the largest distance between the distributions of the two versions' scores on the requests of the stage."""
    pairs = _pairs(context, state, answers.where(F.col(STAGE) == state.percentage))
    rows = to_pandas(_at_most(pairs.select(PAIR, *_score_names(context)), PAIR))
    return score_distance(_scores(context, rows, OWN), _scores(context, rows, THEIRS))


def _score_names(context: Context) -> list[str]:
    return [f"{prefix}{name}" for prefix in (OWN, THEIRS) for name in score_columns(context.use_case.problem)]


def _scores(context: Context, rows: pd.DataFrame, prefix: str) -> NDArray[np.float64]:
    return scores_in(rows, context.use_case.problem, before=prefix)


def _overtaken(context: Context, state: RolloutState) -> str:
    now = context.lakehouse.models.find_alias(context.use_case.model, CHAMPION)
    if now is not None and now.number in (state.champion, state.version):
        return ""
    name = "none any more" if now is None else f"version {now.number}"
    return f"the rollout began against version {state.champion}, and the champion is {name} now"


def _refused(context: Context, state: RolloutState) -> str:
    """Return why the challenger cannot be served: here, or where an endpoint has tried it; empty if it can."""
    failures = context.lakehouse.tables.read(context.use_case.table("failed_answers"))
    told = failures.where(
        (F.col(ROLLOUT_ID) == state.rollout_id) & (F.col("model_version") == state.version) & F.col("request_key").isNull()
    )  # fmt: skip
    said = told.select("message").limit(1).toArrow().to_pylist()
    if said:
        return str(said[0]["message"])
    models = context.lakehouse.models
    try:
        models.load_served(models.version(context.use_case.model, state.version))
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being loaded is the reason
        return f"version {state.version} cannot be loaded: {sentence_of(error)}"
    return ""


def _judged(
    context: Context, state: RolloutState, answers: DataFrame, evidence: RolloutEvidence, *, until: dt.datetime, look: int
) -> RolloutLook:  # fmt: skip
    """Return the look with what the gate says on every request of the rollout whose outcome is due."""
    try:
        rows, counts = _labelled(context, state, answers, until)
        if rows.empty:
            why = f"no request that both versions have scored has a label that was due: {counts.sentence}"
            return RolloutLook(evidence=replace(evidence, not_asked=why))
        contenders = _contenders(context, state, rows)

        def measured(policy: GatePolicy, exchanged: bool) -> Evaluation:
            champion = state.version if exchanged else state.champion
            return _evaluation(context, rows, counts, policy, contenders, champion=champion)

        found = verdicts_of_look(context.use_case.gate, look, measured=measured, costs=context.use_case.costs)
    except (LakehouseError, ValueError) as error:
        return RolloutLook(evidence=replace(evidence, not_asked=f"the gate could not be asked: {sentence_of(error)}"))
    known = replace(
        evidence, verdict=found.verdict, fault_verdict=found.faults, reversed_verdict=found.exchanged
    )  # fmt: skip
    return RolloutLook(evidence=known, evaluation=found.evaluation, number=look if found.decides else None)


def _labelled(
    context: Context, state: RolloutState, answers: DataFrame, until: dt.datetime
) -> tuple[pd.DataFrame, LabelCounts]:
    """Return the requests whose outcome decides at an instant, in their order, and how many do."""
    use_case = context.use_case
    asked = _pairs(context, state, answers)
    weight = use_case.weight if use_case.weight_in_metrics else None
    if weight is not None and not use_case.label_columns[1:]:
        spine = context.lakehouse.tables.read(use_case.spine.table)
        worth = spine.select(F.col(use_case.spine.request_key).alias("request_key"), F.col(weight.column))
        asked = asked.join(worth, on="request_key", how="left")
    standing = with_standing(
        _at_most(asked, PAIR), context.lakehouse.tables.read(use_case.labels.table), key="request_key",
        time="prediction_at", due_days=use_case.label_due_days, at=until, without_outcome=use_case.without_outcome,
        delivered=delivered_until(context, use_case.labels.sources),
        further=use_case.label_columns[1:] if weight is not None else (),
    )  # fmt: skip
    if weight is not None:
        standing = standing.withColumn(SAMPLE_WEIGHT, weight_of(F.col(weight.column), weight))
    rows = to_pandas(standing.where(F.col("label").isNotNull()))
    return rows.sort_values(["prediction_at", "request_key"], ignore_index=True), counts_of(standing)


def _contenders(context: Context, state: RolloutState, rows: pd.DataFrame) -> list[Contender]:
    """Return the two versions with what they have scored, the challenger first."""
    use_case, models = context.use_case, context.lakehouse.models
    numbers = {OWN: state.version, THEIRS: state.champion}
    return [
        _contender(context, models.version(use_case.model, number), rows, prefix) for prefix, number in numbers.items()
    ]


def _evaluation(
    context: Context, rows: pd.DataFrame, counts: LabelCounts, policy: GatePolicy, contenders: list[Contender], *,
    champion: int,
) -> Evaluation:  # fmt: skip
    """Return what was measured, with one of the two versions as champion and the other as the candidate."""
    use_case = context.use_case
    return evaluate(
        evaluation_id=context.run_id,
        model=use_case.model.address,
        labels=rows["label"].to_numpy(np.float64),
        times=rows["prediction_at"],
        keys=rows["request_key"].tolist(),
        contenders=contenders,
        champion=champion,
        slices={name: rows[name].to_numpy(object) for name in use_case.slices},
        problem=use_case.problem,
        policy=policy,
        seed=SEED,
        clusters=use_case.clusters,
        entities={name: rows[name].to_numpy(object) for name in use_case.clusters.columns},
        label_counts=counts,
        weights=metric_weights(use_case, rows),
        weight_column=use_case.weight.column if use_case.weight else "",
        costs=use_case.costs,
    )


def _contender(context: Context, version: ModelVersion, rows: pd.DataFrame, prefix: str) -> Contender:
    until, seconds = version.tags.get("trained_until"), rows[f"{prefix}{SECONDS}"].median()
    return Contender(
        version=version.number,
        estimator=version.tags.get("estimator", "unknown"),
        scores=_scores(context, rows, prefix),
        trained_until=pd.Timestamp(until) if until else None,
        overlap_rows=_overlap(context, version, rows["request_key"].tolist()),
        seconds_per_1000_rows=None if pd.isna(seconds) else 1000 * float(seconds),
    )


def _overlap(context: Context, version: ModelVersion, keys: list[str]) -> int | None:
    """Return how many requests a version was trained on; None if nobody knows."""
    if version.trained_in != context.lakehouse.environment.name:
        return overlap_by_keys(context, version, keys)
    sets = context.lakehouse.tables.read(context.use_case.table("training_set"))
    own = sets.where(
        (F.col("training_set_id") == version.tags.get("training_set_id", "")) & (F.col("part") == TRAINING)
    )
    known = own.select("request_key").toArrow()["request_key"]
    return pc.sum(pc.is_in(pa.array(set(keys), known.type), known)).as_py() or 0 if len(known) else None
