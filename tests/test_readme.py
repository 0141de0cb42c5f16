"""The README and the page for laptops are correct: every command in them runs, every table is made from what it shows."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import __main__ as command_line
from pipelines.commands.job_tables import as_markdown
from pipelines.declarations.registry import jobs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LAPTOP = (ROOT / "docs" / "laptop.md").read_text(encoding="utf-8")
JOBS = ROOT / "docs" / "jobs.md"
SCREEN = 50
"""Lines of a README that a window shows."""


def commands_of(page: str) -> list[str]:
    """The commands of a page's shell blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


COMMANDS = [*commands_of(README), *commands_of(LAPTOP)]


def test_the_readme_begins_with_the_two_commands() -> None:
    """`make demo` and `make test` are the first commands; no other step is needed before them."""
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_the_first_result_is_within_two_screens_and_every_readers_page_within_three() -> None:
    """Counted in lines of the file."""
    before_result, _, rest = README.partition("<!-- end of demo output -->")
    assert before_result.count("\n") <= 2 * SCREEN
    pages = (before_result + rest.partition("## What is built")[0]).count("\n")
    assert "docs/platform.md" in README[: len(README) - len(README.partition("## What is built")[2])]
    assert pages <= 3 * SCREEN


def test_every_command_is_of_a_kind_that_is_run_here() -> None:
    """Every command is a make target or a command of pipelines; this module tests both kinds."""
    kinds = ("make ", ".venv/bin/python -m pipelines ")
    assert [line for line in COMMANDS if not line.startswith(kinds)] == []


@pytest.mark.parametrize(
    "target",
    sorted(
        {line.split()[1] for line in COMMANDS if line.startswith("make ")}
        | {"check", "prove", "bench", "setup", "cloud"}
    ),
)
def test_every_make_target_exists(target: str) -> None:
    """A dry run of make accepts the target."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_run_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands succeed in an empty folder in the order of the pages, and the report exists afterwards."""
    monkeypatch.chdir(tmp_path)
    for line in COMMANDS:
        if not line.startswith("make "):
            code = command_line.main(shlex.split(line)[3:])
            assert code == 0, f"{line}\n{capsys.readouterr()}"
    assert (tmp_path / "lakehouse" / "report.html").exists()


def test_the_jobs_table_is_the_one_that_the_command_prints() -> None:
    """The tables equal the output of `python -m pipelines list --markdown`; REWRITE_GOLDEN=1 writes them again."""
    page = JOBS.read_text(encoding="utf-8")
    before, table, after = re.split(r"(?<=<!-- jobs -->\n)(.*)(?=\n<!-- end of jobs -->)", page, flags=re.DOTALL)
    if os.environ.get("REWRITE_GOLDEN"):
        JOBS.write_text(before + as_markdown() + after, encoding="utf-8")
    else:
        assert table == as_markdown()


def test_the_jobs_tables_say_each_thing_once_and_nothing_less() -> None:
    """Every task of every declared job is in a row that names its use case, or says that all have it; no row comes twice."""
    rows = [line.split(" | ") for line in as_markdown().splitlines() if line.startswith("| `")]
    assert len(rows) == len({tuple(row) for row in rows})
    for job in jobs():
        for task in job.tasks:
            found = [row for row in rows if row[0] == f"| `{job.name}`" and row[1] == f"`{task.key}`"]
            assert any(row[-1].rstrip(" |") == "all" or job.use_case in row[-1] for row in found), (
                job.address,
                task.key,
            )


@pytest.mark.parametrize(("name", "megabytes"), [("run", "MEGABYTES_RUN"), ("dev", "MEGABYTES_DEV")])
def test_installation_says_what_it_does_and_how_much_it_downloads(name: str, megabytes: str) -> None:
    """The number of packages is counted in the lock file; the README names the same size as the Makefile."""
    done = subprocess.run(["make", "-n", f"--assume-new=requirements/{name}.txt", f".venv/.{name}"], cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    assert f"grep -c '^[a-z].*==' requirements/{name}.txt" in done.stdout
    assert "--quiet --python" not in done.stdout
    size = re.search(rf"^{megabytes} := (\d+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert size
    assert f"about {size[1]} MB" in done.stdout
    if name == "run":
        assert f"about {size[1]} MB to download" in README


@pytest.mark.parametrize(("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_make_takes_the_pythons_that_the_readme_names_and_no_other(version: tuple[int, int], fits: bool) -> None:
    """The expression of the Makefile, asked about a version."""
    (check,) = re.findall(
        r"^FITS +:= import sys; sys\.exit\(not (.*)\)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert eval(check, {"sys": SimpleNamespace(version_info=version)}) is fits  # noqa: S307 - our own Makefile
    assert (f"{version[0]}.{version[1]}" in README) is fits


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
