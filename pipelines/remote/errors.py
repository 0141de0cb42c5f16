"""The errors of deployed environments, each one sentence with a remedy and an exit code.

The SDK's own errors become sentences here and nowhere else.
"""

import requests
from databricks.sdk.errors import (
    DeadlineExceeded,
    InternalError,
    PermissionDenied,
    TemporarilyUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError

from ml.spec.errors import LakehouseError

GATEWAY_CODES = ("BAD_GATEWAY", "GATEWAY_TIMEOUT", "SERVICE_UNAVAILABLE")
"""The error codes of a gateway before the workspace, for which the SDK has no class."""


class RemoteError(LakehouseError):
    """The environment gave no answer, or a request failed in it; the message is a whole sentence."""

    exit_code = 3


class NotDeployedError(RemoteError):
    """The requested thing is not in that environment, or the workspace belongs to another environment."""

    exit_code = 2


class UnreachableError(RemoteError):
    """The workspace gave no usable answer: network, login, throttling, a failure of its own."""

    retry_helps = True


class RefusedError(RemoteError):
    """The workspace knows the identity and does not allow the request."""


class BusyError(RemoteError):
    """Another run of the same job is active."""

    retry_helps = True


class InterruptedRunError(RemoteError):
    """The user pressed Ctrl-C; the message states the state of the run."""

    exit_code = 130


def as_remote_error(error: Exception, *, host: str, doing: str) -> RemoteError:
    """Return an error of the SDK as a sentence.

    Parameters
    ----------
    error
        What the SDK raised.
    host
        Address of the workspace that was asked.
    doing
        What was tried, for example ``"start the job"``.
    """
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, TimeoutError) and isinstance(error.__cause__, Exception):
        # The SDK has repeated a request until its time was up; the cause says why.
        return as_remote_error(error.__cause__, host=host, doing=doing)
    if isinstance(error, Unauthenticated) or (isinstance(error, PermissionDenied) and "access token" in str(error)):
        return UnreachableError(
            f"{host} does not accept the login (could not {doing}: {message_of(error)}): it has expired or belongs to another "
            "tenant. Log in again, for example with az login."
        )
    if isinstance(error, PermissionDenied):
        return RefusedError(
            f"{host} does not allow you to {doing}: {message_of(error)}. Ask the environment's platform engineers for the right, "
            "or log in as somebody who has it."
        )
    lost = _unreachable(error, host, doing)
    return UnreachableError(lost) if lost else RemoteError(f"{host} could not {doing}: {message_of(error)}.")


def unreadable(*, host: str, doing: str) -> UnreachableError:
    """Return the sentence for an answer that does not have the form of the API, as of a proxy or of a newer service.

    Parameters
    ----------
    host, doing
        As for `as_remote_error`.
    """
    return UnreachableError(
        f"{host} gave an answer that cannot be read (could not {doing}: it does not have the form of the API). Look "
        "at the address and at the proxies before it, or try again."
    )


def message_of(error: BaseException) -> str:
    """Return an error's message in one line, without the configuration that the SDK adds to it."""
    text = " ".join(str(error).split()).partition(". Config: ")[0].partition(". Env: ")[0]
    return text.rstrip(".") or "no message"


def _unreachable(error: Exception, host: str, doing: str) -> str | None:
    """Return the sentence for a workspace that gave no proper answer; None for an answer that simply says no."""
    if isinstance(error, TooManyRequests):
        return f"{host} kept answering that there are too many requests (could not {doing}). Try again in some minutes."
    if is_server_failure(error):
        return f"{host} kept failing by itself (could not {doing}: {message_of(error)}). Try again in some minutes."
    if isinstance(error, requests.ConnectionError):
        return (
            f"{host} cannot be reached (could not {doing}: {_reason(error)}). Look at the address, the network and, for "
            "a private workspace, the VPN."
        )
    if isinstance(error, requests.Timeout | TimeoutError):
        return f"{host} did not answer in time (could not {doing}). Look at the network, or try again."
    if isinstance(error, ValueError | OSError) and not isinstance(error, DatabricksError):
        # Between two requests the SDK fetches a fresh token, and what cannot give one says so in its own way.
        return (
            f"there is no login for {host} any more (could not {doing}: {message_of(error)}). Log in again: az login."
        )
    return None


def is_server_failure(error: Exception) -> bool:
    """Return whether a workspace failed by itself (5xx), so that asking again may help."""
    if isinstance(error, InternalError | DeadlineExceeded | TemporarilyUnavailable):
        return True
    return isinstance(error, DatabricksError) and error.error_code in GATEWAY_CODES


def _reason(error: requests.ConnectionError) -> str:
    """Return the innermost cause, which names what the network said."""
    cause: object = error
    while isinstance(cause, BaseException):
        inner = getattr(cause, "reason", None) or cause.__cause__ or (cause.args[0] if cause.args else None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    return " ".join(str(cause).split()).rpartition(": ")[2].rstrip(".")
