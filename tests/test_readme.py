"""The README is correct: every command in it runs, every table in it is made from what it shows."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pipelines import __main__ as command_line
from pipelines.commands.list import as_markdown

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line and not line.startswith("#")
]


def test_the_readme_begins_with_the_two_commands() -> None:
    """`make demo` and `make test` are the first commands; no other step is needed before them."""
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_every_command_is_of_a_kind_that_is_run_here() -> None:
    """Every command is a make target or a command of pipelines; this module tests both kinds."""
    kinds = ("make ", ".venv/bin/python -m pipelines ")
    assert [line for line in COMMANDS if not line.startswith(kinds)] == []


@pytest.mark.parametrize(
    "target", sorted({line.split()[1] for line in COMMANDS if line.startswith("make ")} | {"check", "prove", "bench"})
)
def test_every_make_target_exists(target: str) -> None:
    """A dry run of make accepts the target."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_run_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands succeed in an empty folder in the order of the README, and the report exists afterwards."""
    monkeypatch.chdir(tmp_path)
    for line in COMMANDS:
        if not line.startswith("make "):
            code = command_line.main(shlex.split(line)[3:])
            assert code == 0, f"{line}\n{capsys.readouterr()}"
    assert (tmp_path / "lakehouse" / "report.html").exists()


def test_the_jobs_table_is_the_one_that_the_command_prints() -> None:
    """The table equals the output of `python -m pipelines list --markdown`; REWRITE_GOLDEN=1 writes it again."""
    before, table, after = re.split(r"(?<=<!-- jobs -->\n)(.*)(?=\n<!-- end of jobs -->)", README, flags=re.DOTALL)
    if os.environ.get("REWRITE_GOLDEN"):
        (ROOT / "README.md").write_text(before + as_markdown() + after, encoding="utf-8")
    else:
        assert table == as_markdown()


def test_every_link_to_a_file_resolves() -> None:
    """Every linked file exists, pictures included."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_no_file_names_a_package_registry() -> None:
    """No tracked file, lock files included, holds the address of a registry, so that a company's own index works."""
    hosts = (
        "files.python" + "hosted.org",
        "pypi" + ".org",
        "registry.npm" + "js",
        "maven" + "2/",
        "apt.releases" + ".",
    )
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split("\n")
    found = []
    for name in filter(None, listed):
        path = ROOT / name
        if path.suffix in (".png", ".gz") or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        found += [f"{name}: {host}" for host in hosts if host in text]
    assert found == []
