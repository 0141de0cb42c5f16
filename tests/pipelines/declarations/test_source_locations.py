"""One text says where the sources of a use case lie: all of them, or each; the nearest statement counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.declarations.source_locations import location_text, locations

SCHEDULE, REPORTS = use_case("air_time").sources
SOURCES = (SCHEDULE, replace(REPORTS, location="/declared/reports"))
PLACES = st.from_regex(r"(/|abfss://[a-z]{3}@)[A-Za-z0-9_/.=@ -]{1,30}[a-z0-9]", fullmatch=True)


@given(st.dictionaries(st.sampled_from(["schedule", "reports"]), PLACES))
def test_what_settings_state_is_read_back(stated: dict[str, str]) -> None:
    """For any locations, volumes, folders with = in their names and addresses included; the others are as declared."""
    assert locations(location_text(stated), SOURCES) == {"schedule": "", "reports": "/declared/reports", **stated}


@given(PLACES)
def test_one_location_is_that_of_every_source(place: str) -> None:
    """As of a folder with all files, which goes before what is declared."""
    assert locations(place, SOURCES) == {"schedule": place, "reports": place}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedul=/a", "unknown source of parameter 'location' 'schedul': did you mean 'schedule'?"),
        ("schedule=/a;schedule=/b", "names source 'schedule' twice"),
    ],
)
def test_a_source_that_is_not_there_is_refused(text: str, said: str) -> None:
    """With the near miss, before anything is read."""
    with pytest.raises(DeclarationError) as refused:
        locations(text, SOURCES)
    assert said in str(refused.value)
