"""Findings about inputs that differ between scoring and training: each says how many, why, and shows one request."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.monitoring.skew import InputDifference, causes, skew_findings

MARCH = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)
APRIL = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
SAME = InputDifference(
    window_start=MARCH, window_end=APRIL, training_set_id="t", column_name="wind", lookup="the lookup of w by origin",
    requests=1_000, differing=0,
)  # fmt: skip
OTHER = replace(SAME, differing=40, example_key="k", scored_value=None, trained_value="3.0")


def test_equal_inputs_are_no_finding() -> None:
    """Nor is an input of which no request was in both."""
    assert skew_findings([SAME, replace(SAME, requests=0)]) == ()


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("late", "40 joined a row that reached the table after"),
        ("replaced", "40 joined the same row with other values"),
        ("changed", "40 differ by the code"),
        (None, "40 differ for a cause that is not known"),
    ],
)
def test_a_difference_is_a_finding_with_its_cause_and_an_example(cause: str | None, words: str) -> None:
    """Value and threshold are shares of the requests that were compared."""
    (found,) = skew_findings([replace(OTHER, **({cause: 40} if cause else {}))])
    assert (found.kind, found.column_name, found.value, found.threshold) == ("skew", "wind", 0.04, 0.0)
    assert "40 of 1,000 requests" in found.message
    assert "responsible is the lookup of w by origin" in found.message
    assert words in found.message
    assert found.message.endswith("For example k: scored with no value, trained with 3.0.")


def test_corrections_that_a_feed_declares_are_no_skew() -> None:
    """Unless something else differs too; then each is a cause of its own."""
    assert skew_findings([replace(OTHER, corrected=40)]) == ()
    (found,) = skew_findings([replace(OTHER, corrected=39, late=1)])
    assert "1 joined a row that reached the table after" in found.message
    assert "39 joined a row that its feed has corrected" in found.message


@given(st.tuples(*[st.integers(0, 50)] * 5))
def test_the_causes_add_up_to_the_requests_that_differ(numbers: tuple[int, ...]) -> None:
    """Each request has one cause, or is counted as unexplained."""
    late, replaced, corrected, changed, unknown = numbers
    one = replace(
        OTHER, differing=sum(numbers), late=late, replaced=replaced, corrected=corrected, changed=changed
    )  # fmt: skip
    assert one.unexplained == unknown
    assert sum(int(cause.split()[0].replace(",", "")) for cause in causes(one)) == sum(numbers)
