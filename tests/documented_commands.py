"""Which commands of the pages a test runs, and why none runs the others: ``python -m benchmarks documented`` counts them."""

import re
import shlex
from collections.abc import Mapping, Sequence
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
SETS = re.compile(r"export (\w+)=([\w.:/=-]+)")
"""A line that sets a variable for those after it."""
CLOUD = "tests/infra/rehearsal/test_documented_deployment.py"
RUN_IN_CLOUD: Mapping[str, str] = {
    "platform.md": r"infra (ready|bootstrap) ",
    "first-day.md": r"infra ready ",
    "releases.md": r"infra (plan prod|kept|apply prod|rollback prod|drift prod)|infra review --plan |^terraform "
    r"|^npx cdktf destroy |^export TERRAFORM_BINARY_NAME=",
    "delivery.md": r"infra kept ",
    "branches.md": r"--remote$|infra branch new_gate (?!.*--offline)",
    "on-call.md": r"mlops (schedules|status) ",
    "operations.md": r"pipelines (status|smoke) --env \w+ --remote|^export DATABRICKS_HOST=",
    "run-books.md": r"(pipelines|mlops) status --env prod --remote$",
}
"""Page to the commands that `CLOUD` runs in emulated environments, each as the identity that the page names."""
LOOPBACK = "tests/pipelines/remote/test_operations_guide.py"
RUN_ON_LOOPBACK: Mapping[str, str] = {
    "jobs.md": r"mlops run .* --remote",
    "operations.md": r"pipelines run .* --remote",
    "run-books.md": r"pipelines (run|rollback|promote|backfill) .*--remote",
}
"""Page to the commands that `LOOPBACK` runs against a workspace on the loopback address, which has deployed jobs and no data."""
TRIAL = "tests/infra/rehearsal/test_documented_trial.py"
BY_CDKTF = r"^npx cdktf |^export |first-run"
"""The commands that `TRIAL` runs in the emulated subscription of a trial, with the real cdktf command line where it is installed."""
SERVED = "tests/pipelines/serving/test_served_flights.py"
DEVOPS = "tests/infra/devops/test_set_up.py"
RUN_ELSEWHERE: Sequence[tuple[str, str, str]] = (
    ("CONTRIBUTING.md", r"infra version|^git ", "tests/infra/build/test_versioning.py"),
    ("first-day.md", BY_CDKTF, TRIAL),
    ("forks.md", r"^git ", "tests/infra/releases/test_forks.py"),
    ("models.md", r"pipelines explain ", "tests/pipelines/scaffold/test_new_use_case.py"),
    ("platform.md", BY_CDKTF, TRIAL),
    ("rehearsal.md", r"infra cloud |^make cloud$", "tests/infra/emulated_cloud/test_command.py"),
    ("platform.md", r"infra devops ", DEVOPS),
    (
        "rehearsal.md",
        r"infra rehearse --(extent short|scenario interrupted$)",
        "tests/infra/rehearsal/test_rehearsal.py",
    ),
    ("rehearsal.md", r"infra rehearse --scenario branches$", "tests/infra/rehearsal/test_branches.py"),
    ("operations.md", r"first-run --env dev --remote$", TRIAL),
    ("releases.md", r"infra devops ", DEVOPS),
    ("run-books.md", r"^curl ", SERVED),
    ("serving.md", r"^(curl |export TOKEN=)|pipelines serve ", SERVED),
    ("shared-features.md", r"parcels\.depots", "tests/pipelines/declarations/test_shared_features.py"),
    ("telemetry.md", r"^export (MLOPS_TELEMETRY=otlp|OTEL_)", "tests/pipelines/telemetry/test_receivers.py"),
)
"""Page, its commands, and the test that runs them with the words of the page, which it takes from `lines_of`."""
PREPARED: Mapping[str, Sequence[str]] = {
    "delivery.md": (
        "air_time.features --env staging --root demo --param until=2013-04-01",
        "air_time.features --env prod --root demo --param until=2013-04-01",
        "air_time.training --env staging --root demo --param until=2013-03-10 --param evaluation_days=14",
    ),
    "operations.md": (
        "flight_delay.features --env dev --param until=2013-03-01",
        "flight_delay.training --env dev --param until=2013-02-19 --param evaluation_days=21 --param sample=0.2 --run-id 20130219T000000.000000",
    ),
    "run-books.md": ("air_time.features --env prod --root demo --param until=2013-02-01",),
    "shared-features.md": ("air_time.features --env prod --root demo --param until=2013-02-01",),
    "writes.md": ("flight_delay.features --env dev --param until=2013-03-01",),
}
"""Page to the runs of jobs that the page takes for granted: a short life of what `make demo` makes, or an earlier run."""
LOST: Mapping[str, str] = {"pipelines restore ": "demo"}
"""Part of a command to the folder that is lost before it."""
STATED: Mapping[str, tuple[str, str]] = {"branches.md": ("infra/settings/dev.yaml", "branches: true")}
"""Page to the line that it lets its reader add to a file before its commands."""
FILLED: Mapping[str, tuple[str, str]] = {"releases.md": ("SHA256", r"^sha256 (\w+)$")}
"""Page to a word that stands for what an earlier command of the page has printed, and how that is found."""
ENDS: Mapping[str, int] = {"infra rollback dev --offline --dry-run": 2}
"""End of a command to its exit code, where the page says that it refuses."""
GOES_ON: Mapping[str, str] = {
    "branches.md": r"pipelines .*--env dev(?! --remote)",
    "delivery.md": r"--root demo|^git ",
    "operations.md": r"pipelines task ",
    "own-data.md": r"returns",
    "platform.md": r"--judged-by",
    "releases.md": r"infra (apply|drift|rollback) dev --offline|--expect SHA256",
    "run-books.md": r"features --env dev|doctor --env dev|--root demo",
    "shared-features.md": r"--root demo",
    "telemetry.md": r"^export MLOPS_TELEMETRY=file|air_time\.features|status --env dev",
    "writes.md": r"backfill .*--env dev",
}
"""Page to the commands that read what an earlier command, or what the page says is there, has made: they are run too."""
NOT_RUN: Mapping[str, str] = {
    r"--engine databricks": "needs Databricks itself",
    r"infra rehearse |(first-run|integration) .*--remote": "runs every job of a deployed environment once more",
    r"pipelines integration --env staging": "takes minutes of every job; tests of the command and of its steps do that",
}
"""Pattern of a command of ours to why no test runs it; the first that fits is given."""
OTHERS: Mapping[str, str] = {
    r"^az ": "signs a person in, or changes a company's tenant and network",
    r"^databricks ": "puts a secret into a workspace",
    r"^(npm|uv) |make setup": "installs packages",
    r"^make audit": "asks an index about every package",
    r"^make (demo|rehearse)": "takes many minutes; tests run its parts",
    r"^make (test|check)|pytest ": "is the suite, or a part of it",
}
"""The same of other programs."""


def commands(page: Path) -> list[str]:
    """Return the commands of the page's shell blocks; a command continued over several lines is one."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def own_words(line: str) -> list[str]:
    """Return the words of a command of ours, without the program."""
    return shlex.split(line)[1 if line.startswith(".venv/bin/mlops ") else 3 :]


def run_by(page: Path, line: str) -> str:
    """Return the test that runs a command of a page with the words of the page; empty if none of those with pages of their own."""
    tests = [(pattern, test) for name, pattern, test in RUN_ELSEWHERE if name == page.name]
    tests += [(RUN_IN_CLOUD.get(page.name, "(?!)"), CLOUD), (RUN_ON_LOOPBACK.get(page.name, "(?!)"), LOOPBACK)]
    whole = "" if line.startswith("make ") else RUN_WHOLE.get(page.name, "")
    return whole or next((test for pattern, test in tests if re.search(pattern, line)), "")


def lines_of(test: str) -> list[tuple[str, str]]:
    """Return page and words of each command that a test has to run, in the order of the pages; each only once on a page."""
    found = [(page.name, line) for page in PAGES for line in commands(page) if run_by(page, line) == test]
    return list(dict.fromkeys(found))


def why_not_run(page: Path, line: str) -> str:
    """Return why no test runs a command; empty if one does."""
    if run_by(page, line) or re.search(GOES_ON.get(page.name, "(?!)"), line):
        return ""
    reasons = NOT_RUN if line.startswith(OURS) else OTHERS
    return next((why for pattern, why in reasons.items() if re.search(pattern, line)), "")


def run_by_themselves() -> dict[str, list[str]]:
    """Return the commands that need nothing but a clone, in the order of their page, by its name."""
    found = {
        page.name: [line for line in commands(page) if not why_not_run(page, line) and not run_by(page, line)]
        for page in PAGES
    }
    return {name: lines for name, lines in found.items() if lines}
