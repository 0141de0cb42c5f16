"""The synthesized stacks, and a copy of them to break, as the checks' tests have them."""

from tests.infra.checks.conftest import edited, shipped

__all__ = ["edited", "shipped"]
