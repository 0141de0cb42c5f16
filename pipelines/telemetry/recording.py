"""What the rest of the product calls: spans, measurements and events; each does nothing while telemetry is off.

No library is loaded here, so a product that is switched off pays one look at a variable for each call.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from pipelines.telemetry.attributes import ERROR, LINE, MODULE, Attribute
from pipelines.telemetry.events import Event
from pipelines.telemetry.instruments import Instrument

OURS = ("ml", "pipelines", "infra")
Attributes = Mapping[Attribute, object]
NONE: Attributes = {}


class Noted(Protocol):
    """A span in progress."""

    def set(self, attribute: Attribute, value: object) -> None:
        """Note one more fact; a value of another kind than declared is left out."""

    def failed(self, error: BaseException) -> None:
        """Note that what the span is about has failed: with the class of the error and where it arose, not its message."""


class Telemetry(Protocol):
    """Telemetry that is switched on; `pipelines.telemetry.providers` has the one implementation."""

    @property
    def trace_id(self) -> str | None:
        """The id of the trace of the run in progress."""

    def span(
        self, name: str, attributes: Attributes, *, parent: Mapping[str, str] | None
    ) -> AbstractContextManager[Noted]:
        """Begin a span that ends with its block, and has failed if the block raises."""

    def measure(self, instrument: Instrument, value: float, attributes: Attributes) -> None:
        """Add a measurement."""

    def event(self, event: Event, attributes: Attributes) -> None:
        """Emit an event within the span in progress."""

    def flush(self, *, at_end: bool = False) -> None:
        """Send what waits, for a bounded time; a longer one at the end of what is recorded."""


class _Nothing:
    """A span while telemetry is off."""

    def __enter__(self) -> Noted:
        return self

    def __exit__(self, *_exception: object) -> None:
        """End nothing."""

    def set(self, attribute: Attribute, value: object) -> None:
        """Note nothing."""

    def failed(self, error: BaseException) -> None:
        """Note nothing."""


_NOTHING = _Nothing()
_active: Telemetry | None = None


@contextmanager
def active(telemetry: Telemetry) -> Iterator[None]:
    """Let the calls below go to `telemetry` as long as the block lasts, in every thread of this process."""
    global _active
    before, _active = _active, telemetry
    try:
        yield
    finally:
        _active = before


def span(
    name: str, attributes: Attributes = NONE, *, parent: Mapping[str, str] | None = None
) -> AbstractContextManager[Noted]:
    """Begin a span that ends with its block, and has failed if the block raises.

    Parameters
    ----------
    name
        Of few kinds: of what is declared, never of what a row holds.
    parent
        Headers of a request with the trace that its sender has begun; by default the span in progress is the parent.
    """
    return _NOTHING if _active is None else _active.span(name, attributes, parent=parent)


def measure(instrument: Instrument, value: float, attributes: Attributes = NONE) -> None:
    """Add a measurement of a declared metric."""
    if _active is not None:
        _active.measure(instrument, value, attributes)


def event(happened: Event, attributes: Attributes = NONE) -> None:
    """Emit a declared event within the span in progress."""
    if _active is not None:
        _active.event(happened, attributes)


def flush() -> None:
    """Send what waits, for a bounded time: what a killed process had not sent is lost."""
    if _active is not None:
        _active.flush()


def trace_id() -> str | None:
    """Return the id of the trace of the run in progress; None while telemetry is off."""
    return None if _active is None else _active.trace_id


def facts_of(error: BaseException) -> dict[Attribute, object]:
    """Return what may be said of an error: its class, and the last place of ours that it passed."""
    kind = type(error)
    found: dict[Attribute, object] = {ERROR: f"{kind.__module__}.{kind.__qualname__}"}
    trace = error.__traceback__
    while trace is not None:
        module, code = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_frame.f_code
        if module.partition(".")[0] in OURS:
            found |= {MODULE: f"{module}.{code.co_name}", LINE: trace.tb_lineno}
        trace = trace.tb_next
    return found
