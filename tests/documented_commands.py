"""Which commands of the pages a test runs, which only the program's own parser reads, and why: ``python -m benchmarks documented`` counts them."""

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOT_PAGES = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md")]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "ml" / "README.md", *ROOT_PAGES])
RUN_WHOLE: Mapping[str, str] = {
    "laptop.md": "tests/test_readme.py",
    "add-a-use-case.md": "tests/pipelines/scaffold/test_new_use_case.py",
}
"""Pages whose commands a test of their own runs from top to bottom, but for ``make``."""
OURS = (".venv/bin/python -m ", ".venv/bin/mlops ")
SETS = re.compile(r"export (\w+)=([\w.:/-]+)")
"""A line that sets a variable for those after it."""
STATED: Mapping[str, tuple[str, str]] = {"branches.md": ("infra/settings/dev.yaml", "branches: true")}
"""Page to the line that it lets its reader add to a file before its commands."""
FILLED: Mapping[str, tuple[str, str]] = {"releases.md": ("SHA256", r"^sha256 (\w+)$")}
"""Page to a word that stands for what an earlier command of the page has printed, and how that is found."""
GOES_ON: Mapping[str, str] = {
    "branches.md": r"pipelines .*--env dev(?! --remote)",
    "releases.md": r"infra (apply|drift) dev --offline",
    "telemetry.md": r"^export MLOPS_TELEMETRY=file|air_time\.features|status --env dev",
    "run-books.md": r"features --env dev|doctor --env dev",
}
"""Page to the commands that read what an earlier command of the same page has made: they are run too."""
NOT_RUN: Mapping[str, str] = {
    r"--remote|--engine databricks|infra branch \w+ .*(flight_delay|--apply)$|infra (devops|ready|bootstrap|apply prod|rollback prod|plan prod|drift prod)": "needs a deployed environment or a signed-in Azure",
    r"\b(SHA256|FOLDER|LOCK_ID|ADDRESS|NAME)\b|orders\.csv|parcels\.depots|late_departures|returns|815": "has a value that the reader puts in",
    r"infra (cloud|rehearse)|pipelines (ui|serve)\b": "serves until it is ended, or rehearses for minutes; tests of their own do that",
    r"--root demo|--env (dev|staging|prod)(?! --remote)|infra (kept|drift dev|rollback dev)|--plan |--judged-by|version \d": "reads what an earlier command has made",
}
"""Pattern of a command to why `tests/test_documented_commands.py` does not run it; the first that fits is given."""


def commands(page: Path) -> list[str]:
    """Return the commands of the page's shell blocks; a command continued over several lines is one."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def why_not_run(page: Path, line: str) -> str:
    """Return why no test runs a command; empty if one does."""
    if line.startswith("make "):
        return "is the whole suite or a set-up"
    if page.name in RUN_WHOLE or re.search(GOES_ON.get(page.name, "(?!)"), line):
        return ""
    if not line.startswith(OURS):
        return "is of another program"
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), "")


def run_by_themselves() -> dict[str, list[str]]:
    """Return the commands that need nothing but a clone, in the order of their page, by its name."""
    found = {
        page.name: [line for line in commands(page) if not why_not_run(page, line)]
        for page in PAGES
        if page.name not in RUN_WHOLE
    }
    return {name: lines for name, lines in found.items() if lines}
