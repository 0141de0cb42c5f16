"""The report's section of served requests: stages in order, both versions with their counts and latencies, every decision."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.spec.gate_policy import DEFAULT_BINARY
from pipelines.declarations.answers import answers_table, failures_table
from pipelines.declarations.registry import use_case
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.report import served_reading
from pipelines.report.page import render
from pipelines.report.records import Row
from pipelines.report.sections.served import latency_chart, latency_legend, served_stages
from pipelines.report.served_reading import read_served
from tests.pipelines.report.served_records import SERVED, decision
from tests.pipelines.report.test_page import Page, prod, report

FLIGHT_DELAY = use_case("flight_delay")
ASKED = dt.datetime(2013, 6, 1, 8, tzinfo=dt.UTC)


def test_stages_are_in_the_order_in_which_they_began_with_the_champion_first() -> None:
    """Each has the decisions that were taken in it; what was answered without a rollout is a stage as well."""
    stages = served_stages(SERVED, DEFAULT_BINARY)
    assert [stage.name for stage in stages] == ["v4 shadow", "v4 10%", "v9 shadow", "no rollout"]
    assert [[(role, one.version) for role, one in stage.versions] for stage in stages] == [
        [("champion", 1), ("challenger", 4)], [("champion", 1), ("challenger", 4)], [("champion", 4), ("challenger", 9)],
        [("alone", 4)],
    ]  # fmt: skip
    assert [[look.move for look in stage.looks] for stage in stages] == [
        ["wait", "advance"],
        ["advance"],
        ["return"],
        [],
    ]
    assert stages[0].slowest("challenger") == pytest.approx(9.0)
    assert stages[3].slowest("challenger") is None
    assert latency_legend(stages) == [("champion", "champion"), ("challenger", "baseline"), ("alone", "observed")]
    assert "v4 10%: champion 8.0" in latency_chart(stages)


def test_an_environment_that_has_served_nothing_has_no_section() -> None:
    """Nor a link to one."""
    assert served_stages(None, DEFAULT_BINARY) == ()
    assert latency_chart(()) == ""
    assert "Served requests" not in render(report(prod()))


def test_the_page_shows_counts_latencies_and_why_a_challenger_was_returned() -> None:
    """As the tables have them; a failure stands out."""
    html = render(report(prod(served=SERVED)))
    section = html.partition('<section id="served">')[2].partition("</section>")[0]
    text = Page(html).text
    assert '<a href="#served">Served requests</a>' in html
    assert "v4 10% 2013-06-01 to 2013-06-01 v4, challenger 60 540 2 3.0 9.0" in text
    assert '<td class="n bad">2</td>' in section
    assert "Version 9 was returned from shadow" in text
    assert "version 9 could not score 60 of 90 requests" in text


def test_a_decision_with_a_hostile_sentence_is_text() -> None:
    """It comes from a model's error."""
    row = {**decision("bad", 9, 4, 0, "return", "<script>alert(1)</script>"), "decided_at": ASKED}
    assert "<script>" not in render(report(prod(served=replace(SERVED, decisions=(row,)))))


def answer(number: int, **more: Any) -> Row:
    """A row of the table of answers; what is not given is missing or empty."""
    empty = {column.name: None for column in answers_table(FLIGHT_DELAY).columns}
    own = {
        "answer_id": f"{number}", "answered_at": ASKED, "request": "{}", "request_key": f"k{number}", "prediction_at": ASKED,
        "score": 0.5, "model_version": 1, "carrier": "UA", "origin": "JFK", "destination": "BOS", "seconds": number / 1000,
    }  # fmt: skip
    return {**empty, **own, **more}


@pytest.fixture
def lakehouse(tmp_path: Path) -> Any:
    """An environment with a hundred answers of version 1 and their shadows, and ten answers without a rollout."""
    of_rollout = {"rollout_id": "r", "rollout_percentage": 10}
    answers = [answer(number, **of_rollout) for number in range(1, 101)]
    answers += [
        answer(number, **of_rollout, model_version=2, shadow_of=str(number - 100)) for number in range(101, 201)
    ]
    answers += [answer(number, prediction_at=ASKED + dt.timedelta(days=number)) for number in range(201, 211)]
    failed = {
        "failure_id": "f", "failed_at": ASKED, "model_version": 2, "request_key": "k", "message": "no", "shadow_of": None,
        **of_rollout,
    }  # fmt: skip
    with open_lakehouse("dev", root=tmp_path) as opened:
        for table, rows in ((answers_table(FLIGHT_DELAY), answers), (failures_table(FLIGHT_DELAY), [failed])):
            opened.tables.append_once(table, records(table, rows), batch_id="rows")
        yield opened


def test_answers_are_counted_by_stage_and_version(lakehouse: Lakehouse) -> None:
    """A shadow answers nobody; failures count for the version that failed."""
    found = read_served(lakehouse, FLIGHT_DELAY)
    assert found is not None
    by_version = {(one.rollout_id, one.version): one for one in found.by_version}
    first, shadow, alone = by_version["r", 1], by_version["r", 2], by_version[None, 1]
    assert [(one.answered, one.shadows, one.failed) for one in (first, shadow, alone)] == [(100, 0, 0), (0, 100, 1), (10, 0, 0)]  # fmt: skip
    assert (first.median, first.slowest) == pytest.approx((0.0505, 0.09901))
    assert (alone.percentage, alone.first, alone.last) == (None, ASKED + dt.timedelta(days=201), ASKED + dt.timedelta(days=210))  # fmt: skip
    assert found.decisions == ()


def test_of_too_many_answers_a_share_gives_the_latencies(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts stay exact."""
    monkeypatch.setattr(served_reading, "MOST_LATENCIES", 100)
    found = read_served(lakehouse, FLIGHT_DELAY)
    assert found is not None
    first = next(one for one in found.by_version if (one.rollout_id, one.version) == ("r", 1))
    assert first.answered == 100
    assert first.median is not None
    assert first.median != pytest.approx(0.0505)
    assert 0.02 < first.median < 0.08


def test_an_environment_without_an_endpoint_has_served_nothing(tmp_path: Path) -> None:
    """Reading creates no table."""
    with open_lakehouse("dev", root=tmp_path) as opened:
        assert read_served(opened, FLIGHT_DELAY) is None
        assert not opened.tables.exists(answers_table(FLIGHT_DELAY))
