"""``wheel``: build the wheel of the current commit into ``dist/``."""

import argparse
import sys

from infra.build.reproducible_wheel import WheelBuildError, build_wheel, has_uncommitted_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options; which code it is, the commit says."""
    parser.add_argument("--expect", metavar="SHA256", help="refuse a wheel of any other hash, and leave none behind")
    parser.epilog = "The same commit gives the same bytes. Run it before a deployment: Terraform uploads the file."


def run(args: argparse.Namespace) -> int:
    """Build and print what was built; 2 if it cannot be built or is not the expected one."""
    try:
        release = build_wheel(expect=args.expect)
        if has_uncommitted_changes():
            print("note: the tree has changes that are not committed; the wheel does not hold them", file=sys.stderr)
    except WheelBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{release.wheel_path}\nsha256 {release.sha256}")
    return 0
