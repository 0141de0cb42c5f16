"""The scripts of the pipelines: what they print, which variables they set, and their exit codes."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.azure_pipelines.shape import command_of, every_step
from infra.build.release import ROOT
from infra.terraform_cli.driver import OLDEST
from tests.azuredevops.conftest import FOLDER, NAMES, Pipelines


def run(*command: str | Path, cwd: Path = ROOT, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as an agent's tasks do, and return its exit code and output.

    Their Node gives a process sockets for input and output, which unlike pipes cannot be opened again by a name.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(cwd)]))}
    with ExitStack() as ends, ThreadPoolExecutor(max_workers=2) as pool:
        given = {name: socket.socketpair() for name in ("stdin", "stdout", "stderr")}
        for end in (end for pair in given.values() for end in pair):
            ends.enter_context(end)
        theirs = {name: pair[1] for name, pair in given.items()}
        with subprocess.Popen([*map(str, command)], cwd=cwd, env=environment, **theirs) as running:
            for end in theirs.values():
                end.close()
            given["stdin"][0].close()
            out, err = pool.map(_all_of, (given["stdout"][0], given["stderr"][0]))
        return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def _all_of(end: socket.socket) -> str:
    with end.makefile("r", encoding="utf-8") as lines:
        return lines.read()


def test_output_sets_a_variable_for_each_named_line_and_logs_the_output() -> None:
    """The name must match the whole first word: `sha256` does not match the line of `wheel_sha256`."""
    done = run(FOLDER / "output.sh", "sha256,wheel", "printf", "made it\nwheel a.whl\nwheel_sha256 1a\nsha256 2b\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "##vso[task.setvariable variable=sha256;isOutput=true]2b",
        "##vso[task.setvariable variable=wheel;isOutput=true]a.whl",
    ]
    assert "made it" in done.stderr


def test_no_step_opens_its_output_by_name(pipelines: Pipelines) -> None:
    """No script opens `/dev/stderr` or a similar file, which fails where output is a socket."""
    texts = {path.name: path.read_text() for path in FOLDER.glob("*.sh")}
    texts |= {f"{name}, {where}": command_of(step) for name in NAMES for where, step in every_step(pipelines[name])}
    opened = [name for name, text in texts.items() for line in text.splitlines()
              if re.search(r"/dev/(std|fd|tty)|/proc/self/fd", line.partition("# ")[0])]  # fmt: skip
    assert opened == []


@pytest.mark.parametrize("command", [["printf", "sha25 1a\n"], ["false"], ["no-such-program"]])
def test_output_fails_where_the_value_is_missing_or_the_command_failed(command: list[str]) -> None:
    """The exit code is not 0 and no variable is set."""
    done = run(FOLDER / "output.sh", "sha256", *command)
    assert done.returncode != 0
    assert "##vso" not in done.stdout


@pytest.fixture
def answering(tmp_path: Path) -> Path:
    """A folder with the scripts and an interpreter that prints its arguments and exits with the content of `code`."""
    shutil.copytree(FOLDER, tmp_path / ".azuredevops")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/usr/bin/env bash\necho "$@"\nexit "$(cat code)"\n')
    python.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("code", "release"),
    [(0, "proven"), (1, "unknown"), (2, "unknown"), (3, "unknown"), (4, "broken"), (130, "unknown"), (137, "unknown")],
)
def test_smoke_distinguishes_a_broken_release_from_an_unreachable_workspace(
    answering: Path, code: int, release: str
) -> None:
    """Only exit code 4 marks the release as broken; every other failure marks it as unknown."""
    (answering / "code").write_text(str(code))
    done = run(answering / ".azuredevops" / "smoke.sh", "prod", "the.whl", cwd=answering)
    assert done.returncode == code
    assert done.stdout.splitlines() == [
        "-m pipelines smoke --env prod --remote --wheel the.whl",
        f"##vso[task.setvariable variable=release;isOutput=true]{release}",
    ]


@pytest.mark.parametrize(("code", "output"), [(0, ""), (4, "there is nothing to go back to")])
def test_smoke_of_a_release_without_a_wheel_expects_no_wheel(answering: Path, code: int, output: str) -> None:
    """The command has no option `--wheel`, and a failed check prints that there is no release to go back to."""
    (answering / "code").write_text(str(code))
    done = run(answering / ".azuredevops" / "smoke.sh", "prod", "none", cwd=answering)
    assert done.stdout.splitlines()[0] == "-m pipelines smoke --env prod --remote"
    assert output in done.stderr
    assert bool(done.stderr) is bool(output)


@pytest.mark.parametrize("package", ["typer", "databricks"])
def test_smoke_that_crashes_marks_the_release_as_unknown(tmp_path: Path, package: str) -> None:
    """The real command line ends with 1 or 3 where a package cannot be imported."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('half an installation')\n")
    done = run(FOLDER / "smoke.sh", "prod", "the.whl", path=str(tmp_path))
    assert done.returncode in (1, 3)
    assert "half an installation" in done.stderr
    assert done.stdout.splitlines()[-1] == "##vso[task.setvariable variable=release;isOutput=true]unknown"


def test_an_agent_gets_the_pinned_terraform(tmp_path: Path) -> None:
    """Its file is held to the hash; then it runs, and the later steps find it first."""
    done = _get_terraform(tmp_path, pinned=True)
    assert done.returncode == 0, done.stderr
    program, command = done.stdout.splitlines()
    assert program == "Terraform v1.11.4 version"
    assert command == f"##vso[task.prependpath]{tmp_path / 'temp' / 'terraform-1.11.4'}"
    assert (tmp_path / "temp" / "terraform-1.11.4" / "terraform").stat().st_mode & 0o111


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """It is neither run nor put on the path."""
    done = _get_terraform(tmp_path, pinned=False)
    assert done.returncode == 1
    assert "is not the Terraform 1.11.4 that is pinned: its sha256 is another one." in done.stderr
    assert done.stdout == ""


def test_an_agent_that_reaches_no_terraform_is_told_what_to_do(tmp_path: Path) -> None:
    """The error names the place that was tried and the variable for one of one's own."""
    done = _get_terraform(tmp_path, pinned=True, mirror=(tmp_path / "nowhere").as_uri())
    assert done.returncode == 1
    assert f"cannot be loaded from {(tmp_path / 'nowhere').as_uri()}: " in done.stderr
    assert "TERRAFORM_MIRROR" in done.stderr


def test_the_pinned_terraform_is_one_that_the_code_supports() -> None:
    """The platform guide states the oldest version of the command line; the agents have a version of that minor release."""
    (pinned,) = re.findall(r"^version=(.*)$", (FOLDER / "terraform.sh").read_text(), re.MULTILINE)
    assert [int(part) for part in pinned.split(".")[:2]] >= [int(part) for part in OLDEST.split(".")[:2]]
    assert f"Terraform {OLDEST} or newer" in (ROOT / "docs" / "platform.md").read_text()


def _get_terraform(folder: Path, *, pinned: bool, mirror: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script against a mirror of ours that has one file; `pinned` puts its hash in the place of the real one."""
    place = folder / "mirror" / "1.11.4"
    place.mkdir(parents=True)
    archive = place / "terraform_1.11.4_linux_amd64.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("terraform", '#!/usr/bin/env bash\necho "Terraform v1.11.4 $1"\n')
    text = (FOLDER / "terraform.sh").read_text()
    if pinned:
        text = re.sub(r"(?m)^sha256=.*$", f"sha256={hashlib.sha256(archive.read_bytes()).hexdigest()}", text)
    script = folder / "terraform.sh"
    script.write_text(text)
    environment = {
        "PATH": os.environ["PATH"],
        "AGENT_TEMPDIRECTORY": str(folder / "temp"),
        "TERRAFORM_MIRROR": mirror or (folder / "mirror").as_uri(),
    }
    return subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=False)


def test_the_artifact_of_the_last_attempt_is_used(tmp_path: Path) -> None:
    """The tenth attempt comes after the ninth, and what lay in the place is removed."""
    for attempt in (1, 9, 10):
        folder = tmp_path / "attempts" / f"plan-prod-{attempt}"
        folder.mkdir(parents=True)
        (folder / "of").write_text(str(attempt))
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "old").touch()
    done = run(FOLDER / "newest.sh", tmp_path / "attempts", tmp_path / "plan")
    assert (done.returncode, done.stdout) == (0, "plan-prod-10\n")
    assert [file.name for file in (tmp_path / "plan").iterdir()] == ["of"]
    assert (tmp_path / "plan" / "of").read_text() == "10"


def test_an_artifact_that_no_attempt_has_published_is_named(tmp_path: Path) -> None:
    """The step fails."""
    done = run(FOLDER / "newest.sh", tmp_path / "none", tmp_path / "plan")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'none'} holds the artifact of no attempt.\n"


@pytest.mark.proof
@pytest.mark.terraform
@pytest.mark.skipif(shutil.which("terraform") is None, reason="the program `terraform` is not on the path")
def test_deploy_plans_saves_and_applies_a_stack_with_the_real_terraform(tmp_path: Path) -> None:
    """In a clone, offline: the account is applied by its saved plan, and a stack of another environment is refused."""
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", ROOT, clone)
    (clone / ".git" / "info" / "exclude").write_text(".venv\n")
    (clone / ".venv").symlink_to(ROOT / ".venv")
    assert run(clone / ".venv/bin/python", "-m", "infra", "synth", cwd=clone).returncode == 0
    first = run(clone / ".azuredevops/deploy.sh", "account", "account", "--offline", cwd=clone)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1] == "applied: account"
    kept = run(clone / ".venv/bin/python", "-m", "infra", "kept", "build/plans/account-1", cwd=clone)
    hashes = [line for line in kept.stdout.splitlines() if line.startswith("sha256 ")]
    assert len(hashes) == 1, kept.stdout + kept.stderr
    assert hashes[0] in first.stderr
    foreign = run(clone / ".azuredevops/deploy.sh", "account", "dev-platform", "--offline", cwd=clone)
    assert foreign.returncode == 2
    assert "applied" not in foreign.stdout
