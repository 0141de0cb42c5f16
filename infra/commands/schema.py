"""``schema``: write the JSON Schemas of the settings files."""

import argparse

from infra.config.schema import write_schemas


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options: none."""
    parser.epilog = "Editors that know the YAML language server complete and check the settings with them."


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 # every command takes its arguments
    """Write the schemas and name them."""
    for path in write_schemas():
        print(path)
    return 0
