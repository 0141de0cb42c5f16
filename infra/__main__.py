"""Command line of the infrastructure: ``python -m infra COMMAND``.

The cdktf command line starts it as ``python -m infra synth`` too (see ``cdktf.json``), so both write the same JSON.
"""

if __name__ == "__main__":  # before anything that takes long to import
    from pipelines.command_line.interrupts import end_on_interrupt

    end_on_interrupt()

from collections.abc import Sequence

from infra.commands import COMMANDS
from pipelines.command_line.agent_output import print_plainly
from pipelines.command_line.program import Program, end_process, run_program

EXAMPLES = (
    "python -m infra synth                 write cdktf.out/stacks/*/cdk.tf.json",
    "python -m infra describe dev          what dev consists of, by stack and type",
    "python -m infra matrix                who may do what in which environment",
    "python -m infra plan --offline dev    what a first deployment would create, without a cloud",
    "python -m infra check                 what policy says about every stack",
    "python -m infra ready dev             what dev lacks before its first apply",
    "python -m infra drift prod            what differs from the last release",
)
PROGRAM = Program(
    name="python -m infra", commands=COMMANDS, examples=EXAMPLES,
    description="Three isolated environments as Terraform stacks: plan, check, review and release them, and prepare the cloud for them.",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv
        The arguments without the program's name; by default those of the process.
    """
    return run_program(PROGRAM, argv)


if __name__ == "__main__":
    print_plainly()
    end_process(main())
