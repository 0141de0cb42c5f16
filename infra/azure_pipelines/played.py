"""What a run of a pipeline is given and comes to: scenarios, and stages, jobs and steps with their results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

PUBLISH = "PublishPipelineArtifact@1"
GOOD = ("Succeeded", "SucceededWithIssues")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens.

    Attributes
    ----------
    variables
        Those that the service gives, such as ``Build.Reason``.
    outputs
        What steps set: ``stage.job.step`` to variables.
    failing
        Steps that fail: ``stage.job.display name``, as the file has it.
    warning
        Steps that end with a warning, by the same names: ``SucceededWithIssues`` in the words of the service.
    cancelled_in
        ``stage.job`` before whose first step somebody cancels the run, or ``stage.job.display name`` of the step during
        which that happens; empty for nobody.
    timed_out
        Stages whose approval or lock is not given in time: the service marks them as skipped.
    rejected
        Stages whose approval is refused, or another check of which does not hold: they fail, and none of their jobs runs.
    attempt
        How often every job has been started.
    kept
        The artifacts of earlier attempts: a step that publishes one of them again fails.
    """

    variables: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()
    warning: frozenset[str] = frozenset()
    cancelled_in: str = ""
    timed_out: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    attempt: int = 1
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PlayedStep:
    """A step that ran: what it is called, its text with every variable in its place, its environment, whether it was stopped."""

    title: str
    text: str
    env: Mapping[str, str]
    raw: Mapping[str, Any]
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What carrying a step out has come to: whether it failed, and the variables that it has set."""

    failed: bool = False
    outputs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


class Performer(Protocol):
    """Carries the steps of a run out."""

    def begin_stage(self, name: str, raw: Mapping[str, Any]) -> bool:
        """Return whether a stage begins: its approval is given, and its lock is free."""

    def end_stage(self, stage: "StageRun") -> None:
        """Take a stage that has ended, or that was skipped."""

    def perform(self, where: str, step: PlayedStep, variables: Mapping[str, str]) -> StepOutcome:
        """Carry a step out; ``stage.job`` says where it stands."""


@dataclass(kw_only=True)
class PlayedJob:
    """A job with its result and the steps that ran."""

    name: str
    raw: Mapping[str, Any]
    result: str = "Skipped"
    steps: list[PlayedStep] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class StageRun:
    """A stage with its result and its jobs."""

    name: str
    raw: Mapping[str, Any]
    needs: tuple[str, ...]
    result: str = "Skipped"
    jobs: dict[str, PlayedJob] = field(default_factory=dict)


def published(stages: Mapping[str, StageRun]) -> frozenset[str]:
    """Return the artifacts that the steps which ran have published."""
    steps = (step for stage in stages.values() for job in stage.jobs.values() for step in job.steps)
    return frozenset(step.text.splitlines()[0] for step in steps if step.raw.get("task") == PUBLISH)


def commands_of(stages: Mapping[str, StageRun]) -> Iterator[tuple[str, PlayedStep]]:
    """Yield every step that ran and has a command, with where it stands."""
    for stage in stages.values():
        for job in stage.jobs.values():
            for step in job.steps:
                if "bash" in step.raw or step.raw.get("task") == "AzureCLI@2":
                    yield f"{stage.name}.{job.name}", step
