"""The command line of pipelines: its output, its exit codes, and one sentence for every mistake."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.build.release import current_commit, wheel_version
from ml.spec.errors import RequestError
from pipelines import __main__ as command_line
from pipelines.command_line.program import run_program
from pipelines.commands import job_tables
from pipelines.declarations.job import Job
from pipelines.declarations.registry import use_case
from pipelines.demo import command as demo_command

ROOT = Path(__file__).parents[3]


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run one command in this process and return its exit code, its output and its errors."""
    code = command_line.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_shows_every_job_with_tasks_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the lines have no colours."""
    code, out, _ = call(capsys, "list")
    assert code == 0
    assert "flight_delay.training" in out
    assert "train_gradient_boosting" in out
    assert "\x1b[" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rnu", "flight_delay.training"), "unknown command 'rnu': did you mean 'run'?"),
        (("run", "flight_delay.trainin"), "did you mean 'flight_delay.training'?"),
        (("run", "flight_delay.training", "--env", "prd"), "unknown environment 'prd': did you mean 'prod'?"),
        (("run", "flight_delay.training", "--engine", "spork"), "unknown engine 'spork': did you mean 'spark'?"),
        (("run", "flight_delay.training", "--param", "sed=1"), "did you mean 'seed'?"),
        (("run", "flight_delay.training", "--param", "seed"), "'seed' is not NAME=VALUE"),
        (("run", "flight_delay.training", "--param", "seed=x"), "'seed': 'x' is not a whole number"),
        (("run", "flight_delay.training", "--only", "trian"), "unknown task of job flight_delay.training 'trian'"),
        (("task", "flight_delay.monitoring", "retraining_needed"), "runs no code"),
        (("run",), "missing argument 'JOB'"),
        (("status", "--envv", "dev"), "unknown option '--envv': did you mean '--env'?"),
        (("reproduce", "flight_delay", "x"), "invalid value for 'VERSION'"),
        (("reproduce", "flight_delay", "3", "--root"), "option '--root' requires an argument"),
        # What contradicts, repeats or is empty.
        (
            ("run", "flight_delay.training", "--only", "promote", "--skip", "promote"),
            "--only and --skip both name promote",
        ),
        (("run", "flight_delay.training", "--only", ""), "--only is empty"),
        (("run", "flight_delay.training", "--only", " "), "--only is empty"),
        (("run", "flight_delay.training", "--run-id", ""), "--run-id is empty"),
        (("run", "flight_delay.training", "--param", "until="), "has no value"),
        (
            ("run", "flight_delay.training", "--param", "until=2013-03-01", "--param", "until=2013-04-01"),
            "--param until is given twice, as '2013-03-01' and '2013-04-01'",
        ),
        (("run", "flight_delay.training", "--env", "dev", "--env", "staging"), "--env is given 2 times"),
        (("run", "flight_delay.training", "--remote", "--engine", "spark"), "--engine is about this machine"),
        (("status", "--remote", "--engine", "spark"), "--engine is about this machine"),
        (("status", "--profile", "work"), "--profile is about a deployed environment"),
        (
            ("run", "flight_delay.features", "--param", "since=2013-05-01", "--param", "until=2013-04-01"),
            "the window from 2013-05-01 00:00 to 2013-04-01 00:00 is empty",
        ),
        (("run", "flight_delay.features", "--param", "since=2999-01-01"), "is empty: give a since before its until"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """No job has run, no folder is created, and no traceback is printed."""
    takes_root = words[0] in ("run", "task") and len(words) > 1 and "--remote" not in words
    root = ("--root", str(tmp_path / "lake")) if takes_root else ()
    code, out, err = call(capsys, *words, *root)
    assert code == 2
    assert said in err.replace("\n", " ")
    assert "Traceback" not in out + err
    assert not (tmp_path / "lake").exists()


def test_a_failed_job_is_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The output names the failed task, and the error states the reason."""
    words = ("run", "flight_delay.scoring", "--root", str(tmp_path), "--param", "until=2013-02-01")
    code, out, err = call(capsys, *words)
    assert code == 1
    assert "score: failed" in out
    assert "Run the training job" in err


@pytest.mark.parametrize("job", ["features", "scoring", "monitoring"])
def test_a_task_refuses_an_empty_window_without_a_retry(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, job: str
) -> None:
    """A deployed task has a window of its own, so the task itself checks it: exit code 1 after one attempt."""
    declared = use_case("flight_delay").job(job)
    task = next(task for task in declared.tasks if "since" in getattr(task, "keywords", ()))
    words = (
        "task",
        declared.address,
        task.key,
        "--root",
        str(tmp_path),
        "--param",
        "since=2999-01-01",
        "--param",
        "until=",
    )
    code, out, err = call(capsys, *words)
    assert code == 1
    assert "is empty: give a since before its until" in err.replace("\n", " ")
    assert "attempt 2" not in out + err


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A failed command prints a traceback only with `--debug`."""
    words = ("reproduce", "flight_delay", "3", "--root", str(tmp_path / "nothing"))
    assert "Traceback" not in call(capsys, *words)[2]
    assert "Traceback" in call(capsys, *words, "--debug")[2]


def test_a_job_and_a_task_run_by_their_names(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A job runs all its tasks, a task runs alone, and reading the same rows again adds none."""
    words = ("--root", str(tmp_path), "--param", "until=2013-01-03")
    code, out, _ = call(capsys, "run", "flight_delay.features", *words)
    assert code == 0
    assert "schedule: read" in out
    assert "succeeded" in out
    code, out, _ = call(capsys, "task", "flight_delay.features", "ingest", *words, "--param", "since=2013-01-01")
    assert code == 0
    assert "; 0 new" in out


def test_assets_of_an_unused_folder_are_the_declared_ones_and_no_folder_is_created(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The output says that nothing has run there."""
    code, out, _ = call(capsys, "assets", "--root", str(tmp_path / "unused"))
    assert code == 0
    assert "flight_delay" in out
    assert "nothing has run in 'dev' under" in out
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--env", "prod"),
        ("rollback", "flight_delay", "--env", "prod", "--reason", "worse since Monday"),
        ("reproduce", "flight_delay", "3", "--env", "prod"),
        ("promote", "air_time", "--from", "staging", "--to", "prod"),
        ("report", "--env", "prod"),
    ],
)
def test_a_mistyped_folder_is_refused_and_not_created(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Commands about past runs end with exit code 2 for a folder in which nothing has run."""
    code, _, err = call(capsys, *words, "--root", str(tmp_path / "lakehuose"))
    assert code == 2
    assert "nothing has run in 'prod' under" in err.replace("\n", " ")
    assert not (tmp_path / "lakehuose").exists()


def test_assets_name_what_writes_and_reads_them_on_lines_that_fit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of all use cases the jobs; of one that is named the keys and the tasks, below each asset."""
    _, out, _ = call(capsys, "assets", "--root", str(tmp_path / "unused"))
    line = next(line for line in out.splitlines() if line.startswith("flight_delay_inference.predictions"))
    assert line.split(maxsplit=3) == ["flight_delay_inference.predictions", "-", "scoring", "monitoring"]
    assert max(map(len, out.splitlines()[1:])) <= 160
    code, out, _ = call(capsys, "assets", "flight_delay", "--root", str(tmp_path / "unused"))
    assert code == 0
    assert max(map(len, out.splitlines()[1:])) <= 100
    block = out.partition("flight_delay_inference.predictions\n")[2]
    assert block.startswith(
        "  key           request_key, alias\n  version       -\n  written by    scoring.score\n  read by  "
    )
    assert "monitoring.measure" in block


def test_a_damaged_table_of_one_use_case_hides_no_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Neither in `status` nor on the page of all environments: both say what is damaged, and go on."""
    call(capsys, "run", "flight_delay.features", "--root", str(tmp_path), "--param", "until=2013-01-03")
    call(capsys, "run", "air_time.features", "--root", str(tmp_path), "--param", "until=2013-01-03")
    commits = (tmp_path / "dev" / "tables" / "air_time_monitoring" / "runs" / "_delta_log").glob("*.json")
    sorted(commits)[-1].write_text("", encoding="utf-8")
    code, out, _ = call(capsys, "status", "--root", str(tmp_path))
    assert code == 1
    assert "what to look at: platform: table air_time_monitoring.runs: the commit of version" in out
    assert out.index("air_time in dev") < out.index("flight_delay.features") < out.index("next_visit in dev")
    assert call(capsys, "ui", "--root", str(tmp_path), "--write-only", "--without-reports")[0] == 0
    page = (tmp_path / "house.html").read_text(encoding="utf-8")
    attention = page.partition('id="attention"')[2].partition("</section>")[0]
    assert attention.count("table air_time_monitoring.runs: the commit of version") == 1
    assert page.count("Its tables cannot be read") == 1
    assert page.count("<dt>Champion</dt>") == 1


def test_a_list_without_rows_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Also where a use case has no run yet: `status` then says what to do, and nothing else of it."""
    call(capsys, "run", "flight_delay.features", "--root", str(tmp_path), "--param", "until=2013-01-03")
    said = {words: call(capsys, *words, "--root", str(tmp_path)) for words in (("doctor",), ("branch",), ("status",))}
    assert said["doctor",][:2] == (0, "dev: nothing was left behind\n")
    assert said["branch",][1].startswith("no branch in dev: the first run of a job USE_CASE_branch_NAME.JOB makes one")
    assert "newest findings: none\n" in said["status",][1]
    assert said["status",][1].count("newest findings") == 1
    assert "(none)" not in "".join(out for _, out, _ in said.values())
    code, out, _ = call(capsys, "status", "next_visit", "--root", str(tmp_path))
    assert code == 0
    assert out.splitlines()[1:] == [
        f"what to look at: platform: no job has run yet; run mlops first-run --env dev --root {tmp_path}"
    ]
    code, _, err = call(capsys, "status", "next_vist", "--root", str(tmp_path))
    assert code == 2
    assert "did you mean 'next_visit'?" in err


@pytest.mark.parametrize(
    ("address", "said", "silent"),
    [
        ("flight_delay.scorin", "did you mean 'flight_delay.scoring'?", "air_time"),
        ("flight_delay", "Known: flight_delay.features", "air_time.features"),
        ("flight_dela.scoring", "did you mean 'flight_delay.scoring'?", "flight_delay.features"),
        ("nothing", "Use cases are air_time, flight_delay, next_visit; a job is USE_CASE.JOB", "air_time.features"),
    ],
)
def test_an_unknown_job_names_what_is_near_and_how_to_list_the_others(
    capsys: pytest.CaptureFixture[str], address: str, said: str, silent: str
) -> None:
    """Of its own use case the jobs, else the use cases; never every address there is."""
    code, _, err = call(capsys, "run", address)
    assert code == 2
    assert said in err
    assert "`list` shows all." in err
    assert silent not in err


def test_a_value_of_the_wrong_kind_is_refused_in_words_of_this_program(capsys: pytest.CaptureFixture[str]) -> None:
    """And no option is called near because of its two dashes."""
    code, _, err = call(capsys, "explain", "flight_delay", "newest", "--key", "a")
    assert code == 2
    assert err.startswith("error: invalid value for 'VERSION': give a whole number. See: ")
    code, _, err = call(capsys, "run", "--env")
    assert (code, err) == (2, "error: option '--env' requires an argument. See: python -m pipelines run --help\n")
    code, _, err = call(capsys, "doctor", "--port", "1")
    assert code == 2
    assert "unknown option '--port'. Known: " in err


def test_a_features_job_that_has_read_everything_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its 0 rows are not those of the folder or the window that a person named."""
    words = ("run", "air_time.features", "--root", str(tmp_path), "--param")
    assert call(capsys, *words, "until=2013-01-03")[0] == 0
    code, out, _ = call(capsys, *words, "until=2013-01-02")
    assert code == 0
    assert "schedule: not read, for all until 2013-01-03 00:00 was delivered already; --param since=" in out


def test_a_folder_that_is_no_backup_is_a_mistake_in_the_call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whether it is there or not; nothing was looked at that could be damaged."""
    for folder, said in ((tmp_path, "has no manifest.json"), (tmp_path / "nothing", "there is no folder")):
        code, _, err = call(capsys, "restore", str(folder), "--root", str(tmp_path / "unused"))
        assert code == 2
        assert said in err


@pytest.mark.parametrize("command", command_line.COMMANDS)
def test_every_command_prints_its_usage_and_options(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """`--help` ends with exit code 0 and lists the option `--debug`."""
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    assert f"Usage: python -m pipelines {command}" in out
    assert "--debug" in out


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("-h",)])
def test_version_and_help_end_with_exit_code_0(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """`--version` prints the version of pyproject.toml with the commit, as a wheel has it, and `--help` does not."""
    code, out, _ = call(capsys, *words)
    assert code == 0
    number, _, commit = wheel_version(current_commit()).partition("+g")
    said = f"python -m pipelines {number} (source tree, commit {commit})\n"
    assert (out == said) == (words == ("--version",))


def test_completion_offers_commands_and_job_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell's request for completions is answered with commands, and with job names from the declarations."""
    monkeypatch.setenv("_MLOPS_COMPLETE", "complete_bash")
    for typed, offered in (("mlops ru", "run"), ("mlops run flight_delay.tr", "flight_delay.training")):
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        with pytest.raises(SystemExit):
            run_program(replace(command_line.PROGRAM, name="mlops"), [])
        assert offered in capsys.readouterr().out.split()


def test_start_up_loads_no_slow_package() -> None:
    """`list` loads no engine, no SDK, no pandas, no rich, no pydantic and no infra."""
    code = (
        "import sys; from pipelines.__main__ import main; main(['list', '--markdown']); "
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'pyspark', 'mlflow', 'pandas', 'numpy', 'rich', "
        "'pydantic', 'databricks', 'email', 'infra'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", [name for name, command in command_line.COMMANDS.items() if command.bare])
def test_a_command_without_arguments_prints_the_same_and_waits_for_no_parser(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """As the parser calls it with nothing but defaults; the parser's package is not imported."""
    bare = call(capsys, name)
    parsed = replace(command_line.COMMANDS[name], bare="")
    program = replace(command_line.PROGRAM, commands={**command_line.COMMANDS, name: parsed})
    assert (run_program(program, [name]), capsys.readouterr().out) == (bare[0], bare[1]) != (0, "")
    said = f"import sys; from pipelines.__main__ import main; main([{name!r}]); sys.exit('typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "words", [("status", "--root", "{file}"), ("run", "flight_delay.features", "--root", "{file}")]
)
def test_a_file_in_place_of_a_folder_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    """The error names the file and no exception class; the exit code is 2."""
    (tmp_path / "file").write_text("")
    code, _, err = call(capsys, *(word.format(file=tmp_path / "file") for word in words))
    assert code == 2
    assert "file" in err
    assert "Error" not in err


def test_an_unforeseen_error_is_a_sentence_with_module_and_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names no exception class and has no traceback; the exit code is 1."""

    def fail() -> list[Job]:
        raise KeyError("surprise")

    monkeypatch.setattr(job_tables, "jobs", fail)
    code, _, err = call(capsys, "list")
    assert code == 1
    assert "unexpected failure in pipelines.commands.job_tables, line" in err
    assert "KeyError" not in err
    assert "Traceback" not in err


def test_the_demonstration_empties_only_a_folder_of_its_own(tmp_path: Path) -> None:
    """A folder with other files is refused and left as it is."""
    (tmp_path / "precious").write_text("x")
    with pytest.raises(RequestError, match="not empty and not the demonstration's"):
        demo_command.prepare(tmp_path)
    assert (tmp_path / "precious").exists()
    own = demo_command.prepare(tmp_path / "demo")
    (own / "old").write_text("x")
    assert not (demo_command.prepare(own) / "old").exists()


def test_an_interrupted_command_is_exit_code_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C prints one sentence."""

    def interrupt() -> list[Job]:
        raise KeyboardInterrupt

    monkeypatch.setattr(job_tables, "jobs", interrupt)
    code, _, err = call(capsys, "list")
    assert code == 130
    assert err.startswith("error: interrupted.")
