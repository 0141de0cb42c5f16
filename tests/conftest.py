"""What the tests of all rooms share: how hypothesis searches, and that nothing leaves this machine."""

import os

from hypothesis import settings

# One machine is slower than another: what is found must not depend on it, and every run finds the same.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")

os.environ.setdefault("MPLBACKEND", "Agg")
# As the command line sets it; see `pipelines.__main__`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
