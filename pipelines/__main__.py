"""``python -m pipelines``: the one entry point, on a laptop and on a cluster.

The command ``mlops`` is the same program; it has the infrastructure's commands too, as ``mlops infra``.
"""

if __name__ == "__main__":  # before anything that takes long to import
    from pipelines.command_line.interrupts import end_on_interrupt

    end_on_interrupt()

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from pipelines.command_line.agent_output import print_plainly
from pipelines.command_line.program import Command, Program, end_process, run_program

_TOPICS = {
    "Declare": {
        "new": "make the folder of a new use case from templates",
        "check": "check what use cases declare, the code that they name included",
        "list": "list the declared jobs, their tasks and parameters",
    },
    "Run jobs": {
        "run": "run a job",
        "first-run": "run the jobs of a new environment once, in the right order",
        "task": "run one task of a job",
        "backfill": "read a window of the sources again and bring up to date what depends on it",
        "integration": "run every job on a window of the data, check what it wrote, clean up",
    },
    "Look": {
        "status": "show champions, last runs and findings of an environment",
        "ui": "serve one page for all environments, with MLflow's own, on this machine",
        "report": "write what happened, and why, as one HTML file",
        "assets": "show tables and models: owner, keys, writers, readers, versions",
        "features": "show the feature tables that use cases share: owner, key, freshness, readers",
        "alerts": "list every alert: its words, how urgent it is, whose, and the first command",
        "explain": "say by how much each input moved the score of a request",
    },
    "Move and serve models": {
        "promote": "copy a model to the next environment and promote it there if it is better",
        "rollback": "give the alias champion back to the previous champion",
        "reproduce": "train a version again and compare the metrics",
        "serve": "answer requests in real time with the champion, on this machine",
    },
    "Pause, repair and keep": {
        "schedules": "pause the schedules of a deployed environment at once, or resume them",
        "doctor": "find what killed processes left behind, and repair it",
        "backup": "copy all local environments into a folder with checksums",
        "restore": "bring a backup of the local environments back",
        "branch": "list the branches of use cases in a local environment, or remove one",
        "smoke": "prove that a deployed environment is what was released",
    },
}
BARE = {"list": "pipelines.commands.job_tables:print_jobs"}
COMMANDS = {
    name: Command(
        module=f"pipelines.commands.{name.replace('-', '_')}", help=help_line, topic=topic, bare=BARE.get(name, "")
    )
    for topic, commands in _TOPICS.items()
    for name, help_line in commands.items()
}
if importlib.util.find_spec("pipelines.demo"):
    # The demonstration is no part of the product: a company may delete its folder, and the command goes with it.
    COMMANDS["demo"] = Command(
        module="pipelines.demo.command",
        help="run a year of flights in three environments and write a report",
        topic="See everything at once",
    )
DESCRIPTION = (
    "Jobs, models and their environments: what data teams run on a laptop, and what deployed jobs run on a cluster."
)
EXAMPLES = (
    "python -m pipelines new late_departures --team revenue",
    "python -m pipelines list",
    "python -m pipelines check flight_delay",
    "python -m pipelines run flight_delay.features --env dev --param until=2013-02-01",
    "python -m pipelines run flight_delay.training --env dev --skip train_logistic_regression",
    "python -m pipelines run flight_delay.training --env staging --remote --cancel-on-interrupt",
    "python -m pipelines status --env prod --root demo",
    "python -m pipelines integration --env staging",
    "python -m pipelines promote air_time --from staging --to prod",
    'python -m pipelines rollback flight_delay --env prod --reason "its scores are stuck since the new feed"',
    "python -m pipelines reproduce flight_delay 3 --env prod",
    "python -m pipelines serve flight_delay --env dev",
    "python -m pipelines backup --to backups/monday",
)
PROGRAM = Program(name="python -m pipelines", description=DESCRIPTION, commands=COMMANDS, examples=EXAMPLES)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run_program(PROGRAM, argv)


def mlops() -> NoReturn:
    """Run one command of either program as ``mlops``; the infrastructure's come after ``infra``."""
    print_plainly()
    given = sys.argv[1:]
    has_infra = importlib.util.find_spec("infra") is not None  # not in the wheel
    if has_infra and given[:1] == ["infra"]:
        program = replace(importlib.import_module("infra.__main__").PROGRAM, name="mlops infra")
        end_process(run_program(program, given[1:]))
    infra = {
        "infra": Command(
            module="infra.__main__", topic="Environments", help="synthesize, check, review and deploy the environments"
        )
    }
    program = replace(PROGRAM, name="mlops", commands={**COMMANDS, **(infra if has_infra else {})})
    end_process(run_program(program, given))


if __name__ == "__main__":
    print_plainly()
    end_process(main())
