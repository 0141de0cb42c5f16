"""Settings that the tests of all rooms share: the profile of hypothesis, and a local time zone that is not UTC."""

import os
import time

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.as_shipped import ROOT, own_files

# No time limit and a fixed seed: the result does not depend on the speed of the machine, and every run has the same examples.
settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

os.environ.setdefault("MPLBACKEND", "Agg")
# As the command line sets it; see `pipelines.__main__`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Clusters and agents run in UTC, laptops do not: in another zone a test shows code that takes local time for UTC.
os.environ["TZ"] = "Australia/Adelaide"
time.tzset()


GIB_OF_A_PROCESS = 3
"""What one process of the suite needs at its peak, with its engine and the programs that it starts, in GiB."""


def pytest_report_header() -> str:
    """Say in a company's copy why tests of the product may fail there, and how they are run."""
    own = own_files(ROOT)
    if not own:
        return ""
    return f"{own[0]} is not as shipped: the tests of the product run by `python tests/as_shipped.py pytest OPTIONS`"


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts: one more than there are cores, as far as the memory goes, and two at least.

    Tests wait for the programs that they start, and another one runs meanwhile.
    """
    cores = psutil.cpu_count() or 1
    return max(2, min(cores + 1, psutil.virtual_memory().available // (GIB_OF_A_PROCESS * 1024**3)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make a test that is a proof on JVM Spark one there: the same test runs on the embedded engine every time.

    Of several processes (`--dist loadgroup`) one takes all tests on JVM Spark, so that one server is started; the others
    take a file each.
    """
    for item in items:
        on_jvm = item.get_closest_marker("jvm") is not None
        if on_jvm and item.get_closest_marker("proof_on_jvm"):
            item.add_marker(pytest.mark.proof)
        item.add_marker(pytest.mark.xdist_group("jvm" if on_jvm else item.nodeid.partition("::")[0]))
