"""What the tests of all rooms share: how hypothesis searches, that nothing leaves this machine, and a zone that is not UTC."""

import os
import time

from hypothesis import settings

# One machine is slower than another: what is found must not depend on it, and every run finds the same.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")

os.environ.setdefault("MPLBACKEND", "Agg")
# As the command line sets it; see `pipelines.__main__`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Machines of clusters and pipelines keep UTC, those of people do not: what takes local time for UTC must show here.
os.environ["TZ"] = "Australia/Adelaide"
time.tzset()
