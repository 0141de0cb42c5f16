"""The parameters of a run are checked against those that its job declares, all at once, before anything runs."""

import datetime as dt

import pytest

from pipelines.declarations.job import Job, Kind, Parameter, Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.execution.parameters import convert, resolve

WORK = Task(
    key="work", entry="m:f", description="",
    parameters=(
        Parameter(name="until", default="", kind=Kind.INSTANT, description="the end"),
        Parameter(name="days", default="7", kind=Kind.WHOLE, description="how many"),
        Parameter(name="share", default="1.0", kind=Kind.FRACTION, description="how much"),
        Parameter(name="mode", default="fast", choices=("fast", "slow"), description="how"),
    ),
)  # fmt: skip
JOB = Job(use_case="trial", name="nightly", description="", tasks=(WORK,))


def test_a_parameter_that_is_not_given_has_its_default() -> None:
    """Every declared parameter has a text."""
    assert resolve(JOB, {"days": "3"}) == {"until": "", "days": "3", "share": "1.0", "mode": "fast"}


def test_all_mistakes_are_named_at_once_with_the_near_miss() -> None:
    """One message lists every wrong name and every wrong value."""
    with pytest.raises(DeclarationError) as caught:
        resolve(JOB, {"untill": "2013-01-01", "days": "-1", "share": "2", "mode": "fats"})
    said = str(caught.value)
    assert "did you mean 'until'?" in said
    assert "'days': '-1' is not a whole number" in said
    assert "'share': '2' is not a number above 0 and at most 1" in said
    assert "did you mean 'fast'?" in said


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2013-04-01", dt.datetime(2013, 4, 1, tzinfo=dt.UTC)),
        ("2013-04-01T06:30", dt.datetime(2013, 4, 1, 6, 30, tzinfo=dt.UTC)),
        ("2013-04-01T06:30+02:00", dt.datetime(2013, 4, 1, 4, 30, tzinfo=dt.UTC)),
        ("", None),
    ],
)
def test_an_instant_without_a_zone_is_in_utc(text: str, instant: dt.datetime | None) -> None:
    """An offset is converted to UTC; an empty text is no instant."""
    assert convert(JOB.parameter("until"), text) == instant


@pytest.mark.parametrize("text", ["0", "nan", "inf", "1.5", "x"])
def test_a_fraction_that_is_not_above_0_and_at_most_1_is_refused(text: str) -> None:
    """So are NaN, infinity and text that is no number."""
    with pytest.raises(DeclarationError, match="share"):
        convert(JOB.parameter("share"), text)
