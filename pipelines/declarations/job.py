"""Jobs as values: Terraform deploys them, the local runner runs them, the documentation lists them.

A task is declared in one place: its code, its parameters, what it reads and writes, what it waits for. Everything but
the code is a reference to the value itself; the code is named as text, because importing it would load an engine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from pipelines.declarations.asset import Model, Table
from pipelines.declarations.mistakes import DeclarationError, require_identifier, require_unique, unknown


class Size(StrEnum):
    """How much compute a job asks for; an environment's settings say what that means in nodes."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Operator(StrEnum):
    """How a condition compares; the values are those of the Databricks Jobs API."""

    EQUAL_TO = "EQUAL_TO"
    NOT_EQUAL = "NOT_EQUAL"


class RunIf(StrEnum):
    """What the tasks before a task must have come to; the values are those of the Databricks Jobs API.

    ``AT_LEAST_ONE_SUCCESS``: one of them is enough, whatever became of the others; if all failed, the task does not run.
    """

    ALL_SUCCESS = "ALL_SUCCESS"
    AT_LEAST_ONE_SUCCESS = "AT_LEAST_ONE_SUCCESS"


class Kind(StrEnum):
    """What the text of a parameter means; checked and converted before anything runs."""

    TEXT = "text"
    INSTANT = "instant"
    WHOLE = "whole number"
    FRACTION = "fraction"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a job: given as text on every engine, read by the tasks that name it.

    Attributes
    ----------
    kind
        What the text means. An empty instant is None: the task finds it itself.
    default
        The text used when a run does not give it; empty where the task finds the value itself.
    choices
        The only values allowed; empty for free text.
    """

    name: str
    default: str
    description: str
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_identifier("parameter", self.name)
        if self.choices and self.default not in self.choices:
            raise DeclarationError(f"parameter {self.name!r}: {unknown('default', self.default, self.choices)}")

    @property
    def reference(self) -> str:
        """The text that Databricks replaces by the value that a run is given."""
        return f"{{{{job.parameters.{self.name}}}}}"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a job starts by itself: a Quartz cron expression (seconds first), as Databricks takes it."""

    cron: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if len(self.cron.split()) not in (6, 7):
            raise DeclarationError(f"schedule {self.cron!r} is not a Quartz expression: give 6 or 7 fields.")


@dataclass(frozen=True, kw_only=True)
class After:
    """An earlier task that must have succeeded, unless another one is enough.

    Attributes
    ----------
    outcome
        What the earlier task must have answered, if it is a condition; None if it is not.
    """

    task: "AnyTask"
    outcome: bool | None = None

    def __str__(self) -> str:
        return self.task.key if self.outcome is None else f"{self.task.key}:{str(self.outcome).lower()}"


@dataclass(frozen=True, kw_only=True)
class _OrderedTask:
    """What every task of a job has: a key, a description and the tasks that it waits for.

    Attributes
    ----------
    after
        The tasks that must have succeeded; of a condition, its `ConditionTask.if_true` or `ConditionTask.if_false`.
    run_if
        Whether all of them must, or one is enough.
    """

    key: str
    description: str
    after: tuple["AnyTask | After", ...] = ()
    run_if: RunIf = RunIf.ALL_SUCCESS

    def __post_init__(self) -> None:
        require_identifier("task", self.key)

    @property
    def dependencies(self) -> tuple[After, ...]:
        """The tasks that it waits for, each with the outcome that it needs."""
        return tuple(one if isinstance(one, After) else After(task=one) for one in self.after)


@dataclass(frozen=True, kw_only=True)
class Task(_OrderedTask):
    """One call of our code.

    Attributes
    ----------
    entry
        ``package.module:function``; the function takes the run's context and one keyword per parameter.
    parameters
        The job parameters that the function reads, each a keyword of the function.
    arguments
        Fixed keywords of the function, for a function that several tasks share.
    reads, writes
        The declared tables and models; grants and lineage derive from them.
    retries
        How often a failed attempt is repeated.
    """

    entry: str
    parameters: tuple[Parameter, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reads: tuple[Table | Model, ...] = ()
    writes: tuple[Table | Model, ...] = ()
    retries: int = 1
    timeout_minutes: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.entry.count(":") != 1:
            raise DeclarationError(f"task {self.key!r}: entry {self.entry!r} is not 'package.module:function'.")
        if self.retries < 0 or self.timeout_minutes <= 0:
            raise DeclarationError(f"task {self.key!r}: retries must be 0 or more and timeout_minutes above 0.")

    @property
    def keywords(self) -> tuple[str, ...]:
        """The names of the parameters that the function reads."""
        return tuple(parameter.name for parameter in self.parameters)

    def value(self, name: str) -> "TaskValue":
        """Return a reference to a value that the task returns."""
        return TaskValue(task=self, name=name)


@dataclass(frozen=True, kw_only=True)
class TaskValue:
    """A text that a task returned, for the tasks after it."""

    task: Task
    name: str

    @property
    def reference(self) -> str:
        """The text that Databricks replaces by the value."""
        return f"{{{{tasks.{self.task.key}.values.{self.name}}}}}"


@dataclass(frozen=True, kw_only=True)
class ConditionTask(_OrderedTask):
    """A fork: compares a value that an earlier task returned with a constant."""

    value: TaskValue
    operator: Operator
    right: str

    @property
    def if_true(self) -> After:
        """The dependency of a task that runs if the comparison holds."""
        return After(task=self, outcome=True)

    @property
    def if_false(self) -> After:
        """The dependency of a task that runs if the comparison does not hold."""
        return After(task=self, outcome=False)


@dataclass(frozen=True, kw_only=True)
class RunJobTask(_OrderedTask):
    """Runs another job of the same use case.

    Attributes
    ----------
    parameters
        Name of a parameter of that job to what it is given: a parameter of this job, or a value of an earlier task.
    """

    job: "Job"
    parameters: Mapping[str, Parameter | TaskValue]


AnyTask = Task | ConditionTask | RunJobTask


@dataclass(frozen=True, kw_only=True)
class Job:
    """A set of tasks with an order, as deployed and as run on a laptop.

    Attributes
    ----------
    name
        The job's name within its use case, for example ``training``; `address` is its name everywhere else.
    tasks
        Every task after those it depends on.
    continuous
        Whether Databricks starts the next run when one has ended. Such a job has no schedule, one task and no retries: it has
        neither dependencies nor a retry policy (https://learn.microsoft.com/azure/databricks/jobs/continuous).
    """

    use_case: str
    name: str
    description: str
    tasks: tuple[AnyTask, ...]
    size: Size = Size.SMALL
    schedule: Schedule | None = None
    continuous: bool = False
    timeout_minutes: int = 120
    expected_minutes: int = 30

    def __post_init__(self) -> None:
        require_identifier("job", self.name)
        require_unique("task", f"job {self.address}", [task.key for task in self.tasks])
        self._check_continuous()
        self._check_parameters()
        earlier: dict[str, AnyTask] = {}
        for task in self.tasks:
            for mistake in _order_mistakes(task, earlier):
                raise DeclarationError(f"job {self.address}, task {task.key!r}: {mistake}")
            earlier[task.key] = task

    @property
    def address(self) -> str:
        """``<use case>.<job>``, the name by which people and the command line call the job."""
        return f"{self.use_case}.{self.name}"

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that its tasks read, each once, in the order of the tasks."""
        read = {parameter.name: parameter for task in self.tasks for parameter in _parameters_read(task)}
        return tuple(read.values())

    def task(self, key: str) -> AnyTask:
        """Return one task by its key.

        Raises
        ------
        DeclarationError
            If the job has no such task, with the nearest key.
        """
        for task in self.tasks:
            if task.key == key:
                return task
        raise DeclarationError(unknown(f"task of job {self.address}", key, [task.key for task in self.tasks]))

    def parameter(self, name: str) -> Parameter:
        """Return one parameter by its name.

        Raises
        ------
        DeclarationError
            If the job has no such parameter, with the nearest name.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise DeclarationError(unknown(f"parameter of job {self.address}", name, [p.name for p in self.parameters]))

    def _check_continuous(self) -> None:
        if not self.continuous:
            return
        if self.schedule is not None:
            raise DeclarationError(f"job {self.address}: it is continuous and has a schedule: keep one of the two.")
        if [getattr(task, "retries", 1) for task in self.tasks] != [0]:
            raise DeclarationError(f"job {self.address}: it is continuous: give it one task, with retries=0.")

    def _check_parameters(self) -> None:
        for parameter in (read for task in self.tasks for read in _parameters_read(task)):
            if parameter != self.parameter(parameter.name):
                raise DeclarationError(
                    f"job {self.address}: two tasks declare parameter {parameter.name!r} differently: keep one."
                )


def values_read(task: AnyTask) -> tuple[TaskValue, ...]:
    """Return the values of earlier tasks that a task needs to run."""
    if isinstance(task, ConditionTask):
        return (task.value,)
    if isinstance(task, RunJobTask):
        return tuple(given for given in task.parameters.values() if isinstance(given, TaskValue))
    return ()


def _parameters_read(task: AnyTask) -> tuple[Parameter, ...]:
    if isinstance(task, Task):
        return task.parameters
    if isinstance(task, RunJobTask):
        return tuple(given for given in task.parameters.values() if isinstance(given, Parameter))
    return ()


def _order_mistakes(task: AnyTask, earlier: Mapping[str, AnyTask]) -> Iterator[str]:
    """Yield what is wrong with the tasks that a task refers to: each must be an earlier one of the same job."""
    for needed in (*(after.task for after in task.dependencies), *(value.task for value in values_read(task))):
        if earlier.get(needed.key) != needed:
            yield unknown("earlier task", needed.key, earlier)
    for after in task.dependencies:
        if isinstance(after.task, ConditionTask) != (after.outcome is not None):
            yield f"after {str(after)!r} must be a task, or 'if_true' or 'if_false' of a condition."
    if isinstance(task, RunJobTask):
        known = [parameter.name for parameter in task.job.parameters]
        yield from (
            unknown(f"parameter of job {task.job.address}", n, known) for n in task.parameters if n not in known
        )
