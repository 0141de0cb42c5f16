"""What the tests of all rooms share: how hypothesis searches, and that nothing leaves this machine."""

import os

from hypothesis import settings

# One machine is slower than another: what is found must not depend on it, and every run finds the same.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")

os.environ.setdefault("MPLBACKEND", "Agg")
