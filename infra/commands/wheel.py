"""``wheel``: build the wheel of the current commit into ``dist/``."""

import argparse
import sys

from infra.wheel import WheelError, build_wheel, has_uncommitted_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options: none, the commit says everything."""
    parser.epilog = "The same commit gives the same bytes. Run it before a deployment: Terraform uploads the file."


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 # every command takes its arguments
    """Build and print what was built."""
    try:
        release = build_wheel()
        if has_uncommitted_changes():
            print("note: the tree has changes that are not committed; the wheel does not hold them", file=sys.stderr)
    except WheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{release.wheel_path}\nsha256 {release.sha256}")
    return 0
