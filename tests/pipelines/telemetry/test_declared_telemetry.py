"""The tables of attributes, metrics and events: names, kinds, and the page that is made of them."""

from pathlib import Path

import pytest

from pipelines.telemetry.attributes import ATTRIBUTES, COMMIT, LINE, SKIPPED, AttributeKind, allowed
from pipelines.telemetry.documentation import BEGIN, END, tables
from pipelines.telemetry.events import EVENTS
from pipelines.telemetry.instruments import INSTRUMENTS, InstrumentKind
from pipelines.telemetry.settings import exporters_asked_for

ROOT = Path(__file__).parents[3]
CONVENTIONS = ("service.", "deployment.", "vcs.", "db.", "error.", "code.", "http.", "system.")
"""Namespaces of OpenTelemetry's semantic conventions that are in use."""


def test_names_are_unique_and_either_a_conventions_or_the_products_own() -> None:
    """In each of the three tables."""
    for names in ([one.name for one in table] for table in (ATTRIBUTES, INSTRUMENTS, EVENTS)):
        assert len(names) == len(set(names))
        assert all(name.startswith(("mlops.", *CONVENTIONS)) for name in names)


def test_numbers_have_a_unit_and_splits_are_declared_attributes() -> None:
    """A count of attributes has a unit as metrics have; buckets are for histograms."""
    assert all(bool(one.unit) == (one.kind is AttributeKind.COUNT) for one in ATTRIBUTES)
    for one in INSTRUMENTS:
        assert one.unit
        assert set(one.split_by) <= set(ATTRIBUTES)
        assert bool(one.bounds) == (one.kind is InstrumentKind.HISTOGRAM)


@pytest.mark.parametrize(
    "value", ["two words", "it's", "a\nb", "", "x" * 201, "ü", None, 3, "{'a': 1}", "a=b", "100%"], ids=repr
)
def test_what_is_not_of_the_form_of_a_name_is_left_out(value: object) -> None:
    """A sentence, a structure, a number in the place of a name."""
    assert allowed({COMMIT: value}) == {}


def test_numbers_and_flags_are_no_texts() -> None:
    """Nor one another."""
    assert allowed({LINE: 3, SKIPPED: True}) == {"code.line.number": 3, "mlops.table.skipped": True}
    assert allowed({LINE: True, SKIPPED: 1}) == {}
    assert allowed({LINE: "3", SKIPPED: "true"}) == {}


def test_the_page_has_the_tables_of_the_code() -> None:
    """Word for word; `python -m pipelines.telemetry.documentation` writes them again."""
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == f"\n\n{tables()}\n"


@pytest.mark.parametrize(
    ("switch", "expected"),
    [("", ()), ("off", ()), (" file ", ("file",)), ("file,otlp,file", ("file", "otlp"))],
)
def test_exporters_are_named_by_one_variable(switch: str, expected: tuple[str, ...]) -> None:
    """Off by default."""
    assert exporters_asked_for({"MLOPS_TELEMETRY": switch}) == expected
    assert exporters_asked_for({}) == ()
