"""When a request to a workspace is repeated, and for how long: throttled, lost on the way, or failed in the workspace.

The SDK repeats what was throttled (429, 503) and what got lost; `Patience`, the clock that it is given, prints the
reason and sets the limits. `pipelines.remote.connection.Remote.ask` repeats what failed in the workspace (other 5xx).
Each request may be sent twice: runs are started with a token that makes the second one harmless.
"""

import sys
from collections.abc import Callable

import requests
from databricks.sdk.clock import Clock

from pipelines.remote.errors import UnreachableError, as_remote_error, message_of

ANSWER_WITHIN_SECONDS = 60
PATIENCE_SECONDS = 300
"""The longest time for which one request is repeated."""
LONGEST_WAIT_SECONDS = 120
"""A throttled request (429, 503) whose answer asks for a longer wait is not repeated."""
PROBE_SECONDS = 1
"""The SDK asks the host once before it uses our clock; that request is not repeated."""
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""The waits between repetitions of a request that failed in the workspace (5xx)."""


class Patience(Clock):
    """The clock by which the SDK and we wait: it prints the reason, and refuses a wait that is useless or too long.

    Attributes
    ----------
    host
        The workspace that is waited for.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self.host = "the workspace"
        self._clock, self._say = clock, say
        self._answered = False

    def time(self) -> float:
        """Return the present, seconds since 1970."""
        return self._clock.time()

    def pause(self, seconds: float) -> None:
        """Wait between two requests, without a message."""
        self._clock.sleep(seconds)

    def note_answer(self) -> None:
        """Note that the workspace has answered once: from now on a lost connection is waited for."""
        self._answered = True

    def sleep(self, seconds: float) -> None:
        """Wait before the SDK repeats a request that failed.

        Raises
        ------
        UnreachableError
            If the workspace has never answered, or asks to wait longer than `LONGEST_WAIT_SECONDS`.
        """
        # The SDK calls this while it handles the error that is the reason.
        error = sys.exception()
        if isinstance(error, requests.ConnectionError) and not self._answered:
            raise as_remote_error(error, host=self.host, doing="ask it anything")
        asked = getattr(error, "retry_after_secs", None)
        if asked is not None and asked > LONGEST_WAIT_SECONDS:
            raise UnreachableError(
                f"{self.host} asks to wait {asked} s before the next request, longer than the {LONGEST_WAIT_SECONDS} s "
                "that are waited for. Try again later."
            )
        why = f"asks to wait ({message_of(error)})" if error is not None and asked is not None else "did not answer"
        self._say(f"{self.host} {why}: asking again in {seconds:.0f} s")
        self._clock.sleep(seconds)
