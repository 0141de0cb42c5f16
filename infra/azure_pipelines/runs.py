"""A run of a pipeline, played without Azure DevOps: which stages, jobs and steps run, with which commands.

A performer carries commands out. Without one a scenario says which steps fail, during which job the run is cancelled, and
what output variables steps set; everything else, such as a condition, is evaluated as the documentation says. A condition
that reads a stage it does not depend on, an output that no step sets, a variable that nobody gives: each is an error, where
the service would silently see null.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.azure_pipelines.expressions import ExpressionError, Known, Scope, as_text, evaluate, is_true
from infra.azure_pipelines.played import (
    GOOD,
    PUBLISH,
    Performer,
    PlayedJob,
    PlayedStep,
    Scenario,
    StageRun,
    StepOutcome,
    published,
)
from infra.azure_pipelines.shape import (
    JOB_WORDS,
    STAGE_WORDS,
    STEP_KINDS,
    STEP_WORDS,
    RunError,
    allows,
    job_name,
    needs_of,
    only,
    step_title,
    steps_of,
)  # fmt: skip

MACRO = re.compile(r"\$\(([A-Za-z_][\w.]*)\)")
SET_HERE = re.compile(r"##vso\[task\.setvariable variable=(\w+)\](\w*)")
"""In a command that sets a variable for the steps after it in its job: its name, and its value where that is a word."""
RUNTIME = re.compile(r"\$\[(.*)\]", re.DOTALL)


def play(
    pipeline: Mapping[str, Any], scenario: Scenario, performer: Performer | None = None,
    earlier: Mapping[str, StageRun] | None = None, *, repeats_dependents: bool = False,
) -> dict[str, StageRun]:  # fmt: skip
    """Play a run and return its stages, in order.

    Parameters
    ----------
    pipeline
        Expanded.
    scenario
        What happens.
    performer
        Carries the steps out; then they fail and set variables as they do.
    earlier
        The attempt before: its failed jobs are run again, and what depends on them. What succeeded stays as it was, with its
        outputs and its artifacts, https://learn.microsoft.com/azure/devops/pipelines/process/stages.
    repeats_dependents
        Whether a job that succeeded is run again with a failed one that it depends on. The documentation does not say.
    """
    return _Play(pipeline, scenario, performer, earlier or {}, repeats_dependents=repeats_dependents).play()


class _Play:
    def __init__(
        self, pipeline: Mapping[str, Any], scenario: Scenario, performer: Performer | None,
        earlier: Mapping[str, StageRun], *, repeats_dependents: bool,
    ) -> None:  # fmt: skip
        self._pipeline, self._scenario, self._performer = pipeline, scenario, performer
        self._earlier, self._repeats = earlier, repeats_dependents
        self._kept = scenario.kept | published(earlier)
        self._stages: dict[str, StageRun] = {}
        self._canceled = False

    def play(self) -> dict[str, StageRun]:
        titles = {
            f"{stage['stage']}.{job_name(job)}.{step_title(step)}"
            for stage in self._pipeline["stages"]
            for job in stage["jobs"]
            for step in steps_of(job)
        }
        places = {title.rpartition(".")[0] for title in titles}
        cancelled = {self._scenario.cancelled_in} - places - {""}
        named = self._scenario.failing | self._scenario.warning | cancelled
        if named - titles:
            raise RunError(f"no step is called {', '.join(named - titles)}.")
        stages = {stage["stage"] for stage in self._pipeline["stages"]}
        unknown = (self._scenario.timed_out | self._scenario.rejected) - stages
        if unknown:
            raise RunError(f"no stage is called {', '.join(unknown)}.")
        shared = self._resolved(self._pipeline.get("variables", []), {}, self._given(), "the pipeline")
        before: tuple[str, ...] = ()
        for raw in self._pipeline["stages"]:
            only(raw, STAGE_WORDS, "stage")
            stage = StageRun(name=raw["stage"], raw=raw, needs=needs_of(raw, before))
            missing = [name for name in stage.needs if name not in self._stages]
            if missing:
                raise RunError(f"stage {stage.name} depends on {', '.join(missing)}, which does not stand before it.")
            contexts = {"dependencies": Known({name: self._told(name) for name in stage.needs})}
            results = [self._stages[name].result for name in self._ancestors(stage.needs)]
            due = self._holds(
                raw.get("condition", "succeeded()"), shared, contexts, results, f"stage {stage.name}", of_stage=True
            )
            before = (stage.name,)
            if stage.name in self._earlier and self._earlier[stage.name].result in GOOD:
                self._stages[stage.name] = self._earlier[stage.name]
                continue
            self._stages[stage.name] = stage
            if due and stage.name in self._scenario.rejected:
                stage.result = "Failed"
            elif due and stage.name not in self._scenario.timed_out and self._begins(stage):
                self._play_jobs(stage, shared)
                stage.result = _stage_result(stage)
            if self._performer is not None:
                self._performer.end_stage(stage)
        return self._stages

    def _begins(self, stage: StageRun) -> bool:
        return self._performer is None or self._performer.begin_stage(stage.name, stage.raw)

    def _play_jobs(self, stage: StageRun, shared: Mapping[str, str]) -> None:
        of_stages = {name: _of_stage(self._stages[name]) for name in stage.needs}
        earlier = self._earlier[stage.name].jobs if stage.name in self._earlier else {}
        for raw in stage.raw["jobs"]:
            only(raw, JOB_WORDS, "job")
            job = PlayedJob(name=job_name(raw), raw=raw)
            needs = needs_of(raw, ())
            if job.name in earlier and earlier[job.name].result in GOOD and not self._repeated(stage, needs, earlier):
                stage.jobs[job.name] = earlier[job.name]
                continue
            contexts = {
                "dependencies": Known({name: _of_job(stage.jobs[name]) for name in needs}),
                "stageDependencies": Known(of_stages),
            }
            where = f"{stage.name}.{job.name}"
            results = [
                stage.jobs[name].result for name in _closure(needs, lambda name: needs_of(stage.jobs[name].raw, ()))
            ]
            if self._holds(raw.get("condition", "succeeded()"), shared, contexts, results, where):
                variables = self._resolved(raw.get("variables", []), contexts, dict(shared), where)
                self._play_steps(job, where, variables)
            stage.jobs[job.name] = job

    def _repeated(self, stage: StageRun, needs: tuple[str, ...], earlier: Mapping[str, PlayedJob]) -> bool:
        """Return whether a job runs again because one that it depends on has."""
        return self._repeats and any(stage.jobs[name] is not earlier.get(name) for name in needs)

    def _play_steps(self, job: PlayedJob, where: str, variables: Mapping[str, str]) -> None:
        status, cancelled = "Succeeded", self._scenario.cancelled_in == where
        self._canceled = self._canceled or cancelled
        for raw in steps_of(job.raw):
            only(raw, STEP_WORDS, "step")
            step = f"{where}.{step_title(raw)}"
            condition = raw.get("condition", "succeeded()")
            now = "Canceled" if cancelled else status
            if not self._holds(condition, variables, {}, [now], step):
                continue
            job.steps.append(_filled(raw, variables, step))
            if self._scenario.cancelled_in == step:
                # The agent asks again: a step whose condition does not hold any more is stopped, another one goes on.
                self._canceled = cancelled = True
                if not self._holds(condition, variables, {}, ["Canceled"], step):
                    job.steps[-1] = replace(job.steps[-1], stopped=True)
                    continue
            outcome = self._outcome(job, step, where, variables)
            variables = {**variables, **outcome.variables, **_note_outputs(job, raw, outcome.outputs)}
            if step in self._scenario.warning and status in GOOD:
                status = "SucceededWithIssues"
            if outcome.failed:
                status = "SucceededWithIssues" if raw.get("continueOnError") is True and status in GOOD else "Failed"
        job.result = "Canceled" if cancelled else status

    def _given(self) -> dict[str, str]:
        """Return the variables of the service, with the number of the attempt."""
        return {**self._scenario.variables, "System.JobAttempt": str(self._attempt)}

    @property
    def _attempt(self) -> int:
        return max(self._scenario.attempt, 2) if self._earlier else self._scenario.attempt

    def _is_kept(self, step: PlayedStep) -> bool:
        """Return whether a step publishes an artifact that is there already, which the service refuses."""
        return step.raw.get("task") == PUBLISH and bool(self._kept & set(step.text.splitlines()))

    def _outcome(self, job: PlayedJob, step: str, where: str, variables: Mapping[str, str]) -> StepOutcome:
        """Return what a step has come to, as the performer found it or the scenario says."""
        done = job.steps[-1]
        if self._performer is not None:
            return self._performer.perform(where, done, variables)
        outputs = self._scenario.outputs.get(f"{where}.{done.raw['name']}", {}) if "name" in done.raw else {}
        found = SET_HERE.findall(done.text)
        own = {name: word or f"<{name}>" for name, word in found if allows(done.raw, "setvariable", name)}
        return StepOutcome(failed=step in self._scenario.failing or self._is_kept(done), outputs=outputs, variables=own)

    def _told(self, name: str) -> Mapping[str, Any]:
        """Return what a condition of a later stage sees of a stage."""
        stage = self._stages[name]
        outputs = {f"{job.name}.{key}": value for job in stage.jobs.values() for key, value in job.outputs.items()}
        return Known(result=stage.result, outputs=Known(outputs) if stage.result in GOOD else outputs)

    def _ancestors(self, needs: tuple[str, ...]) -> list[str]:
        return _closure(needs, lambda name: self._stages[name].needs)

    def _holds(
        self, condition: Any, variables: Mapping[str, str], contexts: Mapping[str, Any], results: list[str], where: str,
        *, of_stage: bool = False,
    ) -> bool:  # fmt: skip
        """Return whether a condition holds after some results; that of a stage also asks whether the run is cancelled."""
        good = all(result in GOOD for result in results) and not (of_stage and self._canceled)
        functions = {
            "succeeded": lambda: good,  # of what was before; what was cancelled did not succeed
            "failed": lambda: "Failed" in results,
            "succeededOrFailed": lambda: not self._canceled,
            "canceled": lambda: self._canceled,
            "always": lambda: True,
        }
        scope = Scope(names={"variables": Known(variables), **contexts}, functions=functions)
        try:
            return is_true(evaluate(as_text(condition), scope))
        except ExpressionError as error:
            raise RunError(f"{where}: {error}") from error

    def _resolved(
        self, stated: list[Mapping[str, str]], contexts: Mapping[str, Any], known: dict[str, str], where: str
    ) -> dict[str, str]:
        for variable in stated:
            only(variable, {"name", "value"}, "variable")
            value = variable["value"]
            runtime = RUNTIME.fullmatch(value)
            if runtime:
                scope = Scope(names={"variables": Known(known), **contexts}, functions={})
                try:
                    value = as_text(evaluate(runtime.group(1), scope))
                except ExpressionError as error:
                    raise RunError(f"{where}, variable {variable['name']}: {error}") from error
            known[variable["name"]] = _with_variables(value, known, where)
        return known


def _note_outputs(job: PlayedJob, raw: Mapping[str, Any], outputs: Mapping[str, str]) -> Mapping[str, str]:
    """Keep what a step sets for later jobs, and return it as the steps after it see it."""
    if "name" not in raw:
        return {}
    prefix = f"{job.name}." if "deployment" in job.raw else ""
    found = {f"{raw['name']}.{variable}": value for variable, value in outputs.items()}
    job.outputs |= {f"{prefix}{key}": value for key, value in found.items()}
    return found


def _of_job(job: PlayedJob) -> Mapping[str, Any]:
    """Return what an expression sees of a job; what a job that did not run would have set is null."""
    return Known(result=job.result, outputs=Known(job.outputs) if job.result in GOOD else job.outputs)


def _of_stage(stage: StageRun) -> Mapping[str, Any]:
    """Return the jobs of an earlier stage; those of one that was skipped or rejected are null."""
    jobs = {name: _of_job(job) for name, job in stage.jobs.items()}
    return Known(jobs) if jobs else jobs


def _filled(raw: Mapping[str, Any], variables: Mapping[str, str], where: str) -> PlayedStep:
    texts = [str(raw[kind]) for kind in STEP_KINDS if kind in raw and kind in ("bash",)]
    texts += [f"{value}" for value in raw.get("inputs", {}).values()]
    env = {name: _with_variables(str(value), variables, where) for name, value in raw.get("env", {}).items()}
    text = _with_variables("\n".join(texts), variables, where)
    return PlayedStep(title=_with_variables(step_title(raw), variables, where), text=text, env=env, raw=raw)


def _with_variables(text: str, variables: Mapping[str, str], where: str) -> str:
    def value(found: re.Match[str]) -> str:
        if found.group(1) not in variables:
            raise RunError(f"{where}: nobody gives the variable $({found.group(1)}).")
        return variables[found.group(1)]

    return MACRO.sub(value, text)


def _stage_result(stage: StageRun) -> str:
    results = {job.result for job in stage.jobs.values()} - {"Skipped"}
    if not results:
        raise RunError(f"stage {stage.name} runs and every job of it is skipped, which is not known here.")
    order = ("Canceled", "Failed", "SucceededWithIssues", "Succeeded")
    return next(result for result in order if result in results)


def _closure(names: tuple[str, ...], before: Any) -> list[str]:
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in found:
            found[name] = None
            for earlier in before(name):
                visit(earlier)

    for name in names:
        visit(name)
    return list(found)
