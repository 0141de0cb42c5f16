"""Every page of the documentation: its commands exist with their options, its links lead somewhere, readers find it."""

import re
from pathlib import Path

import pytest

from tests.azuredevops.pipeline_commands import check

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "ml" / "README.md", ROOT / "README.md"])
OURS = (".venv/bin/python ", ".venv/bin/pytest ", "make ")
OTHERS = {"az", "databricks", "export", "git", "npm", "npx", "uv", "terraform"}
"""Programs of others that a page may name; what we can parse is parsed, theirs is theirs."""
EXAMPLES = {"late_departures": "flight_delay"}
"""Names in examples that do not exist yet, and what stands for them here."""


def commands(page: Path) -> list[str]:
    """The lines of the page's shell blocks, those that go on in one."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


ALL = [
    pytest.param(page, line, id=f"{page.relative_to(ROOT)}: {line[:70]}") for page in PAGES for line in commands(page)
]


def test_there_are_pages_and_commands() -> None:
    """What follows would pass on empty pages."""
    assert len(PAGES) >= 8
    assert len(ALL) > 60


@pytest.mark.parametrize(("page", "line"), ALL)
def test_every_command_is_one(page: Path, line: str) -> None:
    """Parsed by the program's own parser; a renamed option or a program that nobody was told of fails here."""
    words = re.sub(r'"\$\([^"]*\)"', "value", line)
    words = re.sub(r"^(\w+=\S+ )+", "", words)
    for name, real in EXAMPLES.items():
        words = words.replace(name, real)
    if words.startswith(OURS):
        check(words)
    else:
        assert words.split()[0] in OTHERS, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and within it to a heading that is there."""
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
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_named_in_the_readme() -> None:
    """A page that nobody finds is for no one."""
    linked = set(re.findall(r"\]\(((?:docs|ml)/[\w-]+\.md)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {str(page.relative_to(ROOT)) for page in PAGES} - linked == {"README.md"}
