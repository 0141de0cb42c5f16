"""Settings that the tests of all rooms share: the profile of hypothesis, and a local time zone that is not UTC."""

import os
import time

import pytest
from hypothesis import settings

# No time limit and a fixed seed: the examples do not depend on the speed of the machine, and every run has the same.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")

os.environ.setdefault("MPLBACKEND", "Agg")
# As the command line sets it; see `pipelines.__main__`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Clusters and agents run in UTC, laptops do not: in another zone a test shows code that takes local time for UTC.
os.environ["TZ"] = "Australia/Adelaide"
time.tzset()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make a test that is a proof on JVM Spark one there: the same test runs on the embedded engine every time."""
    for item in items:
        if item.get_closest_marker("proof_on_jvm") and item.get_closest_marker("jvm"):
            item.add_marker(pytest.mark.proof)
