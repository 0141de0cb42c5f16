"""The error of an engine that cannot start: its own module, because engines raise it and `engines` loads them lazily."""

from ml.spec.errors import LakehouseError


class EngineUnavailableError(LakehouseError, RuntimeError):
    """An engine that cannot start here; the message names what is missing and the remedy."""
