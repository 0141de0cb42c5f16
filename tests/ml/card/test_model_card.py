"""A model card states what is recorded of a version, says of everything else that it is not, and is shown as one page."""

import datetime as dt
import re
from dataclasses import asdict, replace
from html import unescape

import pytest
from scipy import stats

from ml.card.facts import CardFacts, CardMetric, Importances
from ml.card.html_page import card_page
from ml.card.model_card import CALIBRATION, DATA, IMPORTANCE, LABELS, METRICS, MODEL, VERDICT, model_card
from ml.card.record import UNKNOWN, CardError, CardTable, ModelCard
from ml.card.slices import SLICES
from ml.evaluation.comparison import Comparison
from ml.gate.decision import decide
from ml.labels.maturity import LabelCounts
from ml.metrics.metric_labels import readable
from ml.models.importance import InputImportance
from ml.spec.gate_policy import DEFAULT_BINARY
from tests.ml.gate import test_decision as decision_tests
from tests.ml.gate.test_small_slices import carriers_with, evaluated

EVALUATION = replace(
    evaluated(carriers_with(YV=0.01, HA=0.0005, UA=0.4)), label_counts=LabelCounts(labelled=8_000, late=40)
)
DECISION = decide(EVALUATION, DEFAULT_BINARY)
FACTS = CardFacts(
    model="dev.tests.m",
    version=2,
    environment="dev",
    tags={
        "use_case": "tests", "estimator": "drawn", "trained_from": "2020-01-01T00:00:00+00:00",
        "trained_until": "2020-01-28T00:00:00+00:00", "verdict": "promote", "trained_in": "dev",
        "table_versions": '{"tests_silver.b": 4, "tests_bronze.a": 17}',
    },
    due_days=7,
    without_outcome=None,
    evaluation=EVALUATION,
    measured=(
        CardMetric(metric="roc_auc_score", value=0.75, standard_error=0.01, degrees_of_freedom=20.0),
        CardMetric(metric="average_precision_score", value=0.4, standard_error=None, degrees_of_freedom=None),
    ),
    sentence=DECISION.sentence,
    decided_at=dt.datetime(2020, 3, 1, tzinfo=dt.UTC),
    reasons=DECISION.reasons,
    policy=DEFAULT_BINARY,
    parameters={"C": "1.0"},
    training_rows=9_000,
    training_labels=LabelCounts(labelled=9_000, assumed=0, without_outcome=1_000),
    importances=Importances(
        metric="roc_auc_score", rows="training rows",
        inputs=(InputImportance(input="b", importance=0.01, standard_error=0.0),
                InputImportance(input="a", importance=0.2, standard_error=0.1)),
    ),
)  # fmt: skip


def rows(card: ModelCard, heading: str, table: int = 0) -> list[tuple[str, ...]]:
    """The rows of a table of a section."""
    return list(card.section(heading).tables[table].rows)


def test_metrics_have_the_interval_of_their_error_and_their_units() -> None:
    """Student's t with the recorded degrees of freedom; a metric without an error has no interval."""
    card = model_card(FACTS)
    reach = stats.t.ppf(0.975, 20) * 0.01
    auc, precision = rows(card, METRICS)
    assert auc[:4] == ("roc_auc_score", "0.7500", f"{0.75 - reach:.4f} to {0.75 + reach:.4f}", "none")
    assert precision[2] == "no standard error"
    assert f"{EVALUATION.days} days" in card.section(METRICS).sentences[0]


def of_two_candidates(version: int) -> tuple[CardFacts, Comparison]:
    """The card's facts of one of two candidates, and its comparison with the champion in the deciding metric."""
    evaluation = decision_tests.evaluated(decision_tests.CHAMPION, decision_tests.BETTER, decision_tests.EQUAL)
    facts = replace(
        FACTS, version=version, evaluation=evaluation, policy=decision_tests.POLICY,
        reasons=decide(evaluation, decision_tests.POLICY).reasons,
    )  # fmt: skip
    (found,) = (
        c for c in evaluation.comparisons
        if (c.candidate, c.metric, c.against, c.slice_key) == (version, evaluation.metric, 1, None)
    )  # fmt: skip
    return facts, found


def ends(cell: str) -> tuple[float, ...]:
    """The ends of an interval in a cell."""
    return tuple(float(end) for end in re.findall(r"[+-][0-9.]+", cell)[:2])


@pytest.mark.parametrize("version", [2, 3])
def test_a_card_shows_the_interval_that_decided_beside_that_of_one_comparison_alone(version: int) -> None:
    """Of two candidates: Holm tests the better one at half of the level, so 0 is left out if, and only if, it passed."""
    facts, found = of_two_candidates(version)
    (row,) = (row for row in rows(model_card(facts), METRICS, 1) if row[2] == "has to be better")
    alone, rule, p = row[5:8]
    freedom = found.degrees_of_freedom or float("inf")
    raw = stats.t.sf(found.difference / found.standard_error, freedom)
    factor = 2 if version == 2 else 1
    for level, cell in ((0.025, alone), (0.025 / factor, rule)):
        reach = stats.t.isf(level, freedom) * found.standard_error
        assert ends(cell) == pytest.approx((found.difference - reach, found.difference + reach), abs=6e-5)
    assert "(95%, 2 tests together)" in rule
    assert float(p) == pytest.approx(factor * raw, rel=0.01)
    passed = next(r.passed for r in facts.reasons if (r.rule, r.candidate) == ("better", version))
    assert (ends(rule)[0] > 0) == passed


def test_a_card_says_of_each_interval_what_it_is_of() -> None:
    """In the heads of its columns and in a sentence; slices have both, too."""
    card = model_card(of_two_candidates(2)[0])
    heads = [column for section in card.sections for table in section.tables for column in table.columns]
    assert {head for head in heads if "95%" in head} == {
        f"95% interval of this {one} alone" for one in ("metric", "comparison", "slice")
    }
    assert heads.count("interval of the rule") == 2
    assert any("corrected" in sentence for sentence in card.section(METRICS).sentences)
    (judged,) = (table for table in card.section(SLICES).tables if "interval of the rule" in table.columns)
    assert {row[5].partition(" (")[2] for row in judged.rows} == {"90%, 4 tests together)"}


def test_a_decision_without_its_policy_has_the_same_intervals_of_rules_on_all_rows() -> None:
    """The reasons record the level; the policy may have changed since."""
    facts, _ = of_two_candidates(2)
    cards = [model_card(one) for one in (facts, replace(facts, policy=None))]
    assert rows(cards[0], METRICS, 1) == rows(cards[1], METRICS, 1)


def test_every_slice_stands_once_with_what_the_gate_could_see_there() -> None:
    """Two are judged; two are too small, one of them for any test; the power is that of the verdict."""
    card = model_card(FACTS)
    judged, small = card.section(SLICES).tables
    assert {row[0] for row in judged.rows} == {"carrier = AA", "carrier = UA"}
    powers = {row[0]: row[-1] for row in small.rows}
    assert set(powers) == {"carrier = YV", "carrier = HA"}
    assert powers["carrier = HA"].startswith("none")
    (said,) = (r.sentence for r in DECISION.reasons if r.rule == "small_slices")
    assert powers["carrier = YV"].split()[-1] in said
    assert any("2 of 4 slices were not judged" in limit for limit in card.section("Limits").sentences)


def test_without_a_champion_no_slice_is_said_to_be_judged() -> None:
    """They are measured only, and the limits say that nothing but a constant was compared."""
    first = replace(EVALUATION, champion=None, small_slices=())
    card = model_card(replace(FACTS, evaluation=first))
    assert card.section(SLICES).sentences == ("No slice was judged: there was no champion to compare with.",)
    assert any("a constant prediction only" in limit for limit in card.section("Limits").sentences)


def test_a_sample_and_summaries_are_limits() -> None:
    """Each is said only where it is recorded."""
    limits = {"sample of 25.00%": {"sample_share": 0.25}, "at most 0.001 from exact": {"metric_bound": 0.001}}
    for said, recorded in limits.items():
        card = model_card(replace(FACTS, evaluation=replace(EVALUATION, **recorded)))
        assert any(said in limit for limit in card.section("Limits").sentences)
        assert not any(said in limit for limit in model_card(FACTS).section("Limits").sentences)


def test_the_tables_behind_the_training_rows_stand_with_their_versions() -> None:
    """In words; a version of an older release that recorded none says so."""
    sentence = "Versions of the tables behind the training rows: "
    assert f"{sentence}tests_bronze.a 17, tests_silver.b 4." in model_card(FACTS).section(DATA).sentences
    assert f"{sentence}{UNKNOWN}." in model_card(replace(FACTS, tags={})).section(DATA).sentences


def test_labels_that_were_left_out_are_counted_by_reason() -> None:
    """For training and evaluation, and as a limit."""
    card = model_card(FACTS)
    assert any("1,000 due without an outcome" in sentence for sentence in card.section(LABELS).sentences)
    assert any("40 with an outcome that came after" in sentence for sentence in card.section(LABELS).sentences)
    assert any(
        limit.startswith("1,000 requests of the training window (10.0%)") for limit in card.section("Limits").sentences
    )


def test_the_verdict_has_every_rule_that_concerns_the_version() -> None:
    """Each as the gate said it."""
    said = {row[-1] for row in rows(model_card(FACTS), VERDICT)}
    assert said == {reason.sentence for reason in DECISION.reasons if reason.candidate in (None, 2)}


def test_a_figure_that_the_rows_do_not_define_is_no_unknown_one() -> None:
    """Rows of one class have no ROC AUC."""
    own = EVALUATION.contender(2)
    undefined = replace(own, slices=tuple(replace(one, metrics={"roc_auc_score": float("nan")}) for one in own.slices))
    first = replace(EVALUATION, champion=None, contenders=(undefined,), small_slices=())
    card = model_card(replace(FACTS, evaluation=first))
    assert {row[-1] for row in rows(card, SLICES)} == {"not defined"}


def test_inputs_are_ordered_by_importance() -> None:
    """The most important first."""
    assert [row[0] for row in rows(model_card(FACTS), IMPORTANCE)] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "heading", "column"),
    [
        ({"tags": {}}, MODEL, "estimator"),
        ({"parameters": None}, MODEL, "parameters"),
        ({"training_rows": None}, "Data and windows", "training"),
    ],
)
def test_what_is_not_recorded_is_said_to_be_unknown(changes: dict[str, object], heading: str, column: str) -> None:
    """Nothing else changes: a card never fills in what it does not know."""
    (row,) = (row for row in rows(model_card(replace(FACTS, **changes)), heading) if row[0] == column)  # type: ignore[arg-type]  # each of its field's type
    assert row[-1] == UNKNOWN


def test_a_version_that_does_not_count_has_a_card_with_the_reason() -> None:
    """It has no metrics, and the best version of the evaluation is not taken for it."""
    failed = replace(EVALUATION.contender(2), metrics={}, slices=(), failure="it could not be scored: no library")
    others = tuple(failed if one.version == 2 else one for one in EVALUATION.contenders)
    broken = replace(EVALUATION, contenders=others, comparisons=(), small_slices=())
    card = model_card(replace(FACTS, evaluation=broken, measured=()))
    assert card.section(METRICS).sentences[0] == "It does not count: it could not be scored: no library."
    assert card.section(METRICS).tables == ()
    assert card.section(SLICES).sentences == ("No slice was compared.",)
    assert {row[0]: row[2] for row in rows(card, CALIBRATION)}["this version"] == UNKNOWN


def test_an_evaluation_without_rows_has_a_card() -> None:
    """Nothing was evaluated, and that is all that is said."""
    empty = replace(
        EVALUATION, rows=0, window_start=None, window_end=None, comparisons=(), small_slices=(), label_spread=0.0
    )
    card = model_card(replace(FACTS, evaluation=empty, measured=(), reasons=()))
    assert card.section("Limits").sentences[0] == "Nothing was evaluated."


def test_unknown_labels_and_importance_are_limits() -> None:
    """Of a copy that was trained elsewhere neither is known."""
    card = model_card(replace(FACTS, training_labels=None, importances=None))
    limits = " ".join(card.section("Limits").sentences)
    assert "left out is not recorded here" in limits
    assert "not recorded on which inputs" in limits
    assert UNKNOWN in card.section(IMPORTANCE).sentences[0]


def test_a_card_is_restored_as_it_was_and_other_text_is_refused() -> None:
    """Every section, sentence and cell."""
    card = model_card(FACTS)
    assert ModelCard.from_json(card.to_json()) == card
    for text in ("", "{}", "[1]", '{"sections": [{}]}'):
        with pytest.raises(CardError, match="not a stored model card"):
            ModelCard.from_json(text)


def test_the_page_shows_every_text_of_the_card_and_loads_nothing() -> None:
    """Also a text with signs that mean something in HTML."""
    odd = replace(FACTS, tags={**FACTS.tags, "cause": "<b>&"})
    card, page = model_card(odd), card_page(model_card(odd))
    assert "<b>" not in page
    shown = unescape(re.sub(r"<style>.*?</style>|<[^>]+>", "\n", page, flags=re.DOTALL))
    for section in card.sections:
        for text in (
            section.heading,
            *section.sentences,
            *(t for table in section.tables for t in sum(table.rows, ())),
        ):
            assert readable(text) in shown
    assert not re.search(r"https?:|<script|src=|href=", page)


def test_a_column_of_numbers_is_known_as_one() -> None:
    """A page aligns it; what is not recorded is no number and no text either."""
    rows = (("a", "0.5", "1,200", "not recorded", "0.1 to 0.2"), ("b", "not recorded", "+3.1e-05", "", "3"))
    table = CardTable(caption="c", columns=("v", "w", "x", "y", "z"), rows=rows)
    assert table.numeric == (False, True, True, False, False)
    assert CardTable(caption="c", columns=("v",), rows=()).numeric == (False,)


def test_the_same_facts_give_the_same_card() -> None:
    """A task that is repeated writes the same bytes."""
    assert card_page(model_card(FACTS)) == card_page(model_card(replace(FACTS)))
    assert asdict(model_card(FACTS)) == asdict(model_card(FACTS))
