"""Counts the documented commands, and those that a test runs: ``python -m benchmarks.documented``."""

import sys
from collections import Counter

from tests.documented_commands import PAGES, commands, run_by, why_not_run

CLONE = "tests/test_documented_commands.py"


def main() -> int:
    """Print the counts; those that are not run have their reason, and each is read by its program's parser or held against its help (tests/test_docs.py)."""
    found = [(page, line) for page in PAGES for line in commands(page)]
    reasons = Counter(why_not_run(page, line) for page, line in found)
    tests = Counter(run_by(page, line) or CLONE for page, line in found if not why_not_run(page, line))
    print(
        f"  {len(found)} documented commands on {len({page for page, _ in found})} pages; a test runs {reasons.pop('')} of them"
    )
    for test, count in tests.most_common():
        print(f"  {count} by {test}")
    for why, count in reasons.most_common():
        print(f"  {count} only looked at, with their options: each {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
