"""Command line of the infrastructure: ``python -m infra COMMAND``.

The cdktf command line starts it as ``python -m infra synth`` too (see ``cdktf.json``), so both write the same JSON.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from infra.commands import COMMANDS
from infra.config.loading import SettingsError
from pipelines.declarations.mistakes import DeclarationError, unknown

EXAMPLES = """examples:
  python -m infra synth                 write cdktf.out/stacks/*/cdk.tf.json
  python -m infra describe dev          what dev consists of, by stack and type
  python -m infra matrix                who may do what in which environment
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv
        The arguments without the program's name; by default those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m infra",
        description="Three isolated environments as Terraform stacks.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    if asked is not None and asked not in COMMANDS:
        print(unknown("command", asked, COMMANDS), file=sys.stderr)
        return 2
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.help)
        if name == asked:
            # The others stay unimported: asking for one must not load cdktf, Checkov and gRPC.
            module = importlib.import_module(command.module)
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except (SettingsError, DeclarationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        told = f"{error.filename} cannot be used ({error.strerror}): name another." if error.filename else error
        print(f"error: {told}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
