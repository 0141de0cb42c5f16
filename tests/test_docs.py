"""Every page of the documentation: its commands exist with their options, its links resolve, the README links to it."""

import re
from pathlib import Path

import pytest

from tests.azuredevops.pipeline_commands import check
from tests.documented_commands import PAGES, ROOT, commands

OURS = (".venv/bin/python ", ".venv/bin/pytest ", "make ")
SHORT = {".venv/bin/mlops infra": ".venv/bin/python -m infra", ".venv/bin/mlops": ".venv/bin/python -m pipelines"}
"""The short command is either program."""
OTHERS = {"az", "curl", "databricks", "export", "git", "npm", "npx", "uv", "terraform"}
"""Programs of others that a page may name; what we can parse is parsed, theirs is theirs."""
LONG = 150
"""Lines above which a page begins with its contents: more than a reader scrolls through to find his part."""
GUIDES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "ml" / "README.md"]
EXAMPLES = {"late_departures": "flight_delay", "returns": "flight_delay"}
"""Names in examples that do not exist yet, and what stands for them here."""


ALL = [
    pytest.param(page, line, id=f"{page.relative_to(ROOT)}: {line[:70]}") for page in PAGES for line in commands(page)
]


def test_there_are_pages_and_commands() -> None:
    """The search finds the pages and their commands, so that the tests below do not pass on nothing."""
    assert len(PAGES) >= 8
    assert len(ALL) > 60


@pytest.mark.parametrize(("page", "line"), ALL)
def test_every_command_exists_with_its_options(page: Path, line: str) -> None:
    """The program's own parser accepts our commands; every other program is on the list of those a page may name."""
    words = re.sub(r'"\$\([^"]*\)"', "value", line)
    words = re.sub(r"^(\w+=\S+ )+", "", words)
    for short, long in SHORT.items():
        words = words.replace(short, long, 1) if words.startswith(short) else words
    for name, real in EXAMPLES.items():
        words = words.replace(name, real)
    if words.startswith(OURS):
        check(words)
    else:
        assert words.split()[0] in OTHERS, f"{page.name}: {line}"


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
