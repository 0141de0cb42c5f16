"""What a verdict was based on: every difference with its interval in the table, the slices as a picture, nothing twice."""

import json
import re
from dataclasses import asdict, replace

import pytest

from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.gate.intervals import judged_differences
from ml.rollout.looks import policy_of_look
from ml.spec.gate_policy import DEFAULT_BINARY
from pipelines.report.compared import MOST_ROWS, compared
from pipelines.report.page import render
from pipelines.report.records import ServedRequests
from pipelines.report.wording import signed
from tests.ml.gate.test_small_slices import carriers_with, evaluated, reversed_on
from tests.pipelines.report.served_records import SERVED, decision
from tests.pipelines.report.test_page import JUNE, MAY, Page, finding, prod, report, verdict_row

CARRIERS = carriers_with(UA=0.3, YV=0.01)
EVALUATION = replace(evaluated(CARRIERS, reversed_on(CARRIERS == "UA")), evaluation_id="e1")
DIFFERENCES = judged_differences(EVALUATION, DEFAULT_BINARY, 2)


def verdict() -> dict[str, object]:
    """The verdict of the gate about it, as a row."""
    found = decide(EVALUATION, DEFAULT_BINARY)
    return {
        **verdict_row(JUNE), "evaluation_id": "e1", "outcome": found.outcome.value, "champion": 1, "promoted": None,
        "sentence": found.sentence, "reasons": json.dumps([asdict(reason) for reason in found.reasons]),
    }  # fmt: skip


def html(evaluation: Evaluation = EVALUATION, **more: object) -> str:
    """The page of an environment with that verdict."""
    rows = ({"evaluation_id": "e1", "evaluation": evaluation.to_json()},)
    return render(report(prod(verdicts=(verdict(),), evaluations=rows, **more)))


def test_a_verdict_opens_every_difference_with_its_interval_and_what_is_said_of_it() -> None:
    """As the rules judge them: the slice that was turned round is shown to be worse, in the table and in the picture."""
    text = Page(html()).text
    worst = DIFFERENCES[[one.slice_value for one in DIFFERENCES].index("UA")]
    assert worst.low is not None
    assert worst.high is not None
    row = re.search(r"carrier = UA ROC AUC 2,400 (.*?) shown to be worse", text)
    assert row is not None
    for number in (worst.candidate_value, worst.against_value):
        assert f"{number:.4f}" in row[1]
    assert f"{signed(worst.low, 4)} to {signed(worst.high, 4)}" in row[1]
    assert "carrier = YV" in text
    assert text.count("not shown to be worse") >= 1
    assert "with intervals as corrected" in html()


def test_the_picture_draws_the_largest_falls_and_the_table_has_all() -> None:
    """With more slices than fit, the sentence below says how many are left out."""
    many = tuple(
        replace(DIFFERENCES[-1], slice_key="carrier", slice_value=f"c{place}") for place in range(MOST_ROWS + 3)
    )
    found = compared((DIFFERENCES[0], *many), name="x")
    assert found is not None
    assert found.left_out == 3
    assert len(found.rows) == MOST_ROWS + 4
    assert found.picture.count("<circle") == MOST_ROWS + 1
    assert compared((), name="x") is None
    whole = compared(tuple(one for one in DIFFERENCES if one.slice_key is None), name="x")
    assert whole is not None
    assert whole.picture == ""


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        (replace(EVALUATION, policy_digest="other"), "It was judged by another policy than the present one"),
        (replace(EVALUATION, evaluation_id="another"), "Its evaluation is not stored"),
    ],
)
def test_where_nothing_can_be_shown_one_sentence_says_why(evaluation: Evaluation, said: str) -> None:
    """No empty table."""
    rows = ({"evaluation_id": evaluation.evaluation_id, "evaluation": evaluation.to_json()},)
    text = Page(render(report(prod(verdicts=(verdict(),), evaluations=rows)))).text
    assert said in text
    assert "Differences as the rules judge them" not in text


def test_a_look_at_a_challenger_opens_the_same_and_the_decision_that_ended_it_points_there() -> None:
    """By the policy of that look; the table is on the page once."""
    first = policy_of_look(DEFAULT_BINARY, 1)
    judged = replace(EVALUATION, policy_digest=first.digest)
    look = {
        **decision("r", 2, 1, 10, "return", "version 2 was returned from 10%."), "run_id": "r1", "look": 1,
        "evaluation": judged.to_json(),
    }  # fmt: skip
    ended = {**verdict(), "evaluation_id": "rollout r1", "outcome": "returned"}
    by_version = tuple(replace(one, rollout_id="r", percentage=10) for one in SERVED.by_version[3:5])
    served = ServedRequests(by_version=by_version, decisions=(look,))
    text = render(report(prod(verdicts=(ended,), served=served)))
    page = Page(text)
    assert "#look-r1" in page.links
    assert "look-r1" in page.ids
    assert page.text.count("Differences as the rules judge them") == 1
    tests = {one.level for one in judged_differences(judged, first, 2) if one.rule == "better"}
    assert tests == {first.alpha}


def test_a_retraining_opens_the_metrics_that_had_fallen_on_all_rows_first() -> None:
    """With the window, the slice, the value and the limit that were known then."""
    slice_of = {"slice_key": "carrier", "slice_value": "UA"}
    fell = finding(MAY, "metric_fell", ":table", "roc_auc_score", 0.7, 0.71)
    findings = ({**fell, **slice_of, "value": 0.6, "threshold": 0.64}, fell)
    text = Page(render(report(prod(findings=findings)))).text
    assert re.search(r"May 2013 all rows ROC AUC 0.7000 0.7100 May 2013 carrier = UA ROC AUC 0.6000 0.6400", text)
    assert "2 metrics that fell, on all rows and by slice" in text
