"""Build the wheel of the current commit into dist/.

Examples
--------
  python -m infra wheel
  python -m infra wheel --expect SHA256
"""

import sys

from infra.build.reproducible_wheel import build_wheel, has_uncommitted_changes
from infra.commands.options import Expect

EPILOG = "The same commit gives the same bytes. Run it before a deployment: Terraform uploads the file."


def run(
    expect: Expect = None,
) -> int:
    """Build and print what was built; 2 if it cannot be built or is not the expected one."""
    release = build_wheel(expect=expect)
    if has_uncommitted_changes():
        print("note: the tree has changes that are not committed; the wheel does not contain them", file=sys.stderr)
    print(f"{release.wheel_path}\nsha256 {release.sha256}")
    return 0
