"""One thing that was looked at in an environment: what integration runs and smoke tests return, and the commands show."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Check:
    """The outcome of one look.

    Attributes
    ----------
    about
        What was looked at.
    held
        Whether it is as it should be.
    found
        What it is, and if it did not hold, what it should be.
    """

    about: str
    held: bool
    found: str
