"""What is declared fits together, and reading it is quick: no Spark, no MLflow, no bindings."""

import dataclasses
import importlib
import inspect
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from ml.metrics import quality_metrics as metrics
from ml.monitoring.window_metrics import value_with_error
from ml.spec.entries import load
from ml.spec.gate_policy import GuardRail
from ml.spec.metric_names import METRIC_NAMES, WITH_STANDARD_ERROR
from pipelines.declarations import registry
from pipelines.declarations.asset import Column, Layer, Table, column, key
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.job import After, ConditionTask, Job, Operator, Parameter, RunJobTask, Schedule, Task
from pipelines.declarations.mistakes import DeclarationError, require_identifier, unknown
from pipelines.declarations.use_case_checks import RESERVED
from pipelines.execution.context import Context

TASKS = [(job, task) for job in registry.jobs() for task in job.tasks if isinstance(task, Task)]
TASK_IDS = [f"{job.address}.{task.key}" for job, task in TASKS]


def test_reading_the_declarations_loads_no_engine():
    """Infrastructure reads them in every synthesis, the command line in every call."""
    heavy = ("pyspark", "mlflow", "pandas", "numpy", "sklearn", "cdktf", "databricks")
    code = (
        "import sys; from pipelines.declarations import registry; registry.jobs(); registry.tables(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("task", [task for _, task in TASKS], ids=TASK_IDS)
def test_every_task_calls_a_function_that_takes_exactly_what_it_declares(task):
    """Context first, then one keyword per parameter and argument; its docstring tells an operator what it does."""
    function = load(task.entry)
    signature = list(inspect.signature(function).parameters.values())
    assert signature[0].name == "context"
    assert {parameter.name for parameter in signature[1:]} == {*task.keywords, *task.arguments}
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in signature[1:])
    assert inspect.getdoc(function)


def test_every_table_has_a_writer_and_every_asset_read_exists():
    """Lineage has no loose ends."""
    for use_case in registry.use_cases():
        known = {table.address for table in use_case.tables} | {use_case.model.address}
        tasks = [task for job in use_case.jobs for task in job.tasks if isinstance(task, Task)]
        written = {asset.address for task in tasks for asset in task.writes}
        read = {asset.address for task in tasks for asset in task.reads}
        own = {"runs"}  # written by the runner itself, for every task
        assert known - written == {use_case.table(name).address for name in own}
        assert (written | read) - known == set()


def test_every_entry_named_by_a_use_case_exists():
    """Readers, builders and inputs are found by their texts."""
    for use_case in registry.use_cases():
        entries = [source.reader for source in use_case.sources]
        entries += [feature.builder for feature in (*use_case.features, use_case.labels)] + [use_case.inputs_builder]
        assert all(callable(load(entry)) for entry in entries)


def test_the_names_of_metrics_are_those_of_the_metrics_and_say_which_have_a_standard_error():
    """Declarations know them without loading a number."""
    random = np.random.default_rng(1)
    scores = random.uniform(0.1, 0.9, 200)
    labels = np.round(scores + random.uniform(-0.4, 0.4, 200))
    for problem, known in METRIC_NAMES.items():
        assert known == metrics.names(problem)
        errors = {name: value_with_error(metrics.metric(name), labels, scores, np.arange(200) % 7)[1] for name in known}
        assert {name for name, error in errors.items() if error is not None} == WITH_STANDARD_ERROR & {*known}


def replaced(policy, **changes):
    """A use case of which one policy is changed."""
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
    ],
)  # fmt: skip
def test_a_name_that_no_metric_or_statistic_has_is_refused_where_it_is_declared(policy, changes, said):
    """Else it would show after a training, or never: a monitor of nothing finds nothing."""
    with pytest.raises(ValueError, match=re.escape(said)):
        replaced(policy, **changes)


def test_every_slice_is_a_categorical_input():
    """Only what is kept with a prediction can break it down."""
    for use_case in registry.use_cases():
        assert set(use_case.slices) <= set(use_case.categorical_inputs)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: environment("prd"), "unknown environment 'prd': did you mean 'prod'?"),
        (lambda: registry.job("flight_delay.trainin"), "did you mean 'flight_delay.training'?"),
        (lambda: registry.use_case("flight_dely"), "did you mean 'flight_delay'?"),
        (lambda: registry.use_case("flight_delay").table("metric"), "unknown table 'metric'"),
        (lambda: registry.job("flight_delay.training").task("asemble"), "did you mean 'assemble'?"),
        (lambda: registry.job("flight_delay.training").parameter("sede"), "did you mean 'seed'?"),
        (lambda: load("pipelines.tasks.scoring:scoer"), "did you mean 'score'?"),
        (lambda: load("pipelines.tasks.nothing:score"), "there is no module 'pipelines.tasks.nothing'"),
    ],
)
def test_a_name_that_is_unknown_has_its_near_miss(call, said):
    """One sentence, with what exists."""
    with pytest.raises(DeclarationError) as caught:
        call()
    assert said in str(caught.value)


def test_a_name_that_resembles_nothing_has_only_the_list():
    """No wild guesses."""
    assert unknown("job", "zzz", ["a"]) == "unknown job 'zzz'. Known: a."


def test_a_short_name_that_two_tables_share_is_refused():
    """Both are named."""
    with pytest.raises(DeclarationError, match=r"several schemas: say flight_delay_bronze\.weather or"):
        registry.use_case("flight_delay").table("weather")


def table(**changes):
    """A small table, changed as asked."""
    given = {
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
def test_a_declaration_that_cannot_be_right_is_refused_where_it_is_made(make, said):
    """What, where, what was got."""
    with pytest.raises(DeclarationError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["a__b", "a_", "_a", "a___", "", "2a", "A", "a-b", "a.b", "a b", "a\n", "ä", "a" * 64])
def test_a_name_that_would_become_another_on_the_way_to_the_cloud_is_refused(name):
    """Addresses keep one of several underscores and none at the end, so two use cases would get one address."""
    with pytest.raises(DeclarationError) as caught:
        require_identifier("use case", name)
    allowed = "use 1 to 63 of a-z, 0-9 and single '_' between them, beginning with a letter."
    assert str(caught.value) == f"use case {name!r} is not a name: {allowed}"


@pytest.mark.parametrize("name", ["a", "a_b", "a1_2b", "a2", "a" * 63, "a_" * 31 + "b"])
def test_a_name_of_single_words_is_taken_up_to_its_longest(name):
    """One letter is enough, 63 characters are not too many."""
    require_identifier("use case", name)


@pytest.mark.parametrize("name", [*RESERVED, "class", "a__b"])
def test_a_use_case_written_by_hand_may_bear_no_name_that_means_something_else(name):
    """What `pipelines new` refuses is refused in every declaration."""
    with pytest.raises(DeclarationError, match=re.escape(repr(name))):
        dataclasses.replace(registry.use_case("flight_delay"), name=name)


def step(name, after=(), **changes):
    """A task that is never run."""
    return Task(key=name, entry="m:f", description="", after=after, **changes)


def parameter(name: str, default: str = "") -> Parameter:
    """A parameter that is a text."""
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
def test_a_job_whose_tasks_do_not_fit_together_is_refused(tasks, said):
    """Order, outcomes and parameters are checked when the job is declared."""
    with pytest.raises(DeclarationError) as caught:
        Job(use_case="trial", name="j", description="", tasks=tasks)
    assert said in str(caught.value)


def test_code_passes_from_dev_to_staging_to_prod():
    """Each environment receives from the one before."""
    assert [e.receives_from for e in ENVIRONMENTS.values()] == [None, "dev", "staging"]


def test_a_folder_and_its_use_case_bear_one_name(monkeypatch):
    """A copied folder that kept the old name is found out."""
    registry.use_cases.cache_clear()
    declaration = importlib.import_module("pipelines.use_cases.flight_delay.declaration")
    monkeypatch.setattr(declaration, "USE_CASE", type("UseCase", (), {"name": "other"}))
    with pytest.raises(DeclarationError, match="calls itself 'other'"):
        registry.use_cases()
    monkeypatch.undo()
    registry.use_cases.cache_clear()


def test_the_context_is_frozen():
    """No task changes what the next one is given."""
    assert Context.__dataclass_params__.frozen
