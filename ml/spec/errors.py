"""The one root of all errors that a person may read, and the one question whether repeating helps.

Every room derives its errors from `LakehouseError`. Each program catches it in one place, prints its sentence and
ends with its exit code; the runner of jobs repeats a task only where `retry_helps` says so.
"""

from typing import ClassVar

ROOMS = ("ml", "pipelines", "infra")
"""The top-level packages of this product."""
PERMANENT = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, NotImplementedError,
    RecursionError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""Errors of the standard library that the same code on the same data raises again."""
TRANSIENT = (BlockingIOError, ChildProcessError, ConnectionError, InterruptedError, TimeoutError)
"""Errors of the standard library that pass by themselves."""


class LakehouseError(Exception):
    """Something is wrong, said in sentences that a person can act on.

    Parameters
    ----------
    what
        What happened, or what was found. The only text if the others are empty.
    where
        The file, table, job or option it is about; printed before `what`.
    allowed
        What would be accepted instead.
    remedy
        What to do now.

    Attributes
    ----------
    exit_code
        The exit code of a program that ends with this error; the table is in `pipelines.command_line.program`.
    retry_helps
        Whether the same call may succeed later without a change of code, data or settings.
    """

    exit_code: ClassVar[int] = 1
    retry_helps: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", allowed: str = "", remedy: str = "") -> None:
        self.what, self.where, self.allowed, self.remedy = what, where, allowed, remedy
        sentences = [f"{where}: {what}" if where else what]
        sentences += [f"Allowed: {allowed.rstrip('.')}."] if allowed else []
        sentences += [remedy] if remedy else []
        super().__init__(" ".join(sentences))


class RequestError(LakehouseError, ValueError):
    """What was requested cannot be right; nothing was started."""

    exit_code = 2


class NotPossibleError(LakehouseError):
    """What was requested is not possible here or now: a program, a file, a right or a record is missing or wrong."""

    exit_code = 2


class DeclarationError(RequestError):
    """A declared value that cannot be right; the message names what, where, what was found and what is allowed."""


def retry_helps(error: BaseException) -> bool:
    """Return whether repeating the call that raised the error may help.

    An error of ours says so itself. Of others, what the standard library raises for a mistake in code or data is
    permanent; the rest (networks, files, engines) may pass.
    """
    if isinstance(error, LakehouseError):
        return error.retry_helps
    if isinstance(error, TRANSIENT):
        return True
    # Pickling keeps an error's class name where its class is unknown here: Spark Connect's analysis errors.
    return not isinstance(error, PERMANENT) and type(error).__name__ not in ("AnalysisException", "ParseException")


def sentence_of(error: BaseException) -> str:
    """Return an error as a person reads it: its own sentence, or for an unforeseen one where in our code it arose.

    The place says more to a reader than the name of a class.
    """
    if isinstance(error, LakehouseError | KeyboardInterrupt):
        return str(error) or "interrupted"
    text = " ".join(str(error).split()) or "no message"
    trace, place = error.__traceback__, ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in ROOMS:
            place = f"{module}, line {trace.tb_lineno}: "
        trace = trace.tb_next
    return f"{place}{text}"
