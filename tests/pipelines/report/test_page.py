"""The page shows what the records hold: every decision with its rules, every count, and nothing from elsewhere."""

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from ml.gate.verdict import Reason
from ml.metrics.metric_labels import metric_label
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import profile
from ml.spec.estimator import Problem
from ml.spec.gate_policy import DEFAULT_BINARY, DEFAULT_REGRESSION
from pipelines.report.page import headline, render
from pipelines.report.records import (
    EnvironmentRecords,
    EstateSummary,
    ReportRecords,
    Row,
    Scored,
    StackResources,
    Version,
)
from pipelines.report.sections.decisions import Way, decisions, gate_decisions
from pipelines.report.sections.estimates import estimate_tables
from pipelines.report.sections.findings import drift_grid
from pipelines.report.sections.operations import job_runs, quarantine_reasons, source_counts, summary
from pipelines.report.sections.quality import months, slice_tables

MAY, JUNE, JULY = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (5, 6, 7))
BETTER = Reason(rule="better", candidate=3, passed=True, value=0.0012, threshold=0.025, sentence="version 3 is better")
SLOW = Reason(rule="latency", candidate=4, passed=False, value=2.5, threshold=1.5, sentence="version 4 is slow")
ROWS_ENOUGH = Reason(rule="rows", candidate=None, passed=True, value=5000.0, threshold=1000.0, sentence="5000 rows")


def metric_row(
    window: dt.datetime,
    alias: str,
    version: int,
    value: float,
    *,
    name: str = "roc_auc_score",
    key: str = ":all",
    of: str = ":all",
    labelled: int = 900,
    **more: Any,
) -> Row:
    """Return a row of the metrics table."""
    row = {
        "window_start": window, "alias": alias, "model_version": version, "slice_key": key, "slice_value": of,
        "metric": name, "value": value, "standard_error": 0.01, "predictions": 1000, "labelled": labelled,
        "without_label": 40, "missing_labels": 10, "computed_at": JULY,
    }  # fmt: skip
    return {**row, **more}


def run_row(
    job: str,
    task: str,
    seconds: float,
    *,
    state: str = "succeeded",
    run: str = "r1",
    attempt: int = 1,
    error: str | None = None,
    as_of: dt.datetime = JUNE,
) -> Row:
    """Return a row of the runs table."""
    return {
        "run_id": run, "job": f"flights.{job}", "task": task, "attempt": attempt, "state": state, "seconds": seconds,
        "started_at": JULY + dt.timedelta(seconds=attempt), "as_of": as_of, "rows": 5, "error": error,
    }  # fmt: skip


def finding(
    window: dt.datetime,
    kind: str = "drift",
    column: str = "temperature",
    statistic: str = "js_distance",
    value: float = 0.4,
    threshold: float = 0.3,
) -> Row:
    """Return a row of the findings table."""
    return {
        "window_start": window, "window_end": JULY if window == JUNE else JUNE, "kind": kind, "column_name": column,
        "slice_key": ":all", "slice_value": ":all", "statistic": statistic, "value": value, "threshold": threshold,
        "since": window, "message": f"{column} {kind}",
    }  # fmt: skip


def drift_row(window: dt.datetime, column: str, value: float, *, computed: dt.datetime = JULY) -> Row:
    """Return a row of the drift table."""
    return {"window_start": window, "column_name": column, "js_distance": value, "computed_at": computed}


def prod(**more: Any) -> EnvironmentRecords:
    """Return an environment that ran in May and June, with a retraining between them."""
    verdict = {
        "evaluation_id": "e1", "decided_at": JUNE, "policy": "default", "outcome": "promote", "champion": 1,
        "promoted": 3, "challenger": 3, "sentence": "promote version 3 instead of version 1: it is better.",
        "reasons": json.dumps([asdict(reason) for reason in (ROWS_ENOUGH, BETTER, SLOW)]),
    }  # fmt: skip
    records = {
        "metrics": (
            metric_row(MAY, "champion", 1, 0.70), metric_row(MAY, "baseline", 1, 0.70),
            metric_row(JUNE, "champion", 3, 0.72), metric_row(JUNE, "baseline", 1, 0.69),
            metric_row(MAY, "champion", 1, 0.55, name="log_loss"),
            metric_row(MAY, "champion", 1, 0.66, key="carrier", of="UA"),
            metric_row(JUNE, "champion", 3, 0.75, key="carrier", of="UA"),
            metric_row(MAY, "champion", 1, 0.9, key="carrier", of="HA", labelled=12),
            metric_row(MAY, "evaluation", 3, 0.735),
        ),
        "verdicts": (verdict,),
        "retrainings": (
            {"decided_at": JUNE, "retrain": True, "cause": "metric_fell", "reasons": json.dumps(["it fell far"])},
            {"decided_at": JULY, "retrain": False, "cause": "none", "reasons": json.dumps(["all is quiet"])},
        ),
        "findings": (finding(MAY, "metric_fell", ":table", "roc_auc_score", 0.7, 0.71), finding(JUNE)),
        "drift": (drift_row(MAY, "temperature", 0.1), drift_row(JUNE, "temperature", 0.4), drift_row(MAY, "wind", 0.2)),
        "ingests": (
            {"source": "weather", "rows_read": 10, "rows_kept": 8, "rows_quarantined": 2, "rows_new": 7},
            {"source": "weather", "rows_read": 5, "rows_kept": 5, "rows_quarantined": 0, "rows_new": 5},
        ),
        "quarantine": (
            {"source": "weather", "reasons": "wind: 999.0 is above 200; humidity: is missing and required"},
            {"source": "weather", "reasons": "wind: 1048.4 is above 200"},
        ),
        "runs": (
            run_row("features", "ingest", 2.0), run_row("monitoring", "retrain", 30.0, as_of=JULY),
            run_row("training", "train", 28.0, as_of=JULY),
        ),
        "starts": frozenset({("flights.monitoring", "retrain")}),
        "versions": (
            Version(number=1, aliases=("baseline",), tags={"estimator": "logistic_regression", "git_commit": "a" * 40}),
            Version(number=3, aliases=("champion",), tags={
                "estimator": "gradient_boosting", "trained_from": "2013-01-01T00:00", "trained_until": "2013-05-01T00:00",
                "table_versions": '{"flights_features.labels": 7}'}),
        ),
    }  # fmt: skip
    return EnvironmentRecords(name="prod", **{**records, **more})


def report(environment: EnvironmentRecords | None = None, **more: Any) -> ReportRecords:
    """Return the records of a report."""
    records = {
        "use_case": "flights", "description": "will it be late", "team": "ops", "problem": Problem.BINARY,
        "policy": DEFAULT_BINARY, "drift_statistics": ("missing_rate_difference", "js_distance"), "minimum_rows": 200,
        "environments": (EnvironmentRecords(name="dev"), environment or prod()), "main": "prod",
    }  # fmt: skip
    return ReportRecords(**{**records, **more})


class Page(HTMLParser):
    """Collects what a browser finds: links, ids, addresses, headings without a scope, text; requires that tags close."""

    VOID = frozenset({"meta", "br", "line", "circle", "path", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.ids: list[str | None] = []
        self.addresses: list[str | None] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.unscoped = self.tables = 0
        self.feed(text)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes of a tag."""
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.addresses += [given[name] for name in ("src", "srcset", "action") if name in given]
        self.addresses += [given["href"]] if "href" in given and tag != "a" else []
        self.unscoped += tag == "th" and "scope" not in given
        self.tables += tag == "table"
        assert tag != "script"

    def handle_endtag(self, tag: str) -> None:
        """Require that the tag is the one opened last."""
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect visible text."""
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def page(records: ReportRecords) -> Page:
    """Return the page of a report, parsed."""
    return Page(render(records))


def test_the_page_is_self_contained_and_well_formed() -> None:
    """It has no script and no address but its own sections; every table heading has a scope, every tag is closed."""
    html = render(report())
    found = Page(html)
    assert found.addresses == []
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert len(found.ids) == len(set(found.ids))
    assert found.unscoped == 0
    assert found.tables > 8
    assert not re.search(r"url\(|@import|https?://", html)


def test_every_rule_of_a_verdict_is_shown_with_value_threshold_and_sentence() -> None:
    """Rules that are met and that are not, of the evaluation as a whole and of each candidate."""
    text = page(report()).text
    assert "Promote version 3 instead of version 1: it is better." in text
    for reason in (ROWS_ENOUGH, BETTER, SLOW):
        assert reason.sentence in text
    assert re.search(r"rows ✓ yes 5,000 1,000", text)
    assert re.search(r"better ✓ yes 0.0012 0.025", text)
    assert re.search(r"latency ✗ no 2.5 1.5", text)
    assert "1 rule not met" in text


def test_a_decision_not_to_retrain_is_shown_with_its_reason() -> None:
    """The log has every decision in order, also those of months without findings."""
    environment = prod()
    log = decisions(environment, gate_decisions(environment, DEFAULT_BINARY))
    assert [(d.decided_at, d.retrain, d.cause) for d in log] == [(JUNE, True, "metric_fell"), (JULY, False, "none")]
    assert [len(d.verdicts) for d in log] == [1, 0]
    assert [dict(d.found) for d in log] == [{"metric_fell": 1}, {"drift": 1}]
    text = page(report(environment)).text
    assert "because a metric fell" in text
    assert "it fell far" in text
    assert "all is quiet" in text


def test_a_training_that_a_person_requested_is_no_decision_of_the_monitor() -> None:
    """The first training has a verdict and no decision on retraining."""
    environment = prod(retrainings=())
    assert [d.retrain for d in decisions(environment, gate_decisions(environment, DEFAULT_BINARY))] == [None]
    assert "A training was requested" in page(report(environment)).text


def test_a_retraining_that_was_too_soon_is_shown_with_the_findings() -> None:
    """Cause and findings are separated by a space."""
    waited = {"decided_at": JULY, "retrain": False, "cause": "metric_fell", "reasons": json.dumps(["too soon"])}
    html = render(report(prod(retrainings=(waited,))))
    assert re.search(r"<strong>although a metric fell</strong>\s+<span class=\"note\">findings of that month", html)


def verdict_row(
    when: dt.datetime,
    outcome: str = "promote",
    *,
    evaluation: str = "e2",
    sentence: str = "it is so",
    reasons: Sequence[Reason] = (BETTER,),
    **more: Any,
) -> Row:
    """Return a row of the verdicts table."""
    row = {
        "evaluation_id": evaluation, "decided_at": when, "policy": "default", "outcome": outcome, "champion": 1,
        "promoted": 3, "challenger": None, "sentence": sentence,
        "reasons": json.dumps([asdict(reason) for reason in reasons]),
    }  # fmt: skip
    return {**row, **more}


COPIED = Version(number=3, aliases=("champion",), tags={"estimator": "ridge", "copied_from": "staging version 2"})
BACK = Reason(
    rule="rollback", candidate=1, passed=True, value=None, threshold=None, sentence="version 1 was champion before"
)
TAKEN_BACK = verdict_row(
    JULY, "rollback", policy="rollback", champion=3, promoted=1, reasons=(BACK,), evaluation="rollback 1",
    sentence="roll back from version 3 to version 1: too slow",
)  # fmt: skip


def titles(environment: EnvironmentRecords) -> list[str]:
    """Return the title of each entry in the log of decisions."""
    log = render(report(environment)).split('<ol class="log">')[1].split("</ol>")[0]
    return re.findall(r"<p>\s*<strong>(.*?)</strong>", log)


def test_a_rollout_that_begins_and_one_that_was_returned_are_told() -> None:
    """The first by the training, whose candidate is not champion yet; the second by itself, with the rule."""
    begun = verdict_row(JUNE, "rollout", promoted=None, challenger=3)
    fault = replace(BETTER, rule="errors", passed=False, sentence="version 3 could not score 60 of 90 requests")
    ended = verdict_row(JULY, "returned", promoted=None, challenger=3, reasons=(fault,), evaluation="rollout r7")
    environment = prod(retrainings=(), verdicts=(begun, ended))
    assert titles(environment) == ["A training was requested", "A rollout has ended"]
    text = Page(render(report(environment))).text
    assert "passed, its rollout begins" in text
    assert "version 3 could not score 60 of 90 requests" in text


def test_a_training_a_delivery_and_a_rollback_have_different_titles() -> None:
    """A delivery names the environment that its candidate was copied from, a rollback its reason."""
    environment = prod(
        retrainings=(), verdicts=(*prod().verdicts, TAKEN_BACK), versions=(COPIED,),
        runs=(run_row("features", "ingest", 2.0),),
    )  # fmt: skip
    assert titles(environment) == ["A delivery from staging was requested", "A rollback was requested"]
    html = render(report(environment))
    text = Page(html).text
    assert "Candidate v3, ridge, copy of staging version 2 promoted" in text
    assert "Roll back from version 3 to version 1: too slow Version 1 was champion before." in text
    assert html.count("The evaluation as a whole") == 1
    own = replace(environment, versions=prod().versions)
    assert titles(own) == ["A training was requested", "A rollback was requested"]


def test_a_delivery_without_a_candidate_to_judge_is_known_by_its_job() -> None:
    """The gate may refuse an evaluation as a whole, before any candidate."""
    nothing = verdict_row(JULY, "refuse", reasons=(ROWS_ENOUGH,), promoted=None, evaluation="d1")
    runs = (run_row("delivery", "promote", 1.0, run="d1"), run_row("training", "promote", 1.0, run="t1"))
    environment = prod(retrainings=(), verdicts=(nothing, {**nothing, "evaluation_id": "t1"}), runs=runs)
    assert titles(environment) == ["A delivery from another environment was requested", "A training was requested"]


def test_a_verdict_requested_at_the_time_of_a_monitoring_run_is_an_entry_of_its_own() -> None:
    """The monitor's decision is followed only by the training or delivery that it started, not by a rollback."""
    yes, no = prod().retrainings
    delivered = verdict_row(JUNE)
    environment = prod(retrainings=(yes, no), verdicts=(delivered, {**TAKEN_BACK, "decided_at": JUNE}, verdict_row(JULY)),
                versions=(COPIED,))  # fmt: skip
    log = [
        (d.decided_at, d.retrain, [v.way for v in d.verdicts])
        for d in decisions(environment, gate_decisions(environment, DEFAULT_BINARY))
    ]
    assert log == [
        (JUNE, True, [Way.DELIVERY]), (JUNE, None, [Way.ROLLBACK]), (JULY, False, []), (JULY, None, [Way.DELIVERY]),
    ]  # fmt: skip
    assert "A delivery from staging, as nothing is trained here." in page(report(environment)).text


def test_the_table_of_models_shows_where_a_copy_comes_from() -> None:
    """So does the champion in the summary of environments; without copies there is no such column."""
    text = page(report(prod(versions=(prod().versions[0], COPIED)))).text
    assert "Version Copied from Estimator" in text
    assert re.search(r"v1 \S logistic regression .* v3 staging version 2 ridge", text)
    assert "v3 of 2, ridge, copy of staging version 2; ROC AUC 0.735 when evaluated" in text
    assert "Copied from" not in page(report()).text


def test_months_are_in_order_with_a_mark_where_the_champion_changed() -> None:
    """Each has the values of both models; the counts of its predictions add up."""
    measured = months(report())
    assert [(m.start, m.champion.version, m.champion.value, m.baseline.value) for m in measured] == [
        (MAY, 1, 0.70, 0.70), (JUNE, 3, 0.72, 0.69),
    ]  # fmt: skip
    assert [m.changed for m in measured] == [False, True]
    assert measured[0].champion.waiting == 1000 - 900 - 40 - 10
    assert headline(measured).champion == pytest.approx(0.71)
    assert "v1 → v3" in page(report()).text


def test_of_two_versions_that_shared_a_month_the_one_with_more_predictions_is_its_champion() -> None:
    """A promotion in the middle of a month leaves two rows."""
    shared = metric_row(JUNE, "champion", 5, 0.6, predictions=20)
    assert months(report(prod(metrics=(*prod().metrics, shared))))[1].champion.version == 3


def test_a_month_shows_what_the_decision_at_its_end_was_based_on() -> None:
    """A month is compared again later, with a newer champion; a finding of the decision frames its cell."""
    first = drift_row(MAY, "temperature", 0.9, computed=JUNE)
    later = drift_row(MAY, "temperature", 0.1, computed=JULY + dt.timedelta(days=1))
    others = [row for row in prod().drift if (row["column_name"], row["window_start"]) != ("temperature", MAY)]
    grid = drift_grid(report(prod(drift=(later, first, *others))), (MAY, JUNE))
    assert grid.statistic == "js_distance"
    assert [name for name, _ in grid.rows] == ["temperature", "wind"]
    cells = dict(grid.rows)["temperature"]
    assert [(cell.value, cell.threshold) for cell in cells] == [(0.9, None), (0.4, 0.3)]
    assert dict(grid.rows)["wind"][1].value is None


def test_a_frame_and_a_count_stay_as_they_were_at_the_decision() -> None:
    """The finding was withdrawn when the month was measured again."""
    drifted = {**finding(MAY, "drift", "temperature", "js_distance"), "threshold": 0.06}
    history = (
        {**drifted, "recorded_at": JUNE, "withdrawn": False}, {**drifted, "recorded_at": JULY, "withdrawn": True},
    )  # fmt: skip
    decided = {"decided_at": JUNE, "retrain": True, "cause": "drift", "reasons": "[]", "run_id": "r"}
    shown = prod(findings=(), findings_history=history, retrainings=(decided,))
    cells = dict(drift_grid(report(shown), (MAY, JUNE)).rows)["temperature"]
    assert [cell.threshold for cell in cells] == [0.06, None]
    assert [decision.found for decision in decisions(shown, ()) if decision.retrain] == [{"drift": 1}]


def drifted_prod(**more: Any) -> EnvironmentRecords:
    """Return an environment whose decision in June was based on a temperature that had risen by ten degrees in May."""
    random = np.random.default_rng(3)
    spec = ProfileSpec.from_sample({"temperature": random.normal(15, 5, 2_000)})
    before, after = (profile({"temperature": random.normal(mean, 5, 1_000)}, spec) for mean in (15, 25))
    drifted = {
        **finding(MAY, "drift", "temperature", "js_distance"), "value": 0.5, "threshold": 0.06, "recorded_at": JUNE,
        "withdrawn": False,
    }  # fmt: skip
    compared = {**drift_row(MAY, "temperature", 0.5, computed=JUNE), "model_id": "1", "recorded_at": JUNE}
    decided = {"decided_at": JUNE, "retrain": True, "cause": "drift", "reasons": "[]", "run_id": "r"}
    given = {
        "findings": (drifted,), "findings_history": (drifted,), "drift_history": (compared,),
        "retrainings": (decided,), "references": {1: before}, "profiles": {(MAY, 1): after},
    }  # fmt: skip
    return prod(**{**given, **more})


def test_a_decision_opens_the_distributions_that_it_was_based_on() -> None:
    """Before and after of the column that had moved, with the statistic that was found; the bars show where it moved."""
    (decision,) = [one for one in decisions(drifted_prod(), ()) if one.retrain]
    (shown,) = decision.distributions
    assert (shown.column, shown.version, shown.rows_before, shown.rows_after) == ("temperature", 1, 1_000, 1_000)
    upper = [group for group in shown.groups if group.after > group.before]
    assert sum(group.after for group in upper) > 0.8 > 0.3 > sum(group.before for group in upper)
    assert upper == list(shown.groups[-len(upper) :])
    text = page(report(drifted_prod())).text
    assert "1 distribution before and after" in text
    assert f"Temperature: {metric_label('js_distance')} 0.5000, above 0.0600. Share of the 1,000 rows" in text


@pytest.mark.parametrize("missing", ["references", "profiles"])
def test_a_decision_whose_profiles_are_not_kept_opens_no_distribution(missing: str) -> None:
    """Of an older release, or of a version that was deleted."""
    assert all(one.distributions == () for one in decisions(drifted_prod(**{missing: {}}), ()))


def test_a_missing_rate_beyond_its_threshold_is_marked_in_the_grid() -> None:
    """The title of the mark is the whole finding."""
    missing = finding(MAY, "missing_rate", "wind", "missing_rate_difference")
    html = render(report(prod(findings=(missing,))))
    assert re.search(r'title="wind: 0.2000; wind missing_rate">0.20 △', html)


def test_slices_are_compared_with_all_rows_of_their_month_and_small_ones_are_named() -> None:
    """Better and worse are differences in the metric; a slice with few labels has no value."""
    table = slice_tables(report(), months(report()))[0]
    ((value, cells),) = table.rows
    assert (table.key, value, table.few) == ("carrier", "UA", ("HA",))
    assert [cell.better for cell in cells] == pytest.approx([-0.04, 0.03])
    assert "Fewer labels in every month: HA." in page(report()).text


def test_quarantined_rows_are_counted_by_reason_regardless_of_their_value() -> None:
    """Two rows with the same fault are one reason; a row with two faults counts for each."""
    found = [(reason.reason, reason.rows) for reason in quarantine_reasons(prod())]
    assert found == [("wind is above 200", 2), ("humidity is missing and required", 1)]


def test_counts_that_do_not_add_up_are_shown_as_such() -> None:
    """Rows read must be rows kept and rows quarantined."""
    (source,) = source_counts(prod())
    assert (source.read, source.kept, source.quarantined, source.new, source.adds_up) == (15, 13, 2, 12, True)
    lost = {**prod().ingests[0], "rows_kept": 7}
    assert not source_counts(prod(ingests=(lost,)))[0].adds_up
    assert re.search(r"weather 1 10 7 2 7 no", page(report(prod(ingests=(lost,)))).text)


def test_a_training_that_the_monitor_started_counts_once() -> None:
    """The seconds of the task that waits for it are left out; the month is the one that the run covers."""
    jobs = {job.job: job for job in job_runs(prod())}
    assert jobs["flights.monitoring"].total == 0
    assert jobs["flights.training"].seconds == {JUNE: 28.0}
    assert jobs["flights.features"].seconds == {MAY: 2.0}


def test_a_failed_attempt_that_succeeded_later_is_no_error_but_its_time_counts() -> None:
    """The last attempt is the state of a task; a task whose last attempt failed shows its error."""
    attempts = (
        run_row("features", "ingest", 3.0, state="failed", error="OSError: busy"),
        run_row("features", "ingest", 2.0, attempt=2),
        run_row("features", "build", 1.0, state="failed", error="KeyError: gone"),
    )
    (job,) = job_runs(prod(runs=attempts))
    assert (job.runs, job.total, job.states, job.errors) == (
        1, 6.0, {"succeeded": 1, "failed": 1}, ("build: KeyError: gone",),
    )  # fmt: skip
    assert "KeyError: gone" in page(report(prod(runs=attempts))).text


def test_every_environment_is_summarised_also_one_where_nothing_ran() -> None:
    """The summary has champion, evaluation and counts; an unused environment is marked."""
    environment = summary(prod(), report())
    assert (
        environment.champion.number,
        environment.evaluated,
        environment.predictions,
        environment.read,
        environment.quarantined,
    ) == (
        3,
        0.735,
        2000,
        15,
        2,
    )
    text = page(report()).text
    assert "v3 of 2, gradient boosting; ROC AUC 0.735 when evaluated" in text
    assert "dev Nothing has run here." in text


def estimate_row(
    window: dt.datetime,
    name: str,
    estimated: float,
    realised: float | None = None,
    error: float | None = None,
    *,
    alias: str = "champion",
    version: int = 1,
    predictions: int = 1000,
) -> Row:
    """Return a row of the estimates table."""
    return {
        "window_start": window, "alias": alias, "model_version": version, "metric": name, "estimated": estimated,
        "realised": realised, "error": error, "standard_error": None if realised is None else 0.01,
        "predictions": predictions, "labelled": 0 if realised is None else 900, "computed_at": JULY,
    }  # fmt: skip


def test_an_estimate_is_compared_with_the_realised_metric() -> None:
    """The deciding metric is first; of two versions in a month the one with more predictions is shown."""
    environment = prod(estimates=(
        estimate_row(MAY, "log_loss", 0.5, 0.52, -0.02),
        estimate_row(MAY, "roc_auc_score", 0.71, 0.70, 0.008),
        estimate_row(JUNE, "roc_auc_score", 0.7654, 0.70, 0.0611, version=3),
        estimate_row(JUNE, "roc_auc_score", 0.1, 0.1, 0.0, version=1, predictions=3),
        estimate_row(JULY, "roc_auc_score", 0.7321, version=3),
        estimate_row(MAY, "roc_auc_score", 0.2, 0.2, 0.0, alias="baseline"),
    ))  # fmt: skip
    deciding, other = estimate_tables(report(environment))
    assert (deciding.metric, other.metric) == ("roc_auc_score", "log_loss")
    assert [(row.version, row.judged) for row in deciding.rows] == [
        (1, "within chance"),
        (3, "off"),
        (3, "no labels yet"),
    ]
    assert deciding.typical_error == pytest.approx(np.sqrt((0.008**2 + 0.0611**2) / 2))
    page = Page(render(report(environment)))
    for said in ("0.7654", "+0.0611", "no labels yet", "typically off by 0.0436"):
        assert said in page.text
    assert "estimates" in page.ids


def test_a_page_without_estimates_has_no_section_for_them() -> None:
    """There is no empty table."""
    assert "Estimated before labels arrived" not in Page(render(report())).text


def minutes_of_may() -> Scored:
    """Return the predictions of two models for a month of flights, in minutes."""
    random = np.random.default_rng(2)
    truth = random.uniform(40, 300, 300)
    return Scored(
        instants=np.datetime64("2013-05-01T00:00:00") + np.arange(300) * np.timedelta64(2, "h"), labels=truth,
        champion=truth + random.normal(0, 8, 300), baseline=truth + random.normal(0, 12, 300),
        champion_version=np.full(300, 1), baseline_version=np.full(300, 1),
    )  # fmt: skip


def test_a_regression_is_described_in_its_own_words() -> None:
    """Its error is in minutes and lower is better; no score is called a probability."""
    environment = prod(
        metrics=(
            metric_row(MAY, "champion", 1, 8.25, name="mean_absolute_error"),
            metric_row(MAY, "champion", 1, 11.5, name="root_mean_squared_error"),
            metric_row(JUNE, "champion", 3, 7.75, name="mean_absolute_error"),
        ),
        estimates=(estimate_row(MAY, "mean_absolute_error", 8.5, 8.25, 0.2),),
        findings=(),
        scored=minutes_of_may(),
    )
    records = report(environment, problem=Problem.REGRESSION, policy=DEFAULT_REGRESSION)
    text = Page(render(replace(records, unit="minutes"))).text
    for said in (
        "mean absolute error in minutes, monthly mean",
        "8.2500",
        "mean absolute error in minutes: the estimate was typically off by",
        "Root mean squared error in minutes: lower is better",
        "Observed and predicted mean in minutes",
        "observed mean in minutes; ",
        "8.5000",
    ):
        assert said.lower() in text.lower()
    for unsaid in ("ROC", "AUC", "came true", "probabilit"):
        assert unsaid not in text


def test_a_month_in_which_a_constant_was_better_is_named() -> None:
    """The champion's log loss is compared with that of the month's own rate."""
    days = np.datetime64("2013-05-01") + (np.arange(1000) % 28).astype("timedelta64[D]")
    labels = (np.arange(1000) % 4 == 0).astype(float)
    scored = Scored(
        instants=days.astype("datetime64[us]"), labels=labels, champion=np.full(1000, 0.25),
        baseline=np.full(1000, np.nan), champion_version=np.ones(1000, int), baseline_version=np.zeros(1000, int),
    )  # fmt: skip
    environment = prod(scored=scored)
    assert "was worse than that of the best constant" not in page(report(environment)).text
    worse = (metric_row(MAY, "champion", 1, 0.6, name="log_loss"), metric_row(MAY, "champion", 1, 0.7))
    assert (
        "In May the champion's log loss was worse than that of the best constant"
        in page(report(replace(environment, metrics=worse))).text
    )


def test_values_of_tables_are_text_on_the_page_and_never_markup() -> None:
    """Names, reasons and errors come from outside."""
    hostile = "<script>alert(1)</script>"
    environment = prod(
        quarantine=({"source": "weather", "reasons": hostile},),
        runs=(run_row("features", "ingest", 1.0, state="failed", error=hostile),),
        findings=(finding(MAY, column=f'"{hostile}'),),
        drift=(drift_row(MAY, f'"{hostile}', 0.2),),
    )
    html = render(report(environment, description=hostile))
    assert "<script>" not in html
    assert hostile in Page(html).text


def test_the_page_of_an_empty_environment_says_what_to_do() -> None:
    """Nothing is measured, decided, found, ingested or registered yet."""
    text = page(report(EnvironmentRecords(name="prod"))).text
    for said in (
        "score, wait for labels", "Nothing has been decided yet.", "There are no findings.", "Nothing has been ingested yet.",
        "No model version has been registered yet.", "Nothing has run yet.",
    ):  # fmt: skip
        assert said in text


def test_the_estate_is_the_first_section_if_it_is_given() -> None:
    """It has stacks with their counts, and who may do what in which environment."""
    estate = EstateSummary(
        stacks=(StackResources(name="dev-platform", resources={"azurerm_subnet": 2, "azurerm_key_vault": 1}),),
        permissions=({"environment": "dev", "who": "data scientist", "jobs": "CAN_VIEW"},),
        picture="<svg><title>a picture of stacks</title></svg>",
    )
    found = page(report(estate=estate))
    assert found.links[0] == "#estate"
    assert "dev-platform 3 2 azurerm subnet, 1 azurerm key vault" in found.text
    assert "dev data scientist CAN_VIEW" in found.text
    assert "a picture of stacks" in render(report(estate=estate))
    assert "estate" not in page(report()).ids


def test_the_main_environment_must_be_among_those_given() -> None:
    """The sentence names the environments."""
    with pytest.raises(ValueError, match="'staging', which is not among its environments: dev, prod"):
        render(report(main="staging"))
