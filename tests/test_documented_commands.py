"""Every documented command that needs nothing but a clone is run in one, with an empty home; every other has its reason."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documented_commands import (
    FILLED,
    GOES_ON,
    NOT_RUN,
    PAGES,
    ROOT,
    RUN_WHOLE,
    SETS,
    STATED,
    commands,
    run_by_themselves,
    why_not_run,
)

REVIEWED = (0, 3, 4)
"""Exit codes of a review that asks for them: what a person has to decide is no failure (docs/releases.md)."""
WAITS = (0, 3)
"""Exit codes of an apply after which a stack may wait for a second round, as the page says."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone below a folder with blanks and letters beyond ASCII, with the installed packages."""
    place = tmp_path / "mein Büro" / "house"
    place.parent.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    subprocess.run(["git", "update-ref", "refs/remotes/origin/main", "HEAD"], cwd=place, check=True)
    (place / ".venv").symlink_to(ROOT / ".venv")
    return place


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
    word, pattern = FILLED.get(page, ("", ""))
    said = ""
    for line in lines:
        if found := SETS.fullmatch(line):
            given[found[1]] = found[2]
            continue
        command = line
        if word and word in line:
            command = line.replace(word, re.findall(pattern, said, re.MULTILINE)[-1])
        words = shlex.split(command.replace(".venv/bin/mlops infra", ".venv/bin/python -m infra").replace(".venv/bin/mlops", ".venv/bin/python -m pipelines"))  # fmt: skip
        done = subprocess.run(words, cwd=clone, env=given, capture_output=True, text=True, check=False)
        said += done.stdout
        fine = REVIEWED if "--exit-code" in line else WAITS if "infra apply " in line else (0,)
        assert done.returncode in fine, f"{line}\n{done.stdout}\n{done.stderr}"


def test_most_kinds_of_commands_are_run_and_each_reason_is_needed() -> None:
    """The pages that a test runs whole exist, the list is not empty, and no reason is left over."""
    assert {page.name for page in PAGES} >= RUN_WHOLE.keys()
    assert all((ROOT / test).is_file() for test in RUN_WHOLE.values())
    assert sum(map(len, run_by_themselves().values())) > 20
    given = {why_not_run(page, line) for page in PAGES for line in commands(page)}
    assert set(NOT_RUN.values()) <= given
    for name, pattern in GOES_ON.items():
        assert [line for line in run_by_themselves()[name] if re.search(pattern, line)], name
    assert {*STATED, *FILLED} <= run_by_themselves().keys()
