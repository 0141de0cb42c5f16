"""Every documented command that needs nothing but a clone is run in one, with an empty home; every other has its reason."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documented_commands import (
    ENDS,
    FILLED,
    GOES_ON,
    LOST,
    NOT_RUN,
    OTHERS,
    PAGES,
    PREPARED,
    ROOT,
    RUN_ELSEWHERE,
    RUN_IN_CLOUD,
    RUN_ON_LOOPBACK,
    RUN_WHOLE,
    SETS,
    STATED,
    commands,
    lines_of,
    run_by,
    run_by_themselves,
    why_not_run,
)
from tests.pipelines.scaffold.own_files import german_orders

REVIEWED = (0, 3, 4)
"""Exit codes of a review that asks for them: what a person has to decide is no failure (docs/releases.md)."""
WAITS = (0, 3)
"""Exit codes of an apply after which a stack may wait for a second round, as the page says."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone below a folder with blanks and letters beyond ASCII, with the installed packages."""
    place = tmp_path / "mein Büro" / "house"
    place.parent.mkdir()
    origin = tmp_path / "origin"  # what a page pushes arrives here
    subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(origin)], check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(place)], check=True)
    for branch in ("refs/remotes/origin/main", "refs/heads/main"):
        subprocess.run(["git", "update-ref", branch, "HEAD"], cwd=place, check=True)
    (place / ".venv").symlink_to(ROOT / ".venv")
    return place


def codes_of(line: str) -> tuple[int, ...]:
    """Return the exit codes with which a command may end, as its page says."""
    stated = tuple(code for end, code in ENDS.items() if line.endswith(end))
    return stated or (REVIEWED if "--exit-code" in line else WAITS if "infra apply " in line else (0,))


def test_a_command_ends_as_its_page_says() -> None:
    """What refuses on its page has to refuse; everything else is done."""
    assert codes_of(".venv/bin/python -m infra rollback dev --offline --dry-run") == (2,)
    assert codes_of(".venv/bin/python -m infra review --exit-code") == REVIEWED
    assert codes_of(".venv/bin/python -m infra apply dev --offline") == WAITS
    assert codes_of(".venv/bin/python -m infra synth") == (0,)


@pytest.mark.proof
@pytest.mark.terraform
@pytest.mark.parametrize(("page", "lines"), run_by_themselves().items(), ids=run_by_themselves())
def test_the_commands_of_a_page_do_what_it_shows_from_top_to_bottom(clone: Path, page: str, lines: list[str]) -> None:
    """In a clone where nothing has run, without an account and without anything in the home of its user."""
    if any("--offline" in line for line in lines) and shutil.which("terraform") is None:
        pytest.skip(f"{page} is not run: the program `terraform` is not on the path")
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith(("SSL_", "TF_"))}
    given = {**kept, "HOME": str(clone.parent), "PYTHONPATH": str(clone), "LANG": "C.UTF-8"}
    if page in STATED:
        file, stated = STATED[page]
        with (clone / file).open("a", encoding="utf-8") as settings:
            settings.write(f"{stated}\n")
    if page == "own-data.md":
        (clone / "orders").mkdir()
        shutil.copy(german_orders(clone / "orders", rows=6_080).rename(clone / "orders" / "orders.csv"), clone)
    word, pattern = FILLED.get(page, ("", ""))
    said = ""
    for line in [*(f".venv/bin/python -m pipelines run {job}" for job in PREPARED.get(page, ())), *lines]:
        if found := SETS.fullmatch(line):
            given[found[1]] = found[2]
            continue
        command = line
        if word and word in line:
            command = line.replace(word, re.findall(pattern, said, re.MULTILINE)[-1])
        command = command.replace("=FOLDER", f"={shlex.quote(str(clone / 'orders'))}")
        for folder in (folder for part, folder in LOST.items() if part in line):
            (clone / folder).rename(clone / f"{folder} as it was")
        words = shlex.split(command.replace(".venv/bin/mlops infra", ".venv/bin/python -m infra").replace(".venv/bin/mlops", ".venv/bin/python -m pipelines"))  # fmt: skip
        done = subprocess.run(words, cwd=clone, env=given, capture_output=True, text=True, check=False)
        said += done.stdout
        assert done.returncode in codes_of(line), f"{line}\n{done.stdout}\n{done.stderr}"


def test_a_command_that_needs_a_workspace_is_run_where_there_is_one() -> None:
    """A clone alone has none: such a command belongs to an emulated environment, or has its reason."""
    assert [line for lines in run_by_themselves().values() for line in lines if "--remote" in line] == []


def test_most_kinds_of_commands_are_run_and_each_reason_is_needed() -> None:
    """The list is not empty, every command is run or has a reason, and no reason and no preparation is left over."""
    own = run_by_themselves()
    assert sum(map(len, own.values())) > 60
    given = {why_not_run(page, line) for page in PAGES for line in commands(page)}
    assert {*NOT_RUN.values(), *OTHERS.values()} <= given
    for name, pattern in GOES_ON.items():
        assert [line for line in own[name] if re.search(pattern, line)], name
    assert {*STATED, *FILLED, *PREPARED} <= own.keys()
    for part in (*ENDS, *LOST):
        assert [line for lines in own.values() for line in lines if part in line], part


def test_a_test_that_is_said_to_run_commands_exists_and_takes_them_from_the_pages() -> None:
    """It asks for its lines, so that a command that is changed on its page is changed there, or is run by nobody."""
    named = [(page, pattern, run_by(_page(page), next(_fitting(page, pattern)))) for page, pattern in (
        *RUN_IN_CLOUD.items(), *RUN_ON_LOOPBACK.items(), *((page, pattern) for page, pattern, _ in RUN_ELSEWHERE),
    )]  # fmt: skip
    for page, pattern, test in named:
        assert [line for where, line in lines_of(test) if where == page and re.search(pattern, line)], (page, pattern)
        assert "lines_of(" in (ROOT / test).read_text(encoding="utf-8"), test
    assert {page.name for page in PAGES} >= RUN_WHOLE.keys()
    assert all((ROOT / test).is_file() for test in RUN_WHOLE.values())


def _page(name: str) -> Path:
    return next(page for page in PAGES if page.name == name)


def _fitting(page: str, pattern: str) -> Iterator[str]:
    return (line for line in commands(_page(page)) if re.search(pattern, line))
