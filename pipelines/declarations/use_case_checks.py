"""What is wrong with a use case as a whole: names that are taken, parts that do not belong together."""

import itertools
import keyword
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING

from ml.spec.clusters import INDEPENDENT_DAYS
from ml.spec.estimator import Problem
from ml.spec.gate_policy import Method
from ml.spec.metric_names import has_standard_error, metric_names
from ml.spec.online_policy import PublishMode
from ml.spec.target import MultiClass
from pipelines.declarations.asset import Layer, Model, Table
from pipelines.declarations.branch import INFIX, original_of
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.environment_data import DataKind, RedactionRule
from pipelines.declarations.input_checks import input_mistakes
from pipelines.declarations.mistakes import DeclarationError, require_identifier, unknown
from pipelines.declarations.model_checks import class_mistakes, cost_mistakes, estimator_mistakes, weight_mistakes
from pipelines.declarations.shared_features import own_sharing_mistakes
from pipelines.declarations.standard_jobs.maintenance import LEAST_HISTORY_DAYS

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

RESERVED: Mapping[str, str] = {
    **dict.fromkeys(ENVIRONMENTS, "an environment"),
    "main": "the branch that is deployed",
    "test": "the command that runs all tests",
    "experiments": "the folder of all experiments in a workspace",
}
"""Names that a use case cannot have because they mean something else in the same place, and what they mean."""

LABEL_COLUMNS: Mapping[str, str] = {
    "request_key": "string", "known_at": "timestamp", "outcome": "string", "label": "double"
}  # fmt: skip
"""The columns of every table of labels, and their types."""
LABEL_KEY = ("request_key", "known_at")
"""The key of every table of labels, its time key last."""


def use_case_mistakes(use_case: "UseCase") -> list[str]:
    """Return what is wrong with a use case, one sentence each; empty if nothing is."""
    mistakes = use_case_name_mistakes(original_of(use_case.name)[0])
    if not isinstance(use_case.problem, MultiClass) and use_case.problem not in tuple(Problem):
        return [*mistakes, _where(use_case, unknown("problem", str(use_case.problem), (*Problem, "MultiClass(...)")))]
    checks = (
        _metric_mistakes, _trained_in_mistakes, _table_mistakes, own_sharing_mistakes, _label_mistakes, input_mistakes, _number_mistakes,
        _cluster_mistakes, weight_mistakes, cost_mistakes, class_mistakes, estimator_mistakes,
        _rollout_mistakes, _online_mistakes, _hidden_column_mistakes,
    )  # fmt: skip
    return [*mistakes, *(_where(use_case, found) for check in checks for found in check(use_case))]


def use_case_name_mistakes(name: str) -> list[str]:
    """Return why a use case may not have that name; empty if it may."""
    try:
        require_identifier("use case", name)
    except DeclarationError as mistake:
        return [str(mistake)]
    found = []
    if keyword.iskeyword(name):
        found.append(f"{name!r} is a keyword of Python: no module can have that name.")
    if f"_{Layer.SHARED}_" in f"{name}_":
        found.append(
            f"{name!r} has '_{Layer.SHARED}' in it, by which schemas of shared tables are told: take another name."
        )
    if INFIX in f"{name}_":
        found.append(f"{name!r} has {INFIX!r} in it, by which branches are told: take another name.")
    if name in RESERVED:
        found.append(f"{name!r} is the name of {RESERVED[name]}: take another name.")
    return found


def _where(use_case: "UseCase", mistake: str) -> str:
    return f"use case {use_case.name}: {mistake}"


def _metric_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield names that no metric of the problem has, and monitors of metrics without a standard error."""
    known = metric_names(use_case.problem, use_case.costs)
    judged = [name for name in known if has_standard_error(name)]
    monitored = use_case.monitoring.metrics or (use_case.gate.metric,)
    yield from (unknown("metric of the gate", name, known) for name in use_case.gate.compared if name not in known)
    yield from (unknown("monitored metric", name, judged) for name in monitored if name not in judged)


def _trained_in_mistakes(use_case: "UseCase") -> Iterator[str]:
    first = next(iter(ENVIRONMENTS))
    yield from (unknown("environment", name, ENVIRONMENTS) for name in use_case.trained_in if name not in ENVIRONMENTS)
    if first not in use_case.trained_in:
        yield f"trained_in {list(use_case.trained_in)} lacks {first!r}, which receives no model."


def _table_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield tables of another use case, and references to tables that the use case does not declare."""
    features, bronze = (*use_case.features, use_case.labels), [source.table for source in use_case.sources]
    assets: list[Table | Model] = [*bronze, *(feature.table for feature in features), use_case.model]
    for asset in assets:
        if asset.use_case != use_case.name:
            yield f"{asset.address} is declared with use_case={asset.use_case!r}: give {use_case.name!r}."
    sources = [table.address for table in bronze]
    for feature in features:
        for source in feature.sources:
            if source.address not in sources:
                yield f"feature table {feature.table.name}: {unknown('source table', source.address, sources)}"
    if use_case.spine.table.address not in sources:
        yield f"spine: {unknown('source table', use_case.spine.table.address, sources)}"
    built = [table.address for table in use_case.feature_tables]
    for lookup in use_case.lookups:
        if lookup.table.address not in built:
            yield f"lookup: {unknown('feature table', lookup.table.address, built)}"


def _label_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield labels with other columns, types or keys than every use case's."""
    table = use_case.labels.table
    types = {column.name: column.type for column in table.columns}
    weight = use_case.label_columns[1:]
    if sorted(types) != sorted({*LABEL_COLUMNS, *weight}):
        yield f"labels have the columns {', '.join(types)}; give {', '.join(LABEL_COLUMNS)}."
    for name, kind in LABEL_COLUMNS.items():
        if types.get(name, kind) != kind:
            yield f"labels: {name!r} is a {types[name]}; declare it as {kind}."
    if table.row_key != LABEL_KEY:
        yield f"labels have the key {', '.join(table.row_key)}; give primary_key=('request_key',), time_key='known_at'."
    if use_case.labels.available_after_minutes:
        yield (
            f"labels: available_after_minutes is {use_case.labels.available_after_minutes}; leave it out, label_due_days says when "
            "an outcome decides."
        )
    if use_case.weight and use_case.weight.column in LABEL_COLUMNS:
        yield f"weight: {use_case.weight.column!r} is a column that all labels have; name one of its own."
    stated = use_case.without_outcome
    if stated is not None and (
        isinstance(stated, bool) or not isinstance(stated, (int, float)) or not isfinite(stated)
    ):
        yield f"without_outcome is {stated!r}; give a number, or None to leave such requests out."
    elif stated is not None and use_case.problem.classes and stated not in range(len(use_case.problem.classes)):
        last = len(use_case.problem.classes) - 1
        yield f"without_outcome is {stated}; a {use_case.problem} problem has labels 0 {'and' if last == 1 else 'to'} {last} only."


def _hidden_column_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield columns that one source hides from an environment and another one of the same column name brings there."""
    for environment in ENVIRONMENTS:
        for hiding, showing in itertools.permutations(use_case.sources, 2):
            hidden = hiding.data_in(environment).hidden & {
                *hiding.personal,
                *(one.column for one in hiding.data_in(environment).redactions if one.rule is RedactionRule.HASH),
            }
            received = showing.data_in(environment)
            names = [column.name for column in showing.table.columns]
            seen = names if received.kind is DataKind.REAL else received.keep
            for name in sorted(hidden.intersection(seen)):
                yield (
                    f"source {showing.name} would bring the column {name!r} to {environment} as it is, and source {hiding.name} hides "
                    f"it there: nothing is hidden, and hashed keys do not join; redact it in both alike."
                )


def _number_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield numbers of days that cannot be."""
    if use_case.label_due_days <= 0:
        yield f"label_due_days is {use_case.label_due_days}; give more than 0."
    for name, days in (("training_days", use_case.training_days), ("evaluation_days", use_case.evaluation_days)):
        if days <= 0:
            yield f"{name} is {days}; give more than 0."
    if use_case.scoring_look_back_days < 0:
        yield f"scoring_look_back_days is {use_case.scoring_look_back_days}; give 0 or more."
    if use_case.history_days < LEAST_HISTORY_DAYS:
        yield f"history_days is {use_case.history_days}; give {LEAST_HISTORY_DAYS} or more."


def _cluster_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield columns of clusters that no row keeps, and what the gate measures without a test by clusters."""
    clusters, gate = use_case.clusters, use_case.gate
    spine = [column.name for column in use_case.spine.table.columns]
    for name in clusters.columns:
        if name not in (*use_case.inputs, *spine):
            yield f"clusters: {unknown('input or column of the spine', name, (*use_case.inputs, *spine))}"
    if clusters == INDEPENDENT_DAYS:
        return
    if gate.method is not Method.ANALYTIC_BY_DAY:
        by_clusters = Method.ANALYTIC_BY_DAY.value
        yield f"clusters: a gate with method={gate.method.value!r} ignores them; give method={by_clusters!r}."
    for name in (gate.metric, *(rail.metric for rail in gate.guard_rails)):
        if not has_standard_error(name):
            known = metric_names(use_case.problem, use_case.costs)
            tested = ", ".join(name for name in known if has_standard_error(name))
            yield f"clusters: the gate's {name} has no test by clusters; give {tested}."


def _rollout_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield columns that no request has to stick to, and a stage that ends before its labels can be judged."""
    rollout, gate = use_case.rollout, use_case.gate
    spine = [column.name for column in use_case.spine.table.columns]
    yield from (
        f"rollout: sticky_by: {unknown('column of the spine', name, spine)}"
        for name in rollout.sticky_by
        if name not in spine
    )
    days = gate.least_days(use_case.clusters.day_memory) if gate.method.by_day else 1
    least = use_case.label_due_days + days
    if not rollout.is_direct and rollout.most_days <= least:
        yield (
            f"rollout: most_days is {rollout.most_days}, and the gate can decide {least} days after a rollout begins, once "
            f"outcomes are due; give more than {least}."
        )


def _online_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield a store that nothing is published to, features that no job would publish, and those that the store has too early."""
    if use_case.online is None:
        return
    if not use_case.lookups:
        yield "online: no lookup reads a feature table, so nothing would be published; leave it out."
    for lookup in dict.fromkeys(one.table.address for one in use_case.lookups):
        if waits := use_case.available_after.get(lookup, 0):
            yield (
                f"online: rows of {lookup} must wait for {waits} minutes (available_after_minutes), and the platform publishes each at "
                "once in place of the one before: a request in between would find none; leave `online` out."
            )
    if use_case.streaming is not None and use_case.online.mode is not PublishMode.CONTINUOUS:
        yield (
            f"online: mode is {use_case.online.mode}, and a stream refreshes the feature tables between two runs of the job that "
            f"publishes; give {PublishMode.CONTINUOUS}."
        )
