"""The guide to deployed environments: its commands are accepted, and the errors that it quotes are in the code."""

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.catalog import RegisteredModelAlias, RegisteredModelInfo
from databricks.sdk.service.jobs import Run, RunStatus

from pipelines import __main__ as command_line
from pipelines.command_line.program import parsed
from pipelines.commands.run import parameters_of
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import job, use_case
from pipelines.execution.parameters import resolve
from pipelines.remote import connection
from tests.documented_commands import LOOPBACK, lines_of
from tests.pipelines.remote.deployed import FAILED, RUNNING, SUCCEEDED, deployed_jobs, snapshot, task
from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace, VirtualClock

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LINES = [
    line.strip()
    for block in re.findall(r"```bash\n(.*?)```", GUIDE, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
OURS = [line for line in LINES if line.startswith(".venv/bin/python -m pipelines ")]
EARLIER = "815"
"""The run of training that the page goes on with."""
STARTED = {"backfill": ["features", "scoring", "monitoring"], "promote": ["delivery"], "rollback": ["rollback"]}
"""Command to the jobs that it starts; `run` starts the one that it names."""


def test_the_guide_has_commands() -> None:
    """The search finds our commands; all others are `export` and `az`."""
    assert len(OURS) > 10
    assert {line.split()[0] for line in LINES if line not in OURS} <= {"export", "az"}


@pytest.mark.parametrize("line", OURS)
def test_every_command_is_accepted_with_its_options(line: str) -> None:
    """The command line parses each command; its names, parameters and tasks exist."""
    words = shlex.split(line)[3:]
    arguments = parsed(command_line.PROGRAM, words)
    assert environment(arguments["env"])
    if words[0] == "run":
        declared = job(arguments["job"])
        assert set(resolve(declared, parameters_of(arguments["parameters"]))) == {p.name for p in declared.parameters}
        assert all(
            declared.task(key) for key in f"{arguments['only'] or ''},{arguments['skip'] or ''}".split(",") if key
        )
        assert arguments["remote"]
    if arguments.get("use_case"):
        assert use_case(arguments["use_case"])


@pytest.mark.parametrize("line", [line for _, line in lines_of(LOOPBACK)])
def test_a_documented_command_follows_what_it_starts_to_its_end(
    line: str, logged_in: LoopbackWorkspace, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As written on its page: the deployed jobs are started in their order, or the earlier run is followed or repaired."""
    command, about, *rest = shlex.split(line.replace(".venv/bin/mlops", ".venv/bin/python -m pipelines"))[3:]
    where = next(value for option, value in pairwise(rest) if option in ("--env", "--to"))
    declared, held = use_case(about.partition(".")[0]), logged_in.held
    held.jobs, held.catalogs = deployed_jobs(where, jobs_of=declared), {where}
    monkeypatch.setattr(connection, "RealClock", lambda: clock)
    names = {one.job_id: one.settings.name for one in held.jobs if one.settings}
    model, started = f"{where}.{declared.model.address}", list[str]()
    held.models[model] = _champion(model, 2)
    if "--run-id" in rest:
        begun = RUNNING if "--cancel-on-interrupt" in rest else FAILED
        held.runs[int(EARLIER)] = _states(int(EARLIER), about, names, begun)

    def start(job_id: int, _body: Mapping[str, Any]) -> int:
        started.append(names[job_id].partition(".")[2])
        run_id = 500 + len(started)
        held.runs[run_id] = _states(run_id, names[job_id], names, RUNNING)
        held.models[model] = _champion(model, 3 if command == "promote" else 1)
        return run_id

    logged_in.start_job = start
    assert command_line.main([command, about, *rest]) == 0
    own = [] if "--run-id" in rest else [about.partition(".")[2]]
    assert started == STARTED.get(command, own)
    assert len(logged_in.bodies("runs/repair")) == ("--run-id" in rest and "--cancel-on-interrupt" not in rest)


def _champion(model: str, number: int) -> RegisteredModelInfo:
    alias = RegisteredModelAlias(alias_name="champion", version_num=number)
    return RegisteredModelInfo(full_name=model, aliases=[alias])


def _states(run_id: int, name: str, names: Mapping[int, str], begun: RunStatus) -> list[Run]:
    """Return the states of a run of a job, from one in which every task is up to its success."""
    number = next(number for number, known in names.items() if known == name)
    keys = [one.key for one in job(name).tasks]
    return [
        snapshot(run_id, now, *(task(key, place, now) for place, key in enumerate(keys, 1)), job=name, job_id=number)
        for now in (begun, RUNNING, SUCCEEDED)
    ]


def test_every_error_that_the_guide_quotes_is_in_the_code() -> None:
    """Names of environments, numbers and `…` in a quoted sentence match any value; all other words must be equal."""
    quoted = re.findall(
        r"^\| ([^|`]+?) \| ", GUIDE.partition("## When a command refuses")[2].partition("\n## ")[0], flags=re.MULTILINE
    )[1:]
    code = " ".join(" ".join(path.read_text().split()) for path in (ROOT / "pipelines" / "remote").glob("*.py"))
    said = re.sub(r'" f?"|\{[^{}]*(\{[^{}]*\})*[^{}]*\}|f"', "", code)
    assert len(quoted) > 7
    for cell in quoted:
        for sentence in cell.split(" / "):
            parts = re.split(r"staging's|staging|prod|…|\b\d+\b", sentence)
            for part in (part.strip(" :,'") for part in parts):
                assert re.sub(r"\s+", " ", part) in re.sub(r"\s+", " ", said), f"{part!r} of {sentence!r}"
