"""Jobs as values: Terraform deploys them, the local runner runs them, the documentation lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

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


class Kind(StrEnum):
    """What the text of a parameter stands for; checked and converted before anything runs."""

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
        What the text stands for. An empty instant is None: the task finds it itself.
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


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a job starts by itself: a Quartz cron expression (seconds first), as Databricks takes it."""

    cron: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if len(self.cron.split()) not in (6, 7):
            raise DeclarationError(f"schedule {self.cron!r} is not a Quartz expression: give 6 or 7 fields.")


@dataclass(frozen=True, kw_only=True)
class Task:
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
        Addresses (``schema.name``) of the declared tables and models; grants and lineage derive from them.
    after
        Keys of the tasks that must have succeeded; ``key:true`` or ``key:false`` for the outcome of a condition.
    retries
        How often a failed attempt is repeated.
    """

    key: str
    entry: str
    description: str
    parameters: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    retries: int = 1
    timeout_minutes: int = 60

    def __post_init__(self) -> None:
        require_identifier("task", self.key)
        if self.entry.count(":") != 1:
            raise DeclarationError(f"task {self.key!r}: entry {self.entry!r} is not 'package.module:function'.")
        if self.retries < 0 or self.timeout_minutes <= 0:
            raise DeclarationError(f"task {self.key!r}: retries must be 0 or more and timeout_minutes above 0.")


@dataclass(frozen=True, kw_only=True)
class ConditionTask:
    """A fork: compares a value that an earlier task returned with a constant."""

    key: str
    description: str
    task: str
    value: str
    operator: Operator
    right: str
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_identifier("task", self.key)


@dataclass(frozen=True, kw_only=True)
class RunJobTask:
    """Runs another job of the same use case with the given parameters, which may name a task's value.

    A parameter's text may hold ``{{tasks.<key>.values.<name>}}`` or ``{{job.parameters.<name>}}``, the references
    that Databricks resolves; the local runner resolves the same ones.
    """

    key: str
    description: str
    job: str
    parameters: Mapping[str, str]
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_identifier("task", self.key)


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
    """

    use_case: str
    name: str
    description: str
    tasks: tuple[AnyTask, ...]
    parameters: tuple[Parameter, ...] = ()
    size: Size = Size.SMALL
    schedule: Schedule | None = None
    timeout_minutes: int = 120
    expected_minutes: int = 30

    def __post_init__(self) -> None:
        require_identifier("job", self.name)
        require_unique("task", f"job {self.address}", [task.key for task in self.tasks])
        require_unique("parameter", f"job {self.address}", [parameter.name for parameter in self.parameters])
        earlier: set[str] = set()
        for task in self.tasks:
            self._check_task(task, earlier)
            earlier.add(task.key)

    def _check_task(self, task: AnyTask, earlier: set[str]) -> None:
        where = f"job {self.address}, task {task.key!r}"
        for name in task.after:
            key, _, outcome = name.partition(":")
            if key not in earlier:
                raise DeclarationError(f"{where}: {unknown('earlier task', key, earlier)}")
            if bool(outcome) != isinstance(self.task(key), ConditionTask) or outcome not in ("", "true", "false"):
                raise DeclarationError(
                    f"{where}: after {name!r} must be a task's key, or a condition's ':true'/':false'."
                )
        if isinstance(task, ConditionTask) and task.task not in earlier:
            raise DeclarationError(f"{where}: {unknown('earlier task', task.task, earlier)}")
        if isinstance(task, Task):
            declared = [parameter.name for parameter in self.parameters]
            for name in task.parameters:
                if name not in declared:
                    raise DeclarationError(f"{where}: {unknown('parameter', name, declared)}")

    @property
    def address(self) -> str:
        """``<use case>.<job>``, the name by which people and the command line call the job."""
        return f"{self.use_case}.{self.name}"

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
