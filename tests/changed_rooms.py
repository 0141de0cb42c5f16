"""Prints the tests that a change since the last commit can affect; ``make check`` runs them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
OWN_TESTS = "tests/own"
"""The tests of a company's own use cases; see `tests.as_shipped`."""
PAGES = (".md", ".svg", ".png")
DECLARED = ("tests/azuredevops", "tests/infra", "tests/pipelines")
TESTED_IN = {
    "ml/spec/": ("tests/benchmarks", "tests/ml", *DECLARED),
    "ml/": ("tests/benchmarks", "tests/infra/checks", "tests/infra/constructs", "tests/ml", "tests/pipelines"),
    "pipelines/__main__.py": DECLARED,
    "pipelines/command_line/": DECLARED,
    "pipelines/declarations/": (*DECLARED, "tests/benchmarks"),
    "pipelines/on_call/": DECLARED,
    "pipelines/telemetry/": DECLARED,
    "pipelines/use_cases/": DECLARED,
    "pipelines/scoring/": (
        "tests/infra/checks",
        "tests/infra/constructs",
        "tests/infra/emulated_cloud",
        "tests/infra/stacks",
        "tests/pipelines",
    ),
    "pipelines/commands/": ("tests/azuredevops", "tests/infra/checks", "tests/pipelines"),
    "pipelines/": ("tests/infra/checks", "tests/infra/constructs", "tests/infra/emulated_cloud", "tests/pipelines"),
    "infra/": (*DECLARED, "tests/benchmarks"),
    "benchmarks/": (
        "tests/azuredevops",
        "tests/benchmarks",
        "tests/infra/releases",
        "tests/infra/terraform_cli",
        "tests/ml",
        "tests/pipelines",
    ),
    ".azuredevops/": ("tests/azuredevops", "tests/infra/devops", "tests/pipelines/integration"),
}
"""Beginning of a path to the tests of all code that imports or reads it; the first entry that fits counts."""
ALWAYS = ("tests/test_docs.py", "tests/test_documented_commands.py", "tests/test_glossary.py", "tests/test_readme.py")
"""They read the pages, the command lines and the class names of all rooms."""


def affected_tests(path: str) -> set[str]:
    """Return the test folders and modules to run after a change of a path; the whole suite where none is known."""
    file = Path(path)
    if file.suffix in PAGES:
        return {*ALWAYS, *_naming(file.name)}
    if path.startswith(f"{OWN_TESTS}/"):
        return set()  # they always run, where they are
    if path.startswith("tests/"):
        alone = file.name.startswith("test_") and (ROOT / path).exists()
        return {path if alone else "/".join(file.parts[:2]) if len(file.parts) > 2 else "tests"}
    return {*ALWAYS, *next((tests for start, tests in TESTED_IN.items() if path.startswith(start)), ["tests"])}


def _naming(page: str) -> set[str]:
    """Return the test modules that name a page, and for a module without tests its folder; those beside `ALWAYS` are its own."""
    found = [file for file in (ROOT / "tests").rglob("*.py") if page in file.read_text(encoding="utf-8")]
    named = {file if file.name.startswith("test_") else file.parent for file in found if file.parent != ROOT / "tests" or file.name.startswith("test_")}  # fmt: skip
    return {str(one.relative_to(ROOT)) for one in named}


if __name__ == "__main__":
    git = ["git", "-C", str(ROOT)]
    listed = [["diff", "--name-only", "HEAD"], ["ls-files", "--others", "--exclude-standard"]]
    changed = [line for args in listed for line in subprocess.check_output([*git, *args], text=True).splitlines()]
    chosen = {test for path in changed for test in affected_tests(path)}
    print("tests" if "tests" in chosen else " ".join(sorted(chosen)) or "tests")
