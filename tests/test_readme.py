"""The README says what is true: every command in it runs, every table in it is made from what it shows."""

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
    """Nothing else is needed first."""
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_every_command_is_of_a_kind_that_is_run_here() -> None:
    """A new kind of command needs a new test."""
    kinds = ("make ", ".venv/bin/python -m pipelines ")
    assert [line for line in COMMANDS if not line.startswith(kinds)] == []


@pytest.mark.parametrize(
    "target", sorted({line.split()[1] for line in COMMANDS if line.startswith("make ")} | {"check", "bench"})
)
def test_every_make_target_exists(target: str) -> None:
    """Make itself says what it would do."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_run_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder, in their order, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    for line in COMMANDS:
        if not line.startswith("make "):
            code = command_line.main(shlex.split(line)[3:])
            assert code == 0, f"{line}\n{capsys.readouterr()}"
    assert (tmp_path / "lakehouse" / "report.html").exists()


def test_the_jobs_table_is_the_one_that_the_command_prints() -> None:
    """`python -m pipelines list --markdown`; REWRITE_GOLDEN=1 writes it anew."""
    before, table, after = re.split(r"(?<=<!-- jobs -->\n)(.*)(?=\n<!-- end of jobs -->)", README, flags=re.DOTALL)
    if os.environ.get("REWRITE_GOLDEN"):
        (ROOT / "README.md").write_text(before + as_markdown() + after, encoding="utf-8")
    else:
        assert table == as_markdown()


def test_every_link_to_a_file_leads_to_one() -> None:
    """Pictures included."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_no_file_names_a_package_registry_or_a_folder_of_somebody_s_machine() -> None:
    """Lock files included: a company's own index works unchanged."""
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
