"""Every page of the documentation: its commands exist with their options, its links resolve, the README links to it."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests import other_programs
from tests.azuredevops.pipeline_commands import check
from tests.command_words import CommandWordsError, named_commands, printed_commands, require_understood
from tests.documented_commands import PAGES, ROOT, commands

OURS = (".venv/bin/python ", ".venv/bin/pytest ", "make ")
SHORT = {".venv/bin/mlops infra": ".venv/bin/python -m infra", ".venv/bin/mlops": ".venv/bin/python -m pipelines"}
"""The short command is either program."""
LONG = 150
"""Lines above which a page begins with its contents: more than a reader scrolls through to find his part."""
GUIDES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "ml" / "README.md"]
EXAMPLES = {"late_departures": "flight_delay", "returns": "flight_delay"}
"""Names in examples that do not exist yet, and what stands for them here."""


ALL = [pytest.param(line, id=f"{page.relative_to(ROOT)}: {line[:70]}") for page in PAGES for line in commands(page)]


def test_there_are_pages_and_commands() -> None:
    """The search finds the pages and their commands, so that the tests below do not pass on nothing."""
    assert len(PAGES) >= 8
    assert len(ALL) > 60


@pytest.mark.parametrize("line", ALL)
def test_every_command_exists_with_its_options(line: str) -> None:
    """Our own parser accepts our commands; those of others have the options that the help of their program names."""
    words = re.sub(r'"\$\([^"]*\)"', "value", line)
    words = re.sub(r"^(\w+=\S+ )+", "", words)
    for short, long in SHORT.items():
        words = words.replace(short, long, 1) if words.startswith(short) else words
    for name, real in EXAMPLES.items():
        words = words.replace(name, real)
    if words.startswith(OURS):
        check(words)
    else:
        other_programs.check(shlex.split(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_sentence_names_exists_with_its_options(page: Path) -> None:
    """Between marks, of our programs and of others; what it needs may be left out."""
    assert refused((page.name, 0, command) for command in named_commands(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("room", ["infra", "ml", "pipelines"])
def test_every_command_that_the_product_prints_exists_with_its_options(room: str) -> None:
    """Remedies in errors, findings and run-books: what stands in the string literals of the code."""
    modules = sorted((ROOT / room).rglob("*.py"))
    printed = [(str(file.relative_to(ROOT)), *one) for file in modules for one in printed_commands(file)]
    assert refused(printed) == []
    assert len(printed) > {"infra": 30, "ml": -1, "pipelines": 20}[room]


@pytest.mark.parametrize(
    "said",
    [
        "run `python -m infra synthesize` first",
        "run `python -m infra plan ENV --keeep FOLDER`",
        "`mlops infra driftt prod`",
        "`az loggin`",
        "`make nothing`",
        "`terraform untaint -forse x`",
    ],
)
def test_a_command_in_a_message_that_does_not_exist_is_found(tmp_path: Path, said: str) -> None:
    """A misspelt command, option or value, also in a message with a hole."""
    module = tmp_path / "module.py"
    for text in (f"raise ValueError({said!r})", f"raise ValueError(f{said + ' {{name}}'!r})"):
        module.write_text(f"{text}\n", encoding="utf-8")
        assert len(refused(("module.py", *one) for one in printed_commands(module))) == 1


def refused(found: Iterable[tuple[str, int, str]]) -> list[str]:
    """Return where a command stands that is not understood, and why."""
    mistakes = []
    for where, line, command in found:
        try:
            require_understood(command)
        except CommandWordsError as error:
            mistakes.append(f"{where}:{line}: {error}")
    return mistakes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_resolves(page: Path) -> None:
    """The linked file exists, and so does the linked heading in it."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in headings(file), f"{page.name} links to {target}"


def headings(file: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {anchor_of(title) for title in titles}


def anchor_of(title: str) -> str:
    """Return the anchor that a Git host gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_readme_links_to_every_page() -> None:
    """Every page but the README itself is the target of a link in the README."""
    linked = set(re.findall(r"\]\(((?:(?:docs|ml)/)?[\w-]+\.md)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {str(page.relative_to(ROOT)) for page in PAGES} - linked == {"README.md"}


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_page_says_first_whom_it_is_for(page: Path) -> None:
    """One title, and before the first section a line that names the reader."""
    text = without_code(page.read_text(encoding="utf-8"))
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert re.search(r"^\*\*For\*\* ", text.partition("\n## ")[0], re.MULTILINE)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_long_page_begins_with_its_contents(page: Path) -> None:
    """Every section is linked before the first one, from a list or from a table of situations."""
    text = without_code(page.read_text(encoding="utf-8"))
    if page.read_text(encoding="utf-8").count("\n") < LONG:
        return
    before = text.partition("\n## ")[0]
    sections = [anchor_of(title) for title in re.findall(r"^## (.*)$", text, re.MULTILINE)]
    linked = set(re.findall(r"\]\(#([\w-]+)\)", before))
    assert [section for section in sections if section not in linked] == []


def without_code(text: str) -> str:
    """Return a page without its code blocks, whose comments look like headings."""
    return re.sub(r"^ *```.*?^ *```\n?", "", text, flags=re.DOTALL | re.MULTILINE)
