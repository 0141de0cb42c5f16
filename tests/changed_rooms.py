"""Prints the test folders of the rooms that differ from the last commit, and of the rooms that import those."""

import subprocess
from pathlib import Path

IMPORTED_BY = {"ml": {"ml", "pipelines"}, "pipelines": {"pipelines", "infra"}, "infra": {"infra"}}


def rooms(paths: list[str]) -> list[str]:
    """Return the test folders to run; the whole suite when something outside the rooms has changed."""
    changed = {path.removeprefix("tests/").partition("/")[0] for path in paths if not path.endswith(".md")}
    if not changed <= IMPORTED_BY.keys():
        return ["tests"]
    return sorted(f"tests/{room}" for name in changed for room in IMPORTED_BY[name])


if __name__ == "__main__":
    git = ["git", "-C", str(Path(__file__).parent.parent)]
    listed = [["diff", "--name-only", "HEAD"], ["ls-files", "--others", "--exclude-standard"]]
    found = [line for args in listed for line in subprocess.check_output([*git, *args], text=True).splitlines()]
    print(" ".join(sorted(set(rooms(found))) or ["tests"]))
