"""The orchestrator notebook of a use case: a cell for each declared task, for people in the workspace.

It has no logic: every cell calls the entry point that the deployed job calls, with the same arguments. Widgets turn tasks
on and off and hold the parameters of the jobs.
"""

import json
from collections.abc import Iterator

from pipelines.declarations.job import Job, Parameter, Task
from pipelines.declarations.use_case import UseCase

HEADER = "# Databricks notebook source"
SEPARATOR = "\n\n# COMMAND ----------\n\n"
ON, OFF = "on", "off"


def orchestrator(
    use_case: UseCase, *, environment: str, wheel_path: str, requirements_path: str, engine: str = "databricks"
) -> str:
    """Return the notebook in Databricks' source format.

    Parameters
    ----------
    use_case
        The use case whose jobs it calls.
    environment
        The environment of the workspace.
    wheel_path, requirements_path
        The wheel to install and the versions of what it imports, which the deployed jobs run too.
    engine
        The engine of the tasks; with another one than ``databricks`` the notebook runs on a laptop.
    """
    cells = [
        _markdown(
            f"# {use_case.name}",
            use_case.description,
            "Each cell below is a task of a deployed job and calls what the job calls. The widgets say which run.",
        ),
        f"# MAGIC %pip install --quiet -r {requirements_path}",
        f"# MAGIC %pip install --quiet {wheel_path}",
        "dbutils.library.restartPython()",
        _widgets(use_case),
        _call(environment, engine),
    ]
    for job in use_case.jobs:
        cells.append(_markdown(f"## {job.name}", job.description))
        cells.extend(_cell(job, task) for task in job.tasks if isinstance(task, Task))
    return HEADER + "\n" + SEPARATOR.join(cells) + "\n"


def switches(use_case: UseCase) -> Iterator[tuple[str, Job, Task]]:
    """Yield the name of the widget that turns each task on, with its job and the task."""
    for job in use_case.jobs:
        for task in job.tasks:
            if isinstance(task, Task):
                yield f"{job.name}.{task.key}", job, task


def _markdown(*lines: str) -> str:
    return "\n".join(["# MAGIC %md", *(f"# MAGIC {line}" for line in lines)])


def _parameters(use_case: UseCase) -> list[Parameter]:
    """Return each parameter of the use case's jobs once; a name has the same meaning in all jobs."""
    found: dict[str, Parameter] = {}
    for job in use_case.jobs:
        for parameter in job.parameters:
            found.setdefault(parameter.name, parameter)
    return list(found.values())


def _widgets(use_case: UseCase) -> str:
    lines = [f'dbutils.widgets.dropdown("{switch}", "{OFF}", ["{ON}", "{OFF}"])' for switch, _, _ in switches(use_case)]
    for parameter in _parameters(use_case):
        if parameter.choices:
            choices, default = json.dumps(parameter.choices), json.dumps(parameter.default)
            lines.append(f'dbutils.widgets.dropdown("{parameter.name}", {default}, {choices})')
        else:
            lines.append(f'dbutils.widgets.text("{parameter.name}", {json.dumps(parameter.default)})')
    return "\n".join(lines)


def _call(environment: str, engine: str) -> str:
    return f'''from pipelines.__main__ import main


def stage(job, task, *parameters):
    """Run one task if its widget is on; a task that fails stops the notebook."""
    if dbutils.widgets.get(job.split(".")[1] + "." + task) == "{ON}":
        given = [word for name in parameters for word in ("--param", name + "=" + dbutils.widgets.get(name))]
        code = main(["task", job, task, "--env", "{environment}", "--engine", "{engine}", *given])
        assert code == 0, f"{{job}} {{task}} ended with exit code {{code}}"'''


def _cell(job: Job, task: Task) -> str:
    words = ", ".join(f'"{word}"' for word in (job.address, task.key, *task.keywords))
    return f"# {task.description}\nstage({words})"
