"""What a source declares of its deliveries is checked when it is declared."""

import datetime as dt
from typing import Any

import pytest

from pipelines.declarations.delivery import CsvFormat, Delivered
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.source import Rule, Source
from tests.pipelines.sources.trips import SOURCE, TABLE


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"time_zone": "Europe/Berln"}, r"unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'\?"),
        ({"time_unit": "sec"}, r"unknown time unit 'sec'.* Known: ms, ns, s, us"),
        (
            {"earliest": dt.date(2030, 1, 1), "latest": dt.date(2020, 1, 1)},
            "earliest date 2030-01-01 is after the latest",
        ),
        ({"quarantine_limit": 50}, "quarantine_limit is 50; give a share of rows from 0 to 1"),
        ({"delivered": (Delivered(column="seat"),)}, r"unknown column 'seat': did you mean 'seats'\?"),
        ({"delivered": (Delivered(column="at", types=("float",)),)}, "unknown type for a timestamp 'float'"),
        (
            {"delivered": (Delivered(column="at"), Delivered(column="at"))},
            "declares delivered column at more than once",
        ),
        (
            {"rules": (Rule(column="trip", minimum=1),)},
            "column 'trip' is a string; a minimum or maximum needs a number",
        ),
        ({"rules": (Rule(column="fare", allowed=("1",)),)}, "column 'fare' is a double; allowed texts need a string"),
    ],
)
def test_a_mistake_in_a_source_is_refused_in_one_sentence(options: dict[str, Any], sentence: str) -> None:
    """With the name that was probably meant."""
    with pytest.raises(DeclarationError, match=sentence):
        Source(name="trips", reader="none:none", table=TABLE, **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"delimiter": ";;"}, "delimiter is ';;'; give one ASCII character"),
        ({"delimiter": '"'}, "give one ASCII character that is no quote"),
        ({"encoding": "utf-88"}, "encoding 'utf-88' is unknown"),
        ({"compression": "zipp"}, r"unknown compression 'zipp': did you mean 'zip'\?"),
        ({"missing": "NA"}, "missing is 'NA'; give a tuple"),
    ],
)
def test_a_mistake_in_a_csv_format_is_refused_in_one_sentence(options: dict[str, Any], sentence: str) -> None:
    """With what is allowed."""
    with pytest.raises(DeclarationError, match=sentence):
        CsvFormat(**options)


def test_a_column_has_what_its_source_declares_unless_it_declares_its_own() -> None:
    """Zone, unit and range each by itself."""
    own = Delivered(column="at", time_unit="ms", latest=dt.date(2500, 1, 1))
    source = Source(name="trips", reader="none:none", table=TABLE, time_zone="UTC", time_unit="s", delivered=(own,))
    how = source.instants("at")
    assert (how.time_zone, how.time_unit, how.earliest, how.latest) == (
        "UTC",
        "ms",
        SOURCE.earliest,
        dt.date(2500, 1, 1),
    )
    assert source.instants("on_day").time_unit == "s"
