"""A team whose feed began in 2025 delivers: its integration runs, the commands of the pipeline and the report succeed.

Nothing that it runs knows the demonstration's data or its year.
"""

import re
import shlex
from pathlib import Path

import pytest

from infra.azure_pipelines.templates import expand
from pipelines.declarations.environment import ENVIRONMENTS
from tests.pipelines.integration.feed_of_2025 import write_feed, write_reader
from tests.pipelines.integration.repository_copy import EXAMPLES, ROOT, RepositoryCopy

NAME = "late_departures"
WINDOW = "trained on 44 days and evaluated on 26 days until 2025-06-10, 100% of the requests; scored until 2025-07-08"
PYTHON = ".venv/bin/python -m "


def make_use_case(repository: RepositoryCopy) -> None:
    """Make a use case as a team does: the command, then its own feed in the place of the template's."""
    repository.python("pipelines", "new", NAME, "--team", "revenue")
    write_feed(repository.folder / "feeds")
    write_reader(repository.folder / "pipelines" / "use_cases" / NAME, NAME)


def build_commands() -> list[list[str]]:
    """Return the commands of ours in the first stage of the pipeline that delivers, as it states them."""
    pipeline = expand(ROOT / ".azuredevops" / "main.yml")
    (build,) = (stage for stage in pipeline["stages"] if stage.get("stage") == "build")
    commands = []
    for step in build["jobs"][0]["steps"]:
        text = str(step.get("bash", "")).partition(PYTHON)[2]
        for name, value in step.get("env", {}).items():
            text = text.replace(f'"${name}"', shlex.quote(value))
        commands.append(shlex.split(text))
    return [words for words in commands if words]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> RepositoryCopy:
    """Return a clone in which a team has committed a use case with a feed of its own."""
    copy = RepositoryCopy(tmp_path_factory.mktemp("own") / "repository")
    make_use_case(copy)
    copy.commit()
    return copy


@pytest.mark.proof
def test_the_integration_run_on_this_machine_finds_the_window_in_the_data(repository: RepositoryCopy) -> None:
    """Every check holds in a window of 2025, and the report of the run is written."""
    where = ("--env", "staging", "--root", "kept", "--use-case", NAME)
    printed = repository.python("pipelines", "integration", *where)
    assert re.search(rf"integration of {NAME} as staging: (\d+) of \1 checks hold", printed)
    assert WINDOW.partition(";")[0] in " ".join(printed.split())
    repository.python("pipelines", "report", *where)
    page = (repository.folder / "kept" / "report.html").read_text(encoding="utf-8")
    assert "Jun 2025" in page
    assert not re.search(r"\b2013\b", page)


@pytest.mark.proof
def test_the_deployed_integration_run_finds_the_same_window_and_leaves_no_trace(repository: RepositoryCopy) -> None:
    """In both environments in which the pipeline runs it, before the smoke test, which holds as well."""
    printed = repository.python("tests.pipelines.integration.deployed_commands", NAME, "dev", "staging")
    for environment in ("dev", "staging"):
        assert re.search(rf"integration of {NAME} in {environment}: (\d+) of \1 checks hold", printed)
        assert re.search(rf"smoke of {environment}: (\d+) of \1 checks hold", printed)
        assert f"tables of {environment} with rows afterwards: none" in printed
    assert " ".join(printed.split()).count(WINDOW.partition(";")[0]) == 2


@pytest.mark.proof
def test_the_build_stage_of_the_pipeline_succeeds(repository: RepositoryCopy) -> None:
    """What changed, the wheel, the stacks and the policy, by the commands that the pipeline states."""
    commands = build_commands()
    assert [words[:2] for words in commands] == [
        ["infra", one] for one in ("affected", "wheel", "synth", "check", "check")
    ]
    printed = [repository.python(*words) for words in commands]
    assert re.search(rf"jobs to run: .*\b{NAME}\b", printed[0])
    for environment in ENVIRONMENTS:
        stack = repository.folder / "cdktf.out" / "stacks" / f"{environment}-workspace" / "cdk.tf.json"
        assert f"{NAME}.training" in stack.read_text(encoding="utf-8")


@pytest.mark.proof
def test_the_product_runs_without_the_demonstration_and_its_use_cases(tmp_path: Path) -> None:
    """Their folders and their entries under the teams are deleted, as a company may do on its first day."""
    repository = RepositoryCopy(tmp_path / "repository")
    repository.delete("pipelines/demo", *(f"pipelines/use_cases/{name}" for name in EXAMPLES))
    teams = repository.folder / "infra" / "settings" / "teams.yaml"
    text = teams.read_text(encoding="utf-8")
    teams.write_text(re.sub(rf"\[({'|'.join(EXAMPLES)})\]", "[]", text), encoding="utf-8")
    repository.python("pipelines", "list")
    assert "nothing to run" in repository.python("pipelines", "integration", "--env", "staging")
    assert not re.search(r"^ +demo\b", repository.python("pipelines", "--help"), flags=re.MULTILINE)
    repository.python("pipelines", "demo", code=2)
    make_use_case(repository)
    assert f"{NAME}.features" in repository.python("pipelines", "list")
    repository.python("infra", "synth")
    printed = repository.python("pipelines", "integration", "--env", "staging")
    assert re.search(rf"integration of {NAME} as staging: (\d+) of \1 checks hold", printed)
