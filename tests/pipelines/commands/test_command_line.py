"""The command line: one entry point, exit codes, one sentence for every mistake."""

import pytest

from pipelines import __main__ as command_line
from pipelines.declarations.mistakes import DeclarationError
from pipelines.demo import command as demo_command


def call(capsys, *words):
    """Run one command in this process: its exit code, what it printed and what it complained of."""
    code = command_line.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_shows_every_job_with_tasks_and_parameters(capsys):
    """Plain lines where nobody looks on."""
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
        (("run",), "the following arguments are required: JOB"),
        (("status", "--envv", "dev"), "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(capsys, tmp_path, words, said):
    """Nothing has run, no traceback."""
    root = () if words[0] in ("rnu",) or len(words) == 1 or words[0] == "status" else ("--root", str(tmp_path / "lake"))
    code, out, err = call(capsys, *words, *root)
    assert code == 2
    assert said in err.replace("\n", " ")
    assert "Traceback" not in out + err
    assert not (tmp_path / "lake").exists()


def test_a_failed_job_is_exit_code_1(capsys, tmp_path):
    """With the task and its reason."""
    words = ("run", "flight_delay.scoring", "--root", str(tmp_path), "--param", "until=2013-02-01")
    code, out, err = call(capsys, *words)
    assert code == 1
    assert "score: failed" in out
    assert "Run the training job" in err


@pytest.mark.parametrize("job", ["features", "scoring", "monitoring"])
@pytest.mark.parametrize("until", [(), ("--param", "until=2013-05-01")])
def test_an_empty_window_is_refused_once_and_not_tried_again(capsys, tmp_path, job, until):
    """By every task that takes one, before it does anything."""
    since = f"since={'2013-09-01' if until else '2999-01-01'}"
    code, out, err = call(capsys, "run", f"flight_delay.{job}", "--root", str(tmp_path), "--param", since, *until)
    assert code == 1
    assert "is empty: give a since before its until" in err.replace("\n", " ")
    assert "attempt 2" not in out + err


def test_debug_adds_the_traceback(capsys, tmp_path):
    """Only when asked for."""
    (tmp_path / "file").write_text("")
    words = ("assets", "--root", str(tmp_path / "file"))
    assert "Traceback" not in call(capsys, *words)[2]
    assert "Traceback" in call(capsys, *words, "--debug")[2]


def test_a_job_and_a_task_run_by_their_names(capsys, tmp_path):
    """The same entry point as on a cluster; a second run adds nothing."""
    words = ("--root", str(tmp_path), "--param", "until=2013-01-03")
    code, out, _ = call(capsys, "run", "flight_delay.features", *words)
    assert code == 0
    assert "schedule: read" in out
    assert "succeeded" in out
    code, out, _ = call(capsys, "task", "flight_delay.features", "ingest", *words, "--param", "since=2013-01-01")
    assert code == 0
    assert "; 0 new" in out


def test_assets_of_an_empty_environment_are_what_is_declared(capsys, tmp_path):
    """The first look ever is no error."""
    code, out, _ = call(capsys, "assets", "--root", str(tmp_path))
    assert code == 0
    assert "flight_delay" in out


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--env", "prod"),
        ("rollback", "flight_delay", "--env", "prod", "--reason", "worse since Monday"),
        ("reproduce", "flight_delay", "3", "--env", "prod"),
        ("promote", "air_time", "--from", "staging", "--to", "prod"),
    ],
)
def test_a_mistyped_folder_is_refused_and_not_made(capsys, tmp_path, words):
    """What is asked of something that has run cannot be asked of a folder that nobody has used."""
    code, _, err = call(capsys, *words, "--root", str(tmp_path / "lakehuose"))
    assert code == 2
    assert "nothing has run in 'prod' under" in err.replace("\n", " ")
    assert not (tmp_path / "lakehuose").exists()


def test_assets_name_who_writes_and_who_reads(capsys, tmp_path):
    """Derived from the jobs."""
    _, out, _ = call(capsys, "assets", "--root", str(tmp_path))
    line = next(line for line in out.splitlines() if line.startswith("flight_delay_inference.predictions"))
    assert "scoring.score" in line
    assert "monitoring.measure" in line


@pytest.mark.parametrize("command", command_line.COMMANDS)
def test_every_command_explains_itself(capsys, command):
    """With its options."""
    with pytest.raises(SystemExit) as ended:
        command_line.main([command, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m pipelines" in capsys.readouterr().out


def test_the_demonstration_empties_only_a_folder_of_its_own(tmp_path):
    """Anything else is not touched."""
    (tmp_path / "precious").write_text("x")
    with pytest.raises(DeclarationError, match="not empty and not the demonstration's"):
        demo_command.prepare(tmp_path)
    assert (tmp_path / "precious").exists()
    own = demo_command.prepare(tmp_path / "demo")
    (own / "old").write_text("x")
    assert not (demo_command.prepare(own) / "old").exists()


def test_an_interrupted_run_is_exit_code_130(capsys, monkeypatch):
    """Ctrl-C is no crash."""
    from pipelines.commands import list as list_command

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(list_command, "run", interrupt)
    assert call(capsys, "list")[0] == 130
