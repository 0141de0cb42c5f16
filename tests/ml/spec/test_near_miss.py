"""The sentence for an unknown name has the name that was probably meant, if there is one."""

import pytest

from ml.spec.near_miss import did_you_mean, nearest, unknown


@pytest.mark.parametrize(
    ("got", "allowed", "near"),
    [
        ("traning", ["features", "training"], "training"),
        ("production", ["dev", "prod"], "prod"),
        ("rout", ["late", "route_history"], "route_history"),
        ("zzz", ["a"], None),
        ("abc", ["a"], None),
        ("", ["dev"], None),
        ("anything", [], None),
        ("--port", ["--empty", "--folder"], None),
        ("--foldr", ["--empty", "--folder"], "--folder"),
    ],
)
def test_a_name_is_near_by_its_letters_or_its_beginning(got: str, allowed: list[str], near: str | None) -> None:
    """A beginning of one or two letters is not enough."""
    assert nearest(got, allowed) == near
    assert did_you_mean(got, allowed) == (f"did you mean {near!r}?" if near else "")


def test_the_sentence_lists_the_names_that_exist() -> None:
    """In alphabetical order, after the nearest one."""
    expected = "unknown job 'traning': did you mean 'training'? Known: features, training."
    assert unknown("job", "traning", ["training", "features"]) == expected
    assert unknown("job", "zzz", ["a"]) == "unknown job 'zzz'. Known: a."
    assert unknown("job", "zzz", []) == "unknown job 'zzz'. Known: none."
