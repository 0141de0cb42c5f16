"""Counts the documented commands, and those that a test runs: ``python -m benchmarks.documented``."""

import sys
from collections import Counter

from tests.documented_commands import PAGES, RUN_WHOLE, commands, why_not_run


def main() -> int:
    """Print the counts; the others have their reason, and every one is read by its program's own parser (tests/test_docs.py)."""
    found = [(page, line) for page in PAGES for line in commands(page)]
    reasons = Counter(why_not_run(page, line) for page, line in found)
    print(
        f"  {len(found)} documented commands on {len({page for page, _ in found})} pages; a test runs {reasons.pop('')} of them"
    )
    print(
        f"  from top to bottom: {', '.join(RUN_WHOLE)}; the others each in a fresh clone (tests/test_documented_commands.py)"
    )
    for why, count in reasons.most_common():
        print(f"  {count} only read by the parser of their program: each {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
