"""Processor time of the shortest commands against an interpreter that does nothing: ``python -m benchmarks.startup``."""

import os
import resource
import statistics
import subprocess
import sys

from benchmarks.limits import Figure, Limit, judge
from infra.build.release import ROOT

INTERPRETER = "python -c pass"
COMMANDS = {
    "pipelines --help": ("-m", "pipelines", "--help"),
    "pipelines --version": ("-m", "pipelines", "--version"),
    "pipelines list": ("-m", "pipelines", "list"),
    "infra --help": ("-m", "infra", "--help"),
    "infra --version": ("-m", "infra", "--version"),
}
AT_MOST = {"pipelines list": 12}
"""It reads every declared use case; the others read none, and have 10."""
LIMITS = tuple(
    Limit(what=f"processor time of {name}", alternative=INTERPRETER, at_most=AT_MOST.get(name, 10)) for name in COMMANDS
)
RUNS = 15


def main() -> int:
    """Measure each command and the interpreter in turn; return 1 if one is above its limit."""
    figures = []
    for limit, words in zip(LIMITS, COMMANDS.values(), strict=True):
        _processor_seconds(words)  # compiles what is not compiled yet
        own, alone = [], []
        for _ in range(RUNS):
            own.append(_processor_seconds(words))
            alone.append(_processor_seconds(("-c", "pass")))
        figures.append(
            Figure(limit=limit, seconds=statistics.median(own), alternative_seconds=statistics.median(alone))
        )
    return judge(figures)


def _processor_seconds(words: tuple[str, ...]) -> float:
    """Return the user and system time of one process, in seconds; its modules may be kept compiled."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *words], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
