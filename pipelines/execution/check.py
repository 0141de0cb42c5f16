"""What integration runs and smoke tests return about each thing that they look at, and the commands show."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The outcome of one look.

    Attributes
    ----------
    about
        What was checked.
    held
        Whether it is as it should be.
    found
        What it is, and if it did not hold, what it should be.
    """

    about: str
    held: bool
    found: str
