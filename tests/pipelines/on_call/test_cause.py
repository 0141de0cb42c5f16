"""Is it data, model or platform: a failed job comes before findings, a broken feed before the model."""

import datetime as dt

from pipelines.declarations.urgency import CauseArea
from pipelines.on_call.cause import errors_of, failed_first, likely_cause, named, newest_window, undelivered


def finding(kind: str, month: int = 6) -> dict[str, object]:
    """A finding of a month."""
    return {"kind": kind, "message": f"what {kind} says", "window_start": dt.datetime(2025, month, 1, tzinfo=dt.UTC)}


def test_a_job_that_failed_is_looked_at_first() -> None:
    """What it left unread or unscored makes findings of its own."""
    cause = likely_cause(failed=["a.features"], findings=[finding("source_stopped")], champion=1, ever_ran=True)
    assert (cause.area, cause.sentence) == (CauseArea.PLATFORM, "platform: a.features failed last; repair that before you read findings")  # fmt: skip


def test_a_task_that_waited_for_a_failed_one_is_not_what_to_look_at() -> None:
    """Each job is named once with the tasks that failed themselves; where all only waited, these are named."""
    runs = [
        {"job": "a.training", "task": task, "state": state}
        for task, state in (
            ("assemble", "failed"),
            ("fit", "upstream failed"),
            ("card", "timed out"),
            ("sum", "succeeded"),
        )
    ]
    assert named(failed_first(runs)) == ["a.training (tasks assemble and card)"]
    assert named(failed_first(runs[1:2])) == ["a.training (task fit)"]
    assert failed_first(runs[3:]) == []


def test_what_failed_is_quoted_with_its_trace() -> None:
    """A task whose process said nothing is named with its state."""
    run = {"job": "a.scoring", "task": "score", "state": "failed", "error": "no file.", "trace_id": "t1"}
    waited = {**run, "task": "after", "state": "upstream failed"}
    assert errors_of([run, waited]) == ("a.scoring, task score: no file. (trace t1)",)
    assert errors_of([run], said="data: a.scoring: no file.") == ()
    assert errors_of([{**run, "state": "interrupted", "error": None, "trace_id": None}]) == (
        "a.scoring, task score: interrupted",
    )


def test_a_delivery_that_was_not_taken_is_the_data_and_not_the_platform() -> None:
    """The task that reads the feeds failed with a sentence of its own; an unforeseen error there is the platform's."""
    said = "source outcomes: 4,646 of 6,000 rows (77%) are quarantined."
    ingest = {"job": "a.features", "task": "ingest", "state": "failed", "error": said}
    assert undelivered([ingest]) == [f"a.features: {said}"]
    cause = likely_cause(
        failed=named([ingest]),
        undelivered=undelivered([ingest]),
        findings=[finding("drift")],
        champion=1,
        ever_ran=True,
    )
    assert (cause.area, cause.sentence) == (CauseArea.DATA, f"data: a.features: {said}")
    others = [
        {**ingest, "error": "pipelines.lakehouse.tables.delta, line 7: Permission denied"},
        {**ingest, "state": "timed out"},
        {**ingest, "task": "assemble"},
    ]
    assert undelivered(others) == []


def test_what_failed_beside_a_delivery_is_named_after_it() -> None:
    """The feed first: the others may have failed for want of it."""
    cause = likely_cause(
        failed=["a.features (task ingest)", "a.training (task assemble)"], undelivered=["a.features: no file."],
        findings=[], champion=1, ever_ran=True,
    )  # fmt: skip
    assert (
        cause.sentence
        == "data: a.features: no file. After it look at a.training (task assemble), which failed last too"
    )


def test_a_broken_feed_is_looked_at_before_the_model() -> None:
    """It makes a good model look bad."""
    found = [finding("metric_fell"), finding("missing_rate")]
    cause = likely_cause(failed=[], findings=found, champion=1, ever_ran=True)
    assert (cause.area, cause.sentence) == (CauseArea.DATA, "data: missing rate; first: what missing_rate says")
    cause = likely_cause(failed=[], findings=found[:1], champion=1, ever_ran=True)
    assert cause.area is CauseArea.MODEL


def test_nothing_is_wrong_only_where_jobs_ran_and_there_is_a_champion() -> None:
    """An environment in which nothing has run is not healthy."""
    assert likely_cause(failed=[], findings=[], champion=4, ever_ran=True).area is None
    assert likely_cause(failed=[], findings=[], champion=None, ever_ran=True).area is CauseArea.MODEL
    assert likely_cause(failed=[], findings=[], champion=None, ever_ran=False).area is CauseArea.PLATFORM


def test_a_champion_whose_version_was_deleted_is_looked_at_before_the_jobs_that_fail_by_it() -> None:
    """Its sentence says what to do; what the jobs say follows from it."""
    lost = "champion was deleted: `mlops rollback a --env prod --reason TEXT`."
    cause = likely_cause(
        failed=["a.scoring"], findings=[], champion=None, ever_ran=True, lost=lost, at="--env prod --root demo"
    )
    assert cause.area is CauseArea.MODEL
    assert cause.sentence == "model: champion was deleted: `mlops rollback a --env prod --root demo --reason TEXT`."
    odd = likely_cause(
        failed=[], findings=[], champion=None, ever_ran=True, lost=lost, at=r"--env prod --root 'C:\1\Us er'"
    )
    assert r"--root 'C:\1\Us er' --reason" in odd.sentence


def test_only_the_newest_month_that_has_findings_counts() -> None:
    """Older ones are history."""
    assert newest_window([finding("drift", 4), finding("skew", 6), finding("drift", 6)]) == [finding("skew", 6), finding("drift", 6)]  # fmt: skip
    assert newest_window([]) == []


def test_what_a_later_morning_has_not_found_again_is_over() -> None:
    """A source that was repaired stands no more; a column that changed is told once a month, and stands until that is over."""

    def of(kind: str, day: int) -> dict[str, object]:
        begin = dt.datetime(2025, 6, day, tzinfo=dt.UTC)
        return {**finding(kind), "window_start": begin, "window_end": begin + dt.timedelta(days=1)}

    found = [of("source_stopped", 2), of("sudden_change", 2), of("labels_stopped", 3), of("drift", 1)]
    kinds = [
        [one["kind"] for one in newest_window(found, judged=judged)]
        for judged in (None, dt.datetime(2025, 6, 3, tzinfo=dt.UTC), dt.datetime(2025, 6, 4, tzinfo=dt.UTC))
    ]
    every = ["source_stopped", "sudden_change", "labels_stopped", "drift"]
    assert kinds == [every, every, every[1:]]


def test_a_job_whose_process_is_gone_is_the_platform_and_the_doctor_knows_more() -> None:
    """It comes before findings, which it may have left behind."""
    cause = likely_cause(
        failed=[],
        gone=["a.monitoring (task measure)"],
        findings=[finding("drift")],
        champion=1,
        ever_ran=True,
        at="--env prod --root demo",
    )
    assert cause.area is CauseArea.PLATFORM
    assert cause.sentence.startswith(
        "platform: the process of a.monitoring (task measure) is gone; to see what it left behind, run"
    )
    assert cause.sentence.endswith("mlops doctor --env prod --root demo")
