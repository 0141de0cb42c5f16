"""The page shows the model card of each version, and how inputs at scoring compare with those at training."""

import datetime as dt
import re
from dataclasses import asdict
from typing import Any

from ml.card.model_card import model_card
from ml.card.record import ModelCard
from ml.metrics.metric_labels import readable
from ml.monitoring.findings import WHOLE_TABLE
from ml.monitoring.skew import InputDifference
from pipelines.report.records import Row
from pipelines.report.sections.cards import model_cards
from tests.ml.card.test_model_card import FACTS
from tests.pipelines.report.test_page import JULY, JUNE, MAY, page, prod, report

CARD = model_card(FACTS)


def card_row(version: int, evaluation_id: str, decided_at: dt.datetime) -> Row:
    """A row of the table of model cards."""
    named = ModelCard(**{**CARD.__dict__, "version": version, "evaluation_id": evaluation_id})
    return {
        "model_version": version, "evaluation_id": evaluation_id, "decided_at": decided_at, "card": named.to_json()
    }  # fmt: skip


def skew_rows(window: dt.datetime, *, requests: int = 900, **more: Any) -> tuple[Row, ...]:
    """The rows of one training set and window: the requests, and one input."""
    one = InputDifference(
        window_start=window, window_end=JULY, training_set_id="t1", column_name="wind_speed",
        lookup="the lookup of weather by origin", requests=requests, **{"differing": 0, **more},
    )  # fmt: skip
    counted = {"trained": 1_200, "moved": 3, "computed_at": JULY}
    whole = {**asdict(one), **counted, "column_name": WHOLE_TABLE, "lookup": "the request"}
    return whole, {**asdict(one), **counted}


def test_every_section_of_a_card_is_on_the_page() -> None:
    """Sentences and cells, as the record has them."""
    text = page(report(prod(model_cards=(card_row(2, "e", MAY),)))).text
    for section in CARD.sections:
        for said in (
            section.heading,
            *section.sentences,
            *(t for table in section.tables for row in table.rows for t in row),
        ):
            assert re.sub(r"\s+", " ", readable(said)).strip() in text


def test_of_a_version_that_was_judged_twice_the_newest_card_is_shown() -> None:
    """The newest version comes first."""
    rows = (card_row(2, "first", MAY), card_row(2, "again", JUNE), card_row(3, "other", MAY))
    assert [(c.version, c.evaluation_id) for c in model_cards(prod(model_cards=rows))] == [(3, "other"), (2, "again")]


def test_windows_without_a_difference_are_shown_as_such() -> None:
    """With how many requests were compared, and how many were moved."""
    text = page(report(prod(skew=skew_rows(MAY)))).text
    assert "t1 May 2013 1,200 900 3 0 none" in text
    assert "No training set has been compared" in page(report()).text
    assert "t1 May 2013 1,200 0 3 0 \u2013" in page(report(prod(skew=skew_rows(MAY, requests=0)))).text


def test_an_input_that_differs_is_shown_with_lookup_cause_and_example() -> None:
    """A value that was missing is called so."""
    rows = skew_rows(JUNE, differing=12, late=10, changed=2, example_key="k", scored_value=None, trained_value="3.5")
    text = page(report(prod(skew=rows))).text
    assert "1 input" in text
    assert "wind speed , from the lookup of weather by origin: 10 joined a row that reached the table after" in text
    assert "k: scored with no value, trained with 3.5." in text
