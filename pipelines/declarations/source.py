"""A feed as declared: the bronze table that it fills and the contract that its rows must fulfil."""

from dataclasses import dataclass

from pipelines.declarations.asset import Table
from pipelines.declarations.mistakes import DeclarationError, require_identifier, require_tuples


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one column of a source must fulfil, beyond its declared type and being present where not nullable.

    Attributes
    ----------
    minimum, maximum
        Inclusive bounds of a number; None for none.
    allowed
        The only texts allowed; empty for any.
    """

    column: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_tuples(f"rule for column {self.column!r}", self)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise DeclarationError(
                f"rule for column {self.column!r}: the minimum {self.minimum} is above the maximum {self.maximum}."
            )


@dataclass(frozen=True, kw_only=True)
class Source:
    """One feed and its contract: the bronze table gives types, required columns and key, `rules` the ranges.

    Attributes
    ----------
    reader
        ``module:function``; called with ``location``, ``since`` and ``until``, returns a `pyarrow.Table` with exactly
        the columns of `table`, each as text where the feed delivers text.
    """

    name: str
    reader: str
    table: Table
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        require_identifier("source", self.name)
        require_tuples(f"source {self.name}", self)
        for rule in self.rules:
            self.table.column(rule.column)
