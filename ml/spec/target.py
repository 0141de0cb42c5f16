"""What kind of quantity a use case predicts: a probability, a quantity, or one of several classes; standard library only.

`Problem` names the first two. `MultiClass` states the classes, and stands wherever a `Problem` does: what differs by the
kind of target is asked of it, or looked up by its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.estimator import Problem

MULTI_CLASS = "multi-class"
"""The text of every `MultiClass`, under which tables by the kind of target have their entry."""
LEAST_CLASSES, MOST_CLASSES = 3, 20
LONGEST_NAME = 60
PREDICTED_CLASS = "predicted_class"
"""The column of predictions with the name of the most probable class."""


@dataclass(frozen=True, kw_only=True)
class MultiClass:
    """One of several classes is predicted: a probability for each of them.

    Attributes
    ----------
    classes
        Their names, in an order that stays: the label of a row is the place of its class, from 0 on.
    """

    classes: tuple[str, ...]

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self)
        if not mistakes:
            mistakes = [
                f"{name!r} is no name of a class; use up to {LONGEST_NAME} of a-z, 0-9 and single '_' between them, "
                "beginning with a letter"
                for name in self.classes
                if not _is_name(name)
            ]
            if len(set(self.classes)) != len(self.classes):
                mistakes.append(f"classes repeat in {', '.join(self.classes)}; state each once")
            if not LEAST_CLASSES <= len(self.classes) <= MOST_CLASSES:
                mistakes.append(
                    f"{len(self.classes)} classes are stated; give {LEAST_CLASSES} to {MOST_CLASSES}, and of two classes "
                    "problem=Problem.BINARY"
                )
        if mistakes:
            raise DeclarationError(f"multi-class problem: {'; '.join(mistakes)}.")

    def __str__(self) -> str:
        return MULTI_CLASS

    def label_of(self, name: str) -> float:
        """Return the label of a class: its place.

        Raises
        ------
        DeclarationError
            If there is no such class.
        """
        if name not in self.classes:
            raise DeclarationError(f"multi-class problem: there is no class {name!r}; state one of {self.classes}.")
        return float(self.classes.index(name))


def _is_name(text: str) -> bool:
    plain = text.isascii() and text.isidentifier() and text == text.lower()
    return plain and len(text) <= LONGEST_NAME and "__" not in text and text.strip("_") == text


Target = Problem | MultiClass
"""What a use case declares as its ``problem``."""


def score_column(name: str) -> str:
    """Return the column of predictions with the probability of a class."""
    return f"score_of_{name}"


def score_columns(problem: Target) -> tuple[str, ...]:
    """Return the columns of predictions that metrics read: the score, or the probability of every class."""
    return tuple(map(score_column, problem.classes)) if isinstance(problem, MultiClass) else ("score",)


def made_columns(problem: Target) -> Mapping[str, str]:
    """Return every column of predictions that a model makes, each with its type.

    ``score`` is the probability of the predicted class where there are several.
    """
    if not isinstance(problem, MultiClass):
        return {"score": "double"}
    return {"score": "double", PREDICTED_CLASS: "string", **dict.fromkeys(score_columns(problem), "double")}
