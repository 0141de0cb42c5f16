"""The orchestrator notebook calls the entry point of the deployed jobs, stage by stage, and holds no logic."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import pipelines.__main__
from infra.constructs.use_case.jobs import entry_arguments
from infra.constructs.use_case.notebooks import HEADER, orchestrator, switches
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase

USE_CASE = use_cases()[0]


class Widgets:
    """The widgets of a notebook: remembers what was offered, gives what a person chose."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        self.values: dict[str, str] = {}
        self.chosen = chosen

    def text(self, name: str, default: str) -> None:
        """Offer a field for text."""
        self.values[name] = self.chosen.get(name, default)

    def dropdown(self, name: str, default: str, choices: list[str]) -> None:
        """Offer a choice; what is chosen must be offered."""
        assert default in choices
        self.text(name, default)
        assert self.values[name] in choices

    def get(self, name: str) -> str:
        """Return what stands in a widget."""
        return self.values[name]


class Library:
    """What a notebook does with Python itself."""

    restarts = 0

    def restartPython(self) -> None:
        """Forget what was imported; here it is only counted."""
        self.restarts += 1


class Dbutils:
    """The two parts of Databricks' utilities that the notebook uses."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        self.widgets, self.library = Widgets(chosen), Library()


def run(text: str, chosen: Mapping[str, str]) -> Dbutils:
    """Execute a notebook's Python cells in order, as Databricks does; magic cells are comments."""
    utilities = Dbutils(chosen)
    namespace: dict[str, Any] = {"dbutils": utilities}
    for cell in text.split("# COMMAND ----------"):
        exec(compile(cell, "orchestrator", "exec"), namespace)  # noqa: S102 - the product's own notebook
    return utilities


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the notebook asks of the entry point."""
    asked: list[list[str]] = []
    monkeypatch.setattr(pipelines.__main__, "main", lambda arguments: asked.append(arguments) or 0)
    return asked


def notebook(use_case: UseCase = USE_CASE, **changes: str) -> str:
    """Return the notebook of dev."""
    return orchestrator(
        use_case,
        **{
            "environment": "dev",
            "wheel_path": "/Volumes/dev/x.whl",
            "requirements_path": "/Volumes/dev/r.txt",
            **changes,
        },
    )


def test_the_notebook_runs_a_task_for_real_and_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the embedded engine, through the real entry point: one stage on, a window of one day, rows arrive."""
    monkeypatch.chdir(tmp_path)
    chosen = {"features.ingest": "on", "since": "2013-01-01", "until": "2013-01-02"}
    run(notebook(engine="embedded"), chosen)
    assert "ingest: succeeded" in capsys.readouterr().out
    assert list((tmp_path / "lakehouse").rglob("_delta_log"))


def test_a_stage_that_fails_stops_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exit code of the entry point, and without the stages after it."""
    asked: list[list[str]] = []
    monkeypatch.setattr(pipelines.__main__, "main", lambda arguments: asked.append(arguments) or 1)
    chosen = {"features.ingest": "on", "features.build_features": "on"}
    with pytest.raises(AssertionError, match=rf"{USE_CASE.name}\.features ingest ended with exit code 1"):
        run(notebook(), chosen)
    assert len(asked) == 1


def test_nothing_runs_unless_it_is_turned_on(calls: list[list[str]]) -> None:
    """Opening the notebook and running all of it does nothing."""
    utilities = run(notebook(), {})
    assert calls == []
    assert utilities.library.restarts == 1


@pytest.mark.parametrize("use_case", use_cases(), ids=lambda use_case: use_case.name)
def test_every_task_of_every_job_is_a_cell_with_its_switch(use_case: UseCase, calls: list[list[str]]) -> None:
    """Each calls what the deployed job calls, in the order of the job, with the widgets' values."""
    stages = list(switches(use_case))
    run(notebook(use_case), {switch: "on" for switch, _, _ in stages} | {"since": "2013-05-01"})
    for call, (_, job, task) in zip(calls, stages, strict=True):
        deployed = [word for word in entry_arguments(job, task, "dev") if word not in ("--run-id", "{{job.run_id}}")]
        values = {p.name: "2013-05-01" if p.name == "since" else p.default for p in job.parameters}
        expected = [resolved(word, values.get) for word in deployed]
        assert call == expected


def resolved(word: str, value: Callable[[str], str | None]) -> str:
    """Return a deployed argument with the run's value where Databricks would put it."""
    name, _, reference = word.partition("=")
    return f"{name}={value(name)}" if reference.startswith("{{job.parameters.") else word


def test_the_notebook_installs_the_wheel_that_the_jobs_run(estate: Mapping[str, Stack]) -> None:
    """In every environment its own volume, the same file."""
    for environment in ("dev", "staging", "prod"):
        stack = estate[f"{environment}-workspace"]
        encoded = stack.resources["databricks_notebook.flight_delay_orchestrator"].arguments["content_base64"]
        text = base64.b64decode(encoded).decode()
        assert text.startswith(HEADER)
        wheel = stack.resources["databricks_file.wheel"].arguments["path"].rpartition("/")[2]
        assert f"# MAGIC %pip install --quiet /Volumes/{environment}/deployment/releases/{wheel}" in text
        assert f'"--env", "{environment}", "--engine", "databricks"' in text
