"""What is wrong with how models of a use case are fitted and judged: weights, costs and estimators."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ml.spec.costs import COST_PER_REQUEST, ClassCosts, Costs
from ml.spec.estimator import Calibration
from ml.spec.gate_policy import Method
from ml.spec.metric_names import has_standard_error, metric_names
from ml.spec.target import MultiClass, made_columns
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.declarations.input_checks import NUMBERS
from pipelines.declarations.mistakes import DeclarationError, require_unique, unknown

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def weight_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield weights that no row can have, and what a policy measures without a test with weights."""
    weight = use_case.weight
    if weight is None:
        return
    places = _places(use_case, weight.column)
    if "the labels" in places and len(places) > 1:
        yield f"weight: {weight.column!r} comes from {' and from '.join(places)}; give one of them another name."
    kind = next(iter(places.values()), None)
    if kind is not None and kind not in NUMBERS:
        yield f"weight: {weight.column!r} is a {kind}; give one of {', '.join(NUMBERS)}."
    spine = [column.name for column in use_case.spine.table.columns]
    if SAMPLE_WEIGHT in (*use_case.kept_columns, *spine):
        yield f"weight: {SAMPLE_WEIGHT!r} is the column of training rows that holds it; give yours another name."
    if weight.in_metrics:
        yield from _untested(use_case)


def _places(use_case: "UseCase", name: str) -> dict[str, str]:
    """Return who has a column of that name, and its type there."""
    of_lookups = (
        ("a lookup", column.type)
        for lookup in use_case.lookups
        for stored, joined in lookup.columns.items()
        for column in lookup.table.columns
        if (joined, column.name) == (name, stored)
    )
    of_tables = (
        (place, column.type)
        for place, table in (("the labels", use_case.labels.table), ("the spine", use_case.spine.table))
        for column in table.columns
        if column.name == name
    )
    return dict([*of_tables, *of_lookups])


def _untested(use_case: "UseCase") -> Iterator[str]:
    """Yield what a policy compares without a test with weights."""
    gate, by_day = use_case.gate, Method.ANALYTIC_BY_DAY.value
    if gate.method.resamples_rows:
        yield f"weight: a gate with method={gate.method.value!r} has no test with weights; give {by_day!r}."
    known = metric_names(use_case.problem, use_case.costs)
    tested = ", ".join(name for name in known if has_standard_error(name))
    for name in gate.compared:
        if not has_standard_error(name):
            yield f"weight: the gate's {name} has no test with weights; give {tested}."


def cost_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield costs that are not those of the decision, and columns that predictions of a use case with costs have."""
    costs, problem = use_case.costs, use_case.problem
    compared = (*use_case.gate.compared, *use_case.monitoring.metrics)
    right = ClassCosts if isinstance(problem, MultiClass) else Costs
    if costs is None:
        if COST_PER_REQUEST in compared and problem.classes:
            yield f"{COST_PER_REQUEST} is judged and no costs are declared: give costs={right.__name__}(...)."
        return
    if not problem.classes:
        yield f"costs are those of decisions by probabilities, which a {problem} problem has not: leave them out."
    elif not isinstance(costs, right):
        yield f"costs are {type(costs).__name__}, which a {problem} problem has not; give costs={right.__name__}(...)."
    elif isinstance(costs, ClassCosts):
        yield from _class_cost_mistakes(costs, problem.classes)
    for name in costs.columns:
        if name in use_case.kept_columns:
            yield f"costs: {name!r} is a column that predictions then have; give the input another name."


def _class_cost_mistakes(costs: ClassCosts, classes: Sequence[str]) -> Iterator[str]:
    """Yield classes without amounts, and amounts of classes that there are not."""
    yield from (
        f"costs: amounts have no class {name!r}; state what each decision costs where it is true."
        for name in classes
        if name not in costs.amounts
    )
    yield from (f"costs: {unknown('class', name, classes)}" for name in costs.amounts if name not in classes)


def class_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield columns that predictions of several classes have, and gates that resample."""
    if not isinstance(use_case.problem, MultiClass):
        return
    for name in made_columns(use_case.problem):
        if name in use_case.kept_columns:
            yield f"classes: {name!r} is a column that predictions then have; give the input another name."
    if use_case.gate.method.resamples_rows:
        yield (
            f"classes: a gate with method={use_case.gate.method.value!r} may draw rows without one of the classes; give "
            f"{Method.ANALYTIC_BY_DAY.value!r}."
        )


def estimator_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield names that are taken, and estimators that do not fit the problem."""
    if not use_case.estimators:
        yield "estimators is empty; name at least one."
    for kind, names in (
        ("source", [source.name for source in use_case.sources]),
        ("estimator", [spec.name for spec in use_case.estimators]),
    ):
        try:
            require_unique(kind, "the use case", names)
        except DeclarationError as mistake:
            yield str(mistake)
    for spec in use_case.estimators:
        if not use_case.problem.classes and spec.calibration is not Calibration.NONE:
            yield f"estimator {spec.name!r}: a calibration makes probabilities, which a regression has not: leave it out."
