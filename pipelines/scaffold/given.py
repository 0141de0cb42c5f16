"""What a person says about a file of which a use case is to be made."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is known beside the file; empty and None for what the file is to decide.

    Attributes
    ----------
    key
        Headers of the columns that name a request together.
    time, label
        Headers of the columns with the instant of prediction and with what is predicted.
    time_zone
        The zone of instants that do not say theirs.
    problem
        ``binary``, ``regression`` or ``multi-class``.
    """

    key: tuple[str, ...] = ()
    time: str = ""
    label: str = ""
    time_zone: str = ""
    problem: str | None = None

    @property
    def about_a_file(self) -> bool:
        """Whether something is said that has no meaning without a file."""
        return bool(self.key or self.time or self.label or self.time_zone)
