"""Classes are stated once, and every mistake in them is told."""

import pytest

from ml.spec.errors import DeclarationError
from ml.spec.target import MultiClass, made_columns, score_columns


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("yes", "no"), "2 classes are stated; give 3 to 20, and of two classes problem=Problem.BINARY"),
        (tuple(f"c{number}" for number in range(21)), "21 classes are stated; give 3 to 20"),
        (("a", "b", "a"), "classes repeat in a, b, a; state each once"),
        (("a", "On time", "c"), "'On time' is no name of a class; use up to 60 of a-z, 0-9"),
        (["a", "b", "c"], "classes is ['a', 'b', 'c']; give a tuple"),
    ],
)
def test_wrong_classes_are_refused(classes: tuple[str, ...], said: str) -> None:
    """One sentence that says what is allowed."""
    with pytest.raises(DeclarationError) as refused:
        MultiClass(classes=classes)
    assert said in str(refused.value)


def test_the_label_of_a_class_is_its_place() -> None:
    """And predictions have a column for each."""
    bands = MultiClass(classes=("early", "on_time", "late"))
    assert [bands.label_of(name) for name in bands.classes] == [0.0, 1.0, 2.0]
    with pytest.raises(DeclarationError, match="there is no class 'never'"):
        bands.label_of("never")
    assert score_columns(bands) == ("score_of_early", "score_of_on_time", "score_of_late")
    assert list(made_columns(bands)) == ["score", "predicted_class", *score_columns(bands)]
