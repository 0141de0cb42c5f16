"""Counts what axe-core finds on every page at 1280 and 390 pixels, as from disk and as served: ``python -m benchmarks.pages``."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.pipelines.report.pages_in_a_browser import SERIOUS, looked_at
from tests.pipelines.report.test_pages_in_a_browser import pages


def main() -> int:
    """Print the findings of each page by severity; return 1 if one is serious, or if a page is wider than its window."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            looked = looked_at(pages(), Path(folder))
    except pytest.skip.Exception as skipped:
        print(f"  {skipped.msg}")
        return 0
    wrong = False
    for (name, width), found in looked.items():
        counted = Counter(one["impact"] for one in found["found"])
        said = ", ".join(f"{count} {impact}" for impact, count in counted.items()) or "no finding"
        print(f"  {name} at {width} pixels: {said} of axe-core; {max(0, found['wide'])} pixels wider than its window")
        wrong |= found["wide"] > 0 or any(counted[impact] for impact in SERIOUS)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
