"""What a use case declares about its model, as frozen values; imports the standard library only.

Declarations import this module, so it must be quick to import. The policy of the gate is in `ml.spec.gate_policy`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ml.spec.declaring import gathered
from ml.spec.errors import DeclarationError
from ml.spec.search import Dimension, Search


class Problem(StrEnum):
    """What kind of quantity is predicted; one of several classes is a `ml.spec.target.MultiClass`."""

    BINARY = "binary"
    REGRESSION = "regression"

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of which each has a probability; none for a quantity."""
        return ("0", "1") if self is Problem.BINARY else ()


class Encoding(StrEnum):
    """How categorical inputs reach the estimator; categories unseen in training are allowed by both."""

    ONE_HOT = "one_hot"
    ORDINAL = "ordinal"


class Calibration(StrEnum):
    """How a classifier's scores become probabilities, fitted on the latest training rows, which it was not trained on."""

    NONE = "none"
    SIGMOID = "sigmoid"
    ISOTONIC = "isotonic"


@dataclass(frozen=True, kw_only=True)
class EstimatorSpec:
    """One estimator that follows scikit-learn's interface.

    Attributes
    ----------
    name
        Its name in tasks and reports.
    estimator
        Dotted path of the class, for example ``sklearn.linear_model.LogisticRegression``.
    parameters
        Keywords of its constructor; ``random_state`` is set from the run's seed if the class takes it.
    calibration
        Only for classes; an estimator without ``predict_proba`` needs one.
    calibration_share
        The share of the training rows, the latest ones, on which the calibration is fitted; the estimator is fitted on those
        before.
    search
        Which parameters are searched on the training rows before the model is fitted; None for none.
    """

    name: str
    estimator: str
    encoding: Encoding
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    calibration: Calibration = Calibration.NONE
    calibration_share: float = 0.2
    search: Search | None = None

    @gathered
    def __post_init__(self) -> None:
        mistakes = [
            f"estimator is {self.estimator!r}; give the dotted path of a class"
            if "." not in str(self.estimator)
            else "",
            *(
                f"{name} is {value!r}; give {' or '.join(map(str, kind))}"
                for name, value, kind in (
                    ("encoding", self.encoding, Encoding),
                    ("calibration", self.calibration, Calibration),
                )
                if not isinstance(value, kind)
            ),
            f"parameters is {self.parameters!r}; give a mapping of names to values"
            if not isinstance(self.parameters, Mapping)
            else "",
            f"calibration_share is {self.calibration_share!r}; give a number between 0 and 1"
            if isinstance(self.calibration_share, bool)
            or not isinstance(self.calibration_share, (int, float))
            or not 0 < self.calibration_share < 1
            else "",
            *self._search_mistakes(),
        ]
        if said := "; ".join(mistake for mistake in mistakes if mistake):
            raise DeclarationError(f"estimator {self.name!r}: {said}.")

    def _search_mistakes(self) -> list[str]:
        declared: Any = self.search
        if declared is None:
            return []
        if not isinstance(declared, Search):
            return [f"search is {declared!r}; give a Search or None"]
        space: Any = declared.space
        stated = (
            declared.tried(self.parameters)
            if isinstance(self.parameters, Mapping) and isinstance(space, Mapping)
            else {}
        )
        return [
            f"parameters has {name}={value!r}, which is the first trial and not in the space of the search"
            for name, value in stated.items()
            if isinstance(space[name], Dimension) and not space[name].holds(value)
        ]
