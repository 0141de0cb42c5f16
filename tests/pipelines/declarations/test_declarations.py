"""Declarations fit together, and reading them is quick: no Spark, no MLflow, no bindings."""

import dataclasses
import datetime as dt
import inspect
import math
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from ml.metrics import metric_table as metrics
from ml.metrics.clusters import Units
from ml.monitoring.window_metrics import value_with_error
from ml.spec.costs import COST_PER_REQUEST
from ml.spec.entries import load
from ml.spec.estimator import Problem
from ml.spec.gate_policy import GuardRail
from ml.spec.metric_names import METRIC_NAMES, WITH_STANDARD_ERROR, has_standard_error, metric_names
from ml.spec.target import MultiClass
from pipelines.declarations import registry
from pipelines.declarations.asset import Column, Layer, Table, column, key
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.job import (
    After,
    AnyTask,
    ConditionTask,
    Job,
    Operator,
    Parameter,
    RunJobTask,
    Schedule,
    Task,
)
from pipelines.declarations.mistakes import DeclarationError, require_identifier
from pipelines.declarations.use_case import UseCase
from pipelines.declarations.use_case_checks import RESERVED
from pipelines.declarations.use_case_folder import named_code
from pipelines.execution.context import Context

TASKS = [(job, task) for job in registry.jobs() for task in job.tasks if isinstance(task, Task)]
TASK_IDS = [f"{job.address}.{task.key}" for job, task in TASKS]


def test_reading_the_declarations_loads_no_engine() -> None:
    """Infrastructure reads them in every synthesis, the command line in every call."""
    heavy = ("pyspark", "mlflow", "pandas", "numpy", "sklearn", "cdktf", "databricks")
    code = (
        "import sys; from pipelines.declarations import registry; registry.jobs(); registry.tables(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("task", [task for _, task in TASKS], ids=TASK_IDS)
def test_every_task_calls_a_function_that_takes_exactly_what_it_declares(task: Task) -> None:
    """The context first, then one keyword per parameter and argument; its docstring says what it does."""
    function = load(task.entry)
    signature = list(inspect.signature(function).parameters.values())
    assert signature[0].name == "context"
    assert {parameter.name for parameter in signature[1:]} == {*task.keywords, *task.arguments}
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in signature[1:])
    assert inspect.getdoc(function)


def test_every_table_has_a_writer_and_every_asset_read_exists() -> None:
    """Only the table of runs is written by the runner itself."""
    for use_case in registry.use_cases():
        known = {table.address for table in use_case.tables} | {use_case.model.address}
        tasks = [task for job in use_case.jobs for task in job.tasks if isinstance(task, Task)]
        written = {asset.address for task in tasks for asset in task.writes}
        read = {asset.address for task in tasks for asset in task.reads}
        own = {"runs"}  # written by the runner itself, for every task
        assert known - written == {use_case.table(name).address for name in own}
        assert (written | read) - known == set()


def test_every_code_named_by_a_use_case_exists() -> None:
    """Readers, builders, the inputs builder and the classes of estimators."""
    for use_case in registry.use_cases():
        assert all(callable(load(entry)) for _, entry in named_code(use_case))


def test_the_names_of_metrics_are_those_of_the_metrics_and_say_which_have_a_standard_error() -> None:
    """Declarations know both without importing numpy."""
    random = np.random.default_rng(1)
    one = random.uniform(0.1, 0.9, 200)
    several = random.dirichlet(np.ones(3), 200)
    for problem in (*Problem, MultiClass(classes=("a", "b", "c"))):
        known = metric_names(problem, None)
        assert known == metrics.names(problem)
        assert known[: len(METRIC_NAMES[str(problem)])] == METRIC_NAMES[str(problem)]
        labels = (
            np.round(one + random.uniform(-0.4, 0.4, 200)) if isinstance(problem, Problem) else np.arange(200) % 3.0
        )
        scores = one if isinstance(problem, Problem) else several
        errors = {
            name: value_with_error(metrics.metric(name, problem), labels, scores, Units(days=np.arange(200) % 7))[1]
            for name in known
        }
        assert {name for name, error in errors.items() if error is not None} == set(filter(has_standard_error, known))
    assert set(filter(has_standard_error, chain(*METRIC_NAMES.values()))) == WITH_STANDARD_ERROR - {COST_PER_REQUEST}


def replaced(policy: str, **changes: Any) -> UseCase:
    """Return a use case with one policy changed."""
    use_case = registry.use_case("flight_delay")
    return dataclasses.replace(use_case, **{policy: dataclasses.replace(getattr(use_case, policy), **changes)})


@pytest.mark.parametrize(
    ("policy", "changes", "said"),
    [
        ("gate", {"metric": "roc_auc_scor"}, "use case flight_delay: unknown metric of the gate 'roc_auc_scor': did you mean"),
        ("gate", {"metric": "mean_absolute_error"}, "use case flight_delay: unknown metric of the gate 'mean_absolute_error'"),
        ("gate", {"metric": "average_precision_score"}, "use case flight_delay: unknown monitored metric 'average_precision"),
        ("gate", {"guard_rails": (GuardRail(metric="foo_loss"),)}, "use case flight_delay: unknown metric of the gate 'foo_loss'"),
        ("gate", {"margin": math.nan}, "margin=nan is not a number"),
        ("gate", {"minimum_slice_positives": 1}, "minimum_slice_positives start at 2"),
        ("monitoring", {"metrics": ("rocauc_score",)}, "use case flight_delay: unknown monitored metric 'rocauc_score': did you"),
        ("monitoring", {"metrics": ("average_precision_score",)}, "use case flight_delay: unknown monitored metric 'average_"),
        ("monitoring", {"statistics": ("js_distnace",)}, "'js_distnace' is not a drift statistic; give some of"),
        ("monitoring", {"negligible": {"psi": 0.1}}, "'psi' is not a drift statistic"),
        ("monitoring", {"window": "year"}, "window is 'year'; give one of day, week, month"),
        ("monitoring", {"daily_false_alarms_per_month": 0}, "daily_false_alarms_per_month is 0; give a probability"),
        ("monitoring", {"daily_negligible": 1.5}, "daily_negligible is 1.5; give a share from 0 to 1"),
    ],
)  # fmt: skip
def test_a_name_that_no_metric_or_statistic_has_is_refused_where_it_is_declared(
    policy: str, changes: dict[str, Any], said: str
) -> None:
    """It is not first noticed after a training, or never."""
    with pytest.raises(ValueError, match=re.escape(said)):
        replaced(policy, **changes)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: environment("prd"), "unknown environment 'prd': did you mean 'prod'?"),
        (lambda: registry.job("flight_delay.trainin"), "did you mean 'flight_delay.training'?"),
        (lambda: registry.use_case("flight_dely"), "did you mean 'flight_delay'?"),
        (lambda: registry.use_case("flight_delay").table("metric"), "unknown table 'metric'"),
        (lambda: registry.job("flight_delay.training").task("asemble"), "did you mean 'assemble'?"),
        (lambda: registry.job("flight_delay.training").parameter("sede"), "did you mean 'seed'?"),
        (lambda: load("pipelines.tasks.predictions.scoring:scoer"), "did you mean 'score'?"),
        (lambda: load("pipelines.tasks.nothing:score"), "there is no module 'pipelines.tasks.nothing'"),
    ],
)
def test_the_sentence_for_an_unknown_name_has_the_nearest_one(call: Callable[[], object], said: str) -> None:
    """It also lists the names that exist."""
    with pytest.raises(DeclarationError) as caught:
        call()
    assert said in str(caught.value)


def test_a_short_name_that_two_tables_share_is_refused() -> None:
    """Both are named."""
    with pytest.raises(DeclarationError, match=r"several schemas: say flight_delay_bronze\.weather or"):
        registry.use_case("flight_delay").table("weather")


def table(**changes: Any) -> Table:
    """Return a small table with changes."""
    given: dict[str, Any] = {
        "use_case": "trial",
        "layer": Layer.BRONZE,
        "name": "t",
        "comment": "",
        "columns": (key("a"), column("b", "int")),
    }
    return Table(**{**given, **changes})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Column(name="a b", type="int"), "'a b' is not a name"),
        (lambda: Column(name="a", type="integer"), "unknown type 'integer'"),
        (lambda: table(columns=(key("a"), key("a"))), "more than once"),
        (lambda: table(primary_key=("c",)), "unknown key column 'c'"),
        (lambda: table(primary_key=("b",)), "must be declared nullable=False"),
        (lambda: Parameter(name="p", default="x", description="", choices=("y",)), "unknown default 'x'"),
        (lambda: Schedule(cron="* * *"), "not a Quartz expression"),
        (lambda: Task(key="a", entry="module", description=""), "not 'package.module:function'"),
        (lambda: Task(key="a", entry="m:f", description="", retries=-1), "retries"),
    ],
)
def test_a_declaration_that_cannot_be_right_is_refused_where_it_is_made(make: Callable[[], object], said: str) -> None:
    """The sentence says what is wrong."""
    with pytest.raises(DeclarationError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["a__b", "a_", "_a", "a___", "", "2a", "A", "a-b", "a.b", "a b", "a\n", "ä", "a" * 64])
def test_a_name_that_terraform_addresses_would_change_is_refused(name: str) -> None:
    """Addresses keep one of several underscores and none at the end, so two use cases would get one address."""
    with pytest.raises(DeclarationError) as caught:
        require_identifier("use case", name)
    allowed = "use 1 to 63 of a-z, 0-9 and single '_' between them, beginning with a letter."
    assert str(caught.value) == f"use case {name!r} is not a name: {allowed}"


@pytest.mark.parametrize("name", ["a", "a_b", "a1_2b", "a2", "a" * 63, "a_" * 31 + "b"])
def test_a_name_has_1_to_63_characters(name: str) -> None:
    """Letters, digits and single underscores between them."""
    require_identifier("use case", name)


@pytest.mark.parametrize("name", [*RESERVED, "class", "a__b"])
def test_a_use_case_cannot_have_a_name_that_means_something_else(name: str) -> None:
    """A declaration refuses what `pipelines new` refuses."""
    with pytest.raises(DeclarationError, match=re.escape(repr(name))):
        dataclasses.replace(registry.use_case("flight_delay"), name=name)


def step(name: str, after: tuple[Task | ConditionTask | After, ...] = (), **changes: Any) -> Task:
    """Return a task that is never run."""
    return Task(key=name, entry="m:f", description="", after=after, **changes)


def parameter(name: str, default: str = "") -> Parameter:
    """Return a parameter that is a text."""
    return Parameter(name=name, default=default, description="")


B = step("b")
FORK = ConditionTask(key="fork", description="", value=B.value("v"), operator=Operator.EQUAL_TO, right="1")
OTHER_JOB = Job(use_case="trial", name="other", description="", tasks=(step("a", parameters=(parameter("until"),)),))


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ((step("a"), step("a")), "more than once"),
        ((step("a", after=(B,)), B), "task 'a': unknown earlier task 'b'"),
        ((B, step("a", after=(step("b", retries=3),))), "task 'a': unknown earlier task 'b'"),
        (
            (B, step("a", after=(After(task=B, outcome=True),))),
            "after 'b:true' must be a task, or 'if_true' or 'if_false'",
        ),
        ((B, FORK, step("a", after=(FORK,))), "after 'fork' must be a task, or 'if_true' or 'if_false'"),
        ((FORK,), "task 'fork': unknown earlier task 'b'"),
        (
            (step("a", parameters=(parameter("p"),)), step("b", parameters=(parameter("p", "1"),))),
            "two tasks declare parameter 'p' differently",
        ),
        (
            (RunJobTask(key="run", description="", job=OTHER_JOB, parameters={"untill": parameter("until")}),),
            "unknown parameter of job trial.other 'untill': did you mean 'until'?",
        ),
    ],
)
def test_a_job_whose_tasks_do_not_fit_together_is_refused(tasks: tuple[AnyTask, ...], said: str) -> None:
    """Order, outcomes and parameters are checked when the job is declared."""
    with pytest.raises(DeclarationError) as caught:
        Job(use_case="trial", name="j", description="", tasks=tasks)
    assert said in str(caught.value)


def test_a_job_has_the_parameters_that_its_tasks_read_each_once_in_their_order() -> None:
    """They are derived, so none is unread and none is missing."""
    until, seed = parameter("until"), parameter("seed", "1")
    run = RunJobTask(key="run", description="", job=OTHER_JOB, parameters={"until": until})
    job = Job(use_case="trial", name="j", description="", tasks=(step("a", parameters=(seed,)), run))
    assert job.parameters == (seed, until)
    assert (seed.reference, B.value("v").reference) == ("{{job.parameters.seed}}", "{{tasks.b.values.v}}")


def test_a_dependency_is_shown_with_the_outcome_that_it_needs() -> None:
    """As `python -m pipelines list` and the README print it."""
    follower = step("a", after=(B, FORK.if_true, FORK.if_false))
    assert [str(after) for after in follower.dependencies] == ["b", "fork:true", "fork:false"]


def test_tables_and_jobs_are_derived_from_the_use_case() -> None:
    """A change of a part changes what is derived; nothing has to be changed twice."""
    declared = registry.use_case("flight_delay")
    assert "delivery" not in [job.name for job in declared.jobs]
    received = dataclasses.replace(declared, trained_in=("dev",))
    assert "delivery" in [job.name for job in received.jobs]
    assert {"retrain", "deliver"} <= {task.key for task in received.job("monitoring").tasks}
    fewer = dataclasses.replace(declared, estimators=declared.estimators[:1], numeric_inputs=("distance",))
    assert [task.key for task in fewer.job("training").tasks if task.key.startswith("train_")] == [
        "train_logistic_regression"
    ]
    stored = {column.name for column in fewer.table("predictions").columns}
    assert {"distance", *declared.categorical_inputs} <= stored
    assert "weekday" not in stored


def test_days_that_a_use_case_declares_are_those_of_its_scheduled_trainings() -> None:
    """A retraining gives no dates of its own, so they are the defaults of the jobs; others keep the usual ones."""
    air_time = registry.use_case("air_time")
    own = dataclasses.replace(air_time, training_days=300, evaluation_days=150)
    for found, days in (
        (own, {"training_days": "300", "evaluation_days": "150"}),
        (air_time, {"training_days": "120"}),
    ):
        given = {parameter.name: parameter.default for parameter in found.job("training").parameters}
        assert given | days == given
    assert {one.name: one.default for one in own.job("delivery").parameters}["evaluation_days"] == "150"


def test_code_passes_from_dev_to_staging_to_prod() -> None:
    """Each environment receives from the one before."""
    assert [e.receives_from for e in ENVIRONMENTS.values()] == [None, "dev", "staging"]


def test_the_context_is_frozen() -> None:
    """A task cannot change the context of the next one."""
    context: Any = Context(
        lakehouse=None, use_case=registry.use_case("air_time"), run_id="r", now=dt.datetime.now(dt.UTC), say=print
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.run_id = "s"
