"""The comparison sees what was lost, doubled or changed, and nothing that the normalisation names."""

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.pipelines.faults.comparing import compare
from tests.pipelines.faults.killing import residue
from tests.pipelines.faults.observing import State, Version

NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
FIRST, SECOND = "20261127T120000.000001", "20261127T130000.000002"


def version(number: int, run_id: str, *, files: str = "aa", **tags: str) -> Version:
    """A version that a run has trained."""
    own = {"estimator": "ridge", "trained_from": "1", "trained_until": "2", "training_set_id": run_id, **tags}
    return Version(
        environment="dev", model="air_time_models.air_time", number=number, status="READY", tags=own, files=files
    )


def state(run_id: str = FIRST, number: int = 1, now: dt.datetime = NOON, **changes: Any) -> State:
    """What one training and one scoring have left."""
    tables = {
        "dev/air_time_inference.predictions": [
            {"request_key": key, "alias": "champion", "model_version": number, "scored_at": now, "score": 0.5,
             "batch_id": json.dumps([run_id, "champion", number]), "features_version": json.dumps({"labels": number})}
            for key in ("a", "b")
        ],
        "dev/air_time_monitoring.verdicts": [
            {"evaluation_id": run_id, "promoted": number, "sentence": f"promote version {number}", "decided_at": now,
             "reasons": json.dumps([{"rule": "latency", "value": now.hour}, {"rule": "better", "candidate": number}])}
        ],
        "dev/air_time_monitoring.retrainings": [{"decided_at": NOON, "retrain": True, "run_id": run_id}],
        "dev/air_time_monitoring.runs": [
            {"run_id": run_id, "job": "air_time.training", "task": "promote", "attempt": number, "state": "succeeded",
             "rows": number, "values": json.dumps({"promoted": str(number)})}
        ],
    }  # fmt: skip
    whole = State(
        tables=tables, versions=(version(number, run_id),), aliases={("dev", "air_time_models.air_time", "champion"): number},
        runs=(("dev", f"ridge {run_id}", "FINISHED"),),
    )  # fmt: skip
    return replace(whole, **changes)


def table(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The tables of the state with one of them replaced."""
    return {"tables": {**state().tables, name: rows}}


def test_run_ids_clocks_and_consumed_numbers_make_no_difference() -> None:
    """The same content under other names is equal."""
    assert compare(state(), state(SECOND, number=7, now=NOON + dt.timedelta(hours=1))) == []


PREDICTIONS, RETRAININGS = "dev/air_time_inference.predictions", "dev/air_time_monitoring.retrainings"
ROWS = state().tables[PREDICTIONS]


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (state(**table(PREDICTIONS, ROWS[:1])), "lost"),
        (state(**table(PREDICTIONS, [*ROWS, ROWS[0]])), "doubled"),
        (state(**table(PREDICTIONS, [ROWS[0], {**ROWS[1], "score": 0.6}])), "changed"),
        (state(**table(PREDICTIONS, [*ROWS, {**ROWS[1], "request_key": "c"}])), "extra"),
        (state(**table(RETRAININGS, [{**state().tables[RETRAININGS][0], "decided_at": NOON.replace(hour=13)}])), "changed"),
        (state(aliases={}), "lost"),
        (state(aliases={("dev", "air_time_models.air_time", "champion"): 9}), "changed"),
        (state(versions=(version(1, FIRST), version(2, FIRST))), "doubled"),
        (state(versions=(version(1, FIRST, verdict="promote"),)), "changed"),
        (state(versions=(version(1, FIRST, files="bb"),)), "changed"),
        (state(runs=(("dev", f"ridge {FIRST}", "FAILED"),)), "changed"),
    ],
    ids=[
        "a row less", "a row twice", "a value", "a row more", "the instant of a decision", "an alias less",
        "an alias on another version", "a version twice", "a tag", "the files of a version", "the end of a run",
    ],
)  # fmt: skip
def test_whatever_else_differs_is_reported(found: State, kind: str) -> None:
    """By the way in which it differs."""
    assert kind in {difference.kind for difference in compare(state(), found)}


def test_what_a_cut_off_run_left_under_its_own_id_is_left_out() -> None:
    """Its verdict, its records, its versions and its runs; not its predictions, which count."""
    done = state(SECOND, number=2)
    left = state(FIRST)
    both = replace(
        done, versions=(*left.versions, *done.versions), runs=(*left.runs, *done.runs),
        tables={
            **done.tables,
            **{name: [*left.tables[name], *done.tables[name]] for name in done.tables if name.endswith((".verdicts", ".runs"))},
        },
    )  # fmt: skip
    expected = state("20261127T140000.000003")
    assert compare(expected, both, cut_off={FIRST}) == []
    assert compare(expected, both) != []


def test_residue_is_named() -> None:
    """Runs without an end, versions that are not ready, models of no version, records as running."""
    record = {"run_id": FIRST, "task": "promote", "state": "running"}
    left = state(
        runs=(("dev", "ridge", "RUNNING"),), versions=(replace(version(1, FIRST), status="PENDING_REGISTRATION"),),
        loose_models=(("dev", "1"),), **table("dev/air_time_monitoring.runs", [record]),
    )  # fmt: skip
    assert residue(state()) == []
    assert len(residue(left)) == 4
