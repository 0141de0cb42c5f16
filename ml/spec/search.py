"""A search for the parameters of an estimator, as plain values; imports the standard library only.

`ml.models.search` carries it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Real:
    """A number from `low` to `high`; `log` draws its logarithm evenly."""

    low: float
    high: float
    log: bool = False

    @gathered
    def __post_init__(self) -> None:
        _require_range(self)

    def holds(self, value: Any) -> bool:
        """Return whether it is one of the values."""
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values by which a constructor is tried."""
        return (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number from `low` to `high`, both included; `log` draws its logarithm evenly."""

    low: int
    high: int
    log: bool = False

    @gathered
    def __post_init__(self) -> None:
        _require_range(self)

    def holds(self, value: Any) -> bool:
        """Return whether it is one of the values."""
        return isinstance(value, int) and self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values by which a constructor is tried."""
        return (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """One of some numbers, texts, True, False or None."""

    values: tuple[Any, ...]

    @gathered
    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise DeclarationError(f"search: values is {self.values!r}; give a tuple of one or more values.")
        wrong = [value for value in self.values if not isinstance(value, (str, int, float, bool, type(None)))]
        if wrong:
            raise DeclarationError(f"search: values has {wrong[0]!r}; give numbers, texts, True, False or None.")

    def holds(self, value: Any) -> bool:
        """Return whether it is one of the values."""
        return value in self.values

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values by which a constructor is tried."""
        return self.values


Dimension = Real | Whole | OneOf


@dataclass(frozen=True, kw_only=True)
class Search:
    """Which parameters are tried, and how many times.

    Attributes
    ----------
    space
        Parameter of the constructor to the values that it may have.
    trials, seconds
        The search ends after so many trials, or before the first trial that would begin later than this; with `seconds` the
        result depends on the machine.
    folds
        Blocks of time, each validated by models of the rows whose outcomes were due before it; all within training rows.
    """

    space: Mapping[str, Dimension]
    trials: int
    seconds: float | None = None
    folds: int = 3

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self)
        if not mistakes:
            wrong = {name: one for name, one in self.space.items() if not isinstance(one, Dimension)}
            mistakes = [f"space has {name}={one!r}; give a Real, a Whole or OneOf" for name, one in wrong.items()]
            mistakes += ["space is empty; name at least one parameter"] if not self.space else []
            mistakes += [
                f"{name} is {value}; give {least} or more"
                for name, value, least in (("trials", self.trials, 1), ("folds", self.folds, 1))
                if value < least
            ]
            mistakes += (
                [f"seconds is {self.seconds}; give more than 0"]
                if self.seconds is not None and self.seconds <= 0
                else []
            )
        if mistakes:
            raise DeclarationError(f"search: {'; '.join(mistakes)}.")

    def tried(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that the estimator states and the search varies: the first trial has them."""
        return {name: value for name, value in parameters.items() if name in self.space}

    def corners(self) -> list[dict[str, Any]]:
        """Return combinations of the smallest and largest values, one value of each parameter after the other."""
        first = {name: one.ends[0] for name, one in self.space.items()}
        return [{**first, name: value} for name, one in self.space.items() for value in one.ends]


def _require_range(dimension: Real | Whole) -> None:
    mistakes = type_mistakes(dimension)
    if not mistakes:
        low, high = dimension.low, dimension.high
        if not (isfinite(low) and isfinite(high) and low <= high):
            mistakes.append(f"low is {low} and high {high}; give numbers, the smaller one first")
        elif dimension.log and low <= 0:
            mistakes.append(f"low is {low}, which has no logarithm; give more than 0 or leave log out")
    if mistakes:
        raise DeclarationError(f"search: {'; '.join(mistakes)}.")
