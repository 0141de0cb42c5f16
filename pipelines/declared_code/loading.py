"""Loads what a declaration names and looks at how it may be called."""

import inspect
from typing import Any

from ml.spec.entries import load
from ml.spec.errors import DeclarationError, sentence_of


class CodeError(DeclarationError):
    """Code that a declaration names and that cannot be used as declared."""


def called(entry: str, *arguments: str) -> Any:
    """Return the function that an entry names.

    Parameters
    ----------
    arguments
        The names of what it is called with, by position.

    Raises
    ------
    CodeError
        If it cannot be imported, is no function, or does not take so many arguments.
    """
    try:
        found = load(entry)
    except DeclarationError as mistake:
        raise CodeError(str(mistake)) from mistake
    except Exception as error:
        raise CodeError(f"entry {entry!r}: its module cannot be imported: {sentence_of(error)}") from error
    if not callable(found):
        raise CodeError(f"entry {entry!r} is {found!r}; name a function.")
    try:
        inspect.signature(found).bind(*arguments)
    except ValueError:  # written in C, without a signature
        return found
    except TypeError as mistake:
        takes = ", ".join(inspect.signature(found).parameters) or "nothing"
        raise CodeError(
            f"entry {entry!r} takes {takes}; it is called with {', '.join(arguments)}, by position."
        ) from mistake
    return found
