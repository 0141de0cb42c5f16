"""The guide's commands make the folder of a new use case, run its jobs and synthesize it for three workspaces."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable
from hypothesis import example, given
from hypothesis import strategies as st

from infra.config.naming import ResourceKind, logical_id
from infra.config.naming import name as made_of
from ml.spec.estimator import Problem
from pipelines.commands.new import NEXT
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.mistakes import DeclarationError, require_identifier
from pipelines.scaffold.new_use_case import TEMPLATES, create
from pipelines.scaffold.teams_file import TEAMS_FILE, teams, with_use_case
from tests.documented_commands import lines_of

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "add-a-use-case.md").read_text(encoding="utf-8")
COMMANDS = [line for text in re.findall(r"```bash\n(.*?)```", GUIDE, flags=re.DOTALL) for line in text.splitlines()]
EXPLAINED = [
    (page, line)
    for page, line in lines_of("tests/pipelines/scaffold/test_new_use_case.py")
    if page != "add-a-use-case.md"
]
"""Page and words of a command about the use case of the guide that stands on another page."""
NAME, OTHER = "late_departures", "gate_to_gate"
CHANGED = "infra/settings/teams.yaml"
"""The only file of the repository that changes: one entry under a team."""
Followed = tuple[Path, dict[str, bytes], str]
"""The copy after the guide was followed, its files before, and what the commands printed."""
SEVERAL = """
import importlib, json, sys
for words in json.loads(sys.argv[1]):
    print("$", *words, flush=True)
    code = importlib.import_module(words[0] + ".__main__").main(words[1:])
    if code:
        sys.exit(code)
"""
"""Calls the entry points one after the other in one process, so that an engine is started once."""


def execute(repository: Path, words_of_commands: Sequence[list[str]]) -> str:
    """Run commands of one program in the copy, and return what they printed."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-c", SEVERAL, json.dumps(words_of_commands)]
    done = subprocess.run(
        command, cwd=repository, env={**variables, "PYTHONPATH": str(repository)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words_of_commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def words(line: str) -> list[str]:
    """Return a line of the guide as the name of the program and its arguments."""
    given = shlex.split(line)
    assert given[:2] == [".venv/bin/python", "-m"], line
    return given[2:]


def tree(repository: Path) -> dict[str, bytes]:
    """Return the content of every file that git would include."""
    ignored = ("lakehouse", "cdktf.out", "__pycache__", ".pytest_cache", ".hypothesis")
    files = [path for path in repository.rglob("*") if path.is_file() and not set(path.parts) & set(ignored)]
    return {path.relative_to(repository).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository as it is in the work tree."""
    copy = tmp_path_factory.mktemp("copy") / "repository"
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


@pytest.fixture(scope="module")
def followed(repository: Path) -> Followed:
    """The copy after the guide was followed, its files before, and what the commands printed."""
    before = tree(repository)
    said = []
    lines = [words(line) for line in COMMANDS if not line.startswith("make ")]
    # The command `new` changes what the next process declares, so it ends one.
    stages = groupby(lines, key=lambda given: (given[0], given[1] == "new"))
    for _, commands in stages:
        said.append(execute(repository, list(commands)))
    return repository, before, "".join(said)


def test_the_guide_has_commands_and_all_of_them_are_run_here() -> None:
    """An empty list of commands would pass the other tests."""
    assert len(COMMANDS) > 10
    assert {line.split()[0] for line in COMMANDS} == {".venv/bin/python", "make"}


def test_the_commands_that_new_prints_are_those_of_the_guide() -> None:
    """With the name that was given."""
    printed = [line.strip() for line in NEXT.format(name=NAME).splitlines()[1:]]
    assert len(printed) == 6
    assert [line for line in COMMANDS if line in printed] == printed


def test_every_job_of_the_new_use_case_runs_and_its_champion_scores(followed: Followed) -> None:
    """Features, training, scoring, monitoring; the gate made a champion, labels arrived, and a report was written."""
    repository, _, said = followed
    for job in ("features", "training", "scoring", "monitoring"):
        assert re.search(rf"of {NAME}\.{job} in dev: succeeded", said)
    assert "promote version" in said
    assert re.search(r"champion version \d: [\d,]+ predictions up to 2013-03-21", said)
    assert re.search(r"2013-03: champion version \d roc_auc_score 0\.\d+ on [\d,]+ labels", said)
    assert "Late departures" in (repository / "lakehouse" / "report.html").read_text(encoding="utf-8")


def test_a_score_of_the_new_use_case_is_explained(followed: Followed) -> None:
    """By the command of another page, which names a later version and a flight of its own: here the champion, and a flight that it has scored."""
    repository, *_ = followed
    ((_, line),) = EXPLAINED
    predictions = DeltaTable(str(repository / "lakehouse" / "dev" / "tables" / f"{NAME}_inference" / "predictions"))
    key = min(predictions.to_pyarrow_table(columns=["request_key"]).column(0).to_pylist())
    given = re.sub(rf"(?<= {NAME} )\d+", "1", re.sub(r"(?<=--key )\S+", key, line))
    said = execute(repository, [words(given)])
    assert re.search(rf"{key}: score 0\.\d+, [+-]0\.\d+ from the mean 0\.\d+", said)
    assert "are the score of version 1." in said


@pytest.mark.proof
def test_the_template_of_a_regression_runs_too(followed: Followed) -> None:
    """The same jobs, evaluated by an error in minutes."""
    repository, *_ = followed
    execute(repository, [["pipelines", "new", OTHER, "--team", "operations", "--problem", "regression"]])
    own = [words(line.replace(NAME, OTHER)) for line in NEXT.format(name=OTHER).splitlines()[1:]]
    said = execute(repository, [given for given in own if given[1] == "run"])
    assert len(re.findall(rf"of {OTHER}\.\w+ in dev: succeeded", said)) == 5
    assert "promote version" in said
    assert re.search(r"2013-03: champion version \d mean_absolute_error \d+\.\d+ on [\d,]+ labels", said)


def test_its_jobs_schemas_and_grants_are_in_the_stacks_of_three_workspaces(followed: Followed) -> None:
    """Every schema has grants."""
    repository, *_ = followed
    for environment in ENVIRONMENTS:
        stack = repository / "cdktf.out" / "stacks" / f"{environment}-workspace" / "cdk.tf.json"
        resources = json.loads(stack.read_text(encoding="utf-8"))["resource"]
        jobs = {job["name"] for label, job in resources["databricks_job"].items() if NAME in label}
        assert {re.sub(r".*\.", "", job.replace("-", ".")) for job in jobs} >= {
            "features",
            "training",
            "scoring",
            "monitoring",
        }
        schemas = {schema["name"] for schema in resources["databricks_schema"].values()}
        layers = {f"{NAME}_{layer}" for layer in ("bronze", "features", "models", "inference", "monitoring")}
        assert layers <= schemas
        granted = {label for label in resources["databricks_grants"] if NAME in label}
        assert len(granted) >= len(layers)
        assert all(resources["databricks_grants"][label]["grant"] for label in granted)


def test_only_the_folder_and_generated_files_changed(followed: Followed) -> None:
    """No other file of the repository has to be edited for a use case."""
    repository, before, _ = followed
    after = tree(repository)
    folder = f"pipelines/use_cases/{NAME}/"
    others = {name for name in after.keys() - before.keys() if f"use_cases/{OTHER}/" not in name}
    assert others == {f"{folder}{file}" for file in TEMPLATES}
    assert [name for name in before if before[name] != after.get(name)] == [CHANGED]
    assert NAME in after[CHANGED].decode()


def test_the_new_folder_has_the_style_of_the_repository(followed: Followed) -> None:
    """It passes the checks of `make check`."""
    repository, *_ = followed
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--no-cache", f"pipelines/use_cases/{NAME}"], cwd=repository,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The parts of a clone of the repository that are needed here."""
    (tmp_path / "pipelines" / "use_cases").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / TEAMS_FILE).parent.mkdir(parents=True)
    (tmp_path / TEAMS_FILE).write_text((ROOT / TEAMS_FILE).read_text(encoding="utf-8"))
    return tmp_path


@pytest.mark.parametrize("problem", list(Problem))
def test_templates_are_filled_for_both_problems(clone: Path, problem: Problem) -> None:
    """Every file compiles, has the name and the team, and no placeholder is left."""
    created = create("trial", repository=clone, taken=(), team="revenue", problem=problem)
    assert {file.name for file in created.folder.iterdir()} == set(TEMPLATES)
    for file in created.folder.iterdir():
        text = file.read_text(encoding="utf-8")
        compile(text, file.name, "exec")
        assert "{" + "{" not in text
        assert "{" + "%" not in text
    declaration = (created.folder / "declaration.py").read_text(encoding="utf-8")
    assert f"Problem.{problem.name}" in declaration
    assert 'team="revenue"' in declaration
    assert created.listed
    assert "use_cases: [air_time, trial]" in (clone / TEAMS_FILE).read_text(encoding="utf-8")


def test_without_a_team_the_settings_do_not_change(clone: Path) -> None:
    """A team can be named later; until then `infra synth` asks for it."""
    before = (clone / TEAMS_FILE).read_bytes()
    created = create("trial", repository=clone, taken=())
    assert (created.team, created.listed) == ("my_team", False)
    assert (clone / TEAMS_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "team", "said"),
    [
        ("Late Departures", None, "'Late Departures' is not a name: use 1 to 63 of a-z"),
        ("2nd", None, "beginning with a letter"),
        ("late__departures", None, "single '_' between them"),
        ("late_", None, "'late_' is not a name"),
        ("prod", None, "'prod' is the name of an environment: take another name."),
        ("staging", None, "'staging' is the name of an environment"),
        ("dev", None, "'dev' is the name of an environment"),
        ("main", None, "'main' is the name of the branch that is deployed"),
        ("test", None, "'test' is the name of the command that runs all tests"),
        ("experiments", None, "'experiments' is the name of the folder of all experiments"),
        ("../outside", None, "is not a name"),
        ("class", None, "'class' is a keyword of Python"),
        ("flight_delay", None, "the use case 'flight_delay' exists already"),
        ("there", None, "remove its folder pipelines/use_cases/there to make it again"),
        ("trial", "revenu", "unknown team of infra/settings/teams.yaml 'revenu': did you mean 'revenue'?"),
        ("trial", "newcomers", "A new team is an entry there, made like the others"),
        ("class", "revenu", "is a keyword of Python: no module can have that name. unknown team"),
    ],
)
def test_a_wrong_argument_is_refused_and_nothing_is_written(
    clone: Path, name: str, team: str | None, said: str
) -> None:
    """With every mistake at once; an existing folder is not touched."""
    there = clone / "pipelines" / "use_cases" / "there"
    there.mkdir()
    (there / "mine.py").write_text("x = 1\n")
    before = tree(clone)
    with pytest.raises(DeclarationError, match=re.escape(said)):
        create(name, repository=clone, taken=("flight_delay",), team=team)
    assert tree(clone) == before


def is_a_name(text: str) -> bool:
    """Return whether a use case may have this name."""
    try:
        require_identifier("use case", text)
    except DeclarationError:
        return False
    return True


@given(st.sets(st.lists(st.sampled_from(["a", "b", "_", "ab" * 12]), min_size=1, max_size=5).map("".join)))
@example({"a_b", "a__b", "a_b_"})
def test_use_cases_with_different_names_have_different_names_in_the_cloud(drawn: set[str]) -> None:
    """Terraform addresses, and the names of the resource with the shortest limit."""
    names = set(filter(is_a_name, drawn))
    assert {logical_id(name) for name in names} == names
    endpoints = {made_of(ResourceKind.ENDPOINT, "acmecorp", "staging", name) for name in names}
    assert len(endpoints) == len(names)
    assert max(map(len, endpoints), default=0) <= 63


def test_outside_a_clone_nothing_is_made(tmp_path: Path) -> None:
    """A folder next to an installed package would never be deployed."""
    with pytest.raises(DeclarationError, match="is no clone of the repository"):
        create("trial", repository=tmp_path, taken=())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["write_text", "rename"])
def test_after_a_failure_nothing_is_left(clone: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Neither a part of the folder nor an entry of the team."""
    before, real = tree(clone), getattr(Path, broken)
    calls: list[Path] = []

    def fails_late(self: Path, *arguments: Any, **options: Any) -> Any:
        calls.append(self)
        if broken == "rename" or len(calls) == len(TEMPLATES):
            raise OSError("no space left on device")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, broken, fails_late)
    with pytest.raises(OSError, match="no space left"):
        create("trial", repository=clone, taken=(), team="revenue")
    monkeypatch.undo()
    assert tree(clone) == before
    assert list((clone / "pipelines" / "use_cases").iterdir()) == []


LISTING = """# who owns what
teams:
  - name: a  # the first
    members: x
    use_cases: [one]  # and more to come
  - name: b
    use_cases: []
  - name: c
    use_cases:
      - two
"""


def test_adding_a_use_case_changes_one_line_of_text() -> None:
    """Comments, order and spaces stay."""
    assert teams(LISTING) == ("a", "b", "c")
    assert with_use_case(LISTING, "a", "new") == LISTING.replace("[one]", "[one, new]")
    assert with_use_case(LISTING, "b", "new") == LISTING.replace("[]", "[new]")
    assert with_use_case(LISTING, "a", "one") == LISTING, "made again after its folder was removed"


@pytest.mark.parametrize(
    ("text", "team"),
    [
        (LISTING, "c"),
        (LISTING, "d"),
        (LISTING + "  - name: a\n    use_cases: []\n", "a"),
        ("", "a"),
        ("teams:\n  - name: a\n    members: x\n", "a"),
    ],
    ids=["a list of another form", "no such team", "a team that is listed twice", "an empty file", "no list"],
)
def test_an_ambiguous_edit_is_not_made(text: str, team: str) -> None:
    """A person has to make it."""
    assert with_use_case(text, team, "new") is None


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.lists(st.sampled_from(["x", "y_z"]), unique=True), min_size=1
    )
)
def test_adding_a_use_case_changes_the_list_of_its_team_only(listed: dict[str, list[str]]) -> None:
    """Read back as YAML, for any teams."""
    text = "teams:\n" + "".join(
        f"  - name: t-{name}\n    use_cases: [{', '.join(cases)}]\n" for name, cases in listed.items()
    )
    team = f"t-{next(iter(listed))}"
    edited = yaml.safe_load(with_use_case(text, team, "new"))
    for entry in edited["teams"]:
        expected = listed[entry["name"].removeprefix("t-")] + (["new"] if entry["name"] == team else [])
        assert entry["use_cases"] == expected
