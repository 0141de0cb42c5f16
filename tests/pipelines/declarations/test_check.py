"""`check` finds what a declaration and the code that it names have wrong, all of it, before anything runs."""

import functools
import re
from pathlib import Path

import pytest

from benchmarks.simulation.label_timing import AS_SOON_AS_KNOWN
from pipelines import __main__ as command_line
from pipelines import canary
from pipelines.canary import SHAPES, WHEN_DUE, DecidingRule
from pipelines.declarations.registry import use_cases
from pipelines.declared_code import mistakes
from pipelines.declared_code.estimators import estimator_mistakes
from tests.pipelines.declarations.trial_folder import NAME, replace

FITTED_BY_NOBODY = """
class Changing:
    def __init__(self, depth=3):
        self.depth = depth + 1

    def fit(self, inputs, labels):
        return self

    def predict_proba(self, inputs):
        return inputs

    def get_params(self, deep=True):
        return {"depth": self.depth}


def labels("""

MISTAKES = [
    # mistakes that once passed until a job failed, or for ever
    ("declaration", 'request_key="request_id"', 'request_key="requestid"', "request_key 'requestid': unknown column 'requestid': did you mean 'request_id'?"),
    ("declaration", 'prediction_time="prediction_at"', 'prediction_time="predicted_at"', "prediction_time 'predicted_at': unknown column 'predicted_at': did you mean 'prediction_at'?"),
    ("declaration", '("scheduled_hour",', '("scheduled_hours",', "numeric input 'scheduled_hours' is provided by nobody: did you mean 'scheduled_hour'? Spine, lookups and inputs_builder provide"),
    ("declaration", '("scheduled_hour",', '("scheduled_hour", "scheduled_hour",', "input 'scheduled_hour' is named 2 times; name it once."),
    ("declaration", '("carrier", "origin")', '("carrier", "origin", "scheduled_hour")', "input 'scheduled_hour' is named 2 times; name it once."),
    ("declaration", "numeric_inputs=NUMERIC_INPUTS,\n    categorical_inputs=CATEGORICAL_INPUTS", "numeric_inputs=(),\n    categorical_inputs=()", "numeric_inputs and categorical_inputs are empty; name at least one input."),
    ("tables", 'column("label", "double")', 'column("target", "double")', "labels have the columns request_key, known_at, outcome, target; give request_key, known_at, outcome, label."),
    ("declaration", "label_due_days=7", "label_due_days=-3", "label_due_days is -3; give more than 0."),
    ("declaration", "estimators=ESTIMATORS", "estimators=()", "estimators is empty; name at least one."),
    ("tables", "sources:read_outcomes", "sources:read_outcome", "reader of source 'outcomes': entry 'pipelines.use_cases.trial.sources:read_outcome': module 'pipelines.use_cases.trial.sources' has no 'read_outcome': did you mean 'read_outcomes'?"),
    ("declaration", "ensemble.HistGradientBoostingClassifier", "ensemble.HistGradientBoosting", "has no 'HistGradientBoosting': did you mean 'HistGradientBoostingClassifier'?"),
    ("tables", 'key("request_id"),\n        key("prediction_at"', 'key("request_id", "bigint"),\n        key("prediction_at"', "spine trial_bronze.requests: request_key 'request_id' is a bigint; declare it as string."),
    ("declaration", '"min_samples_leaf": 100', '"min_sample_leaf": 100', "takes no parameter 'min_sample_leaf' (did you mean 'min_samples_leaf'?). It takes: "),
    ("declaration", 'slices=("origin",)', 'slices=("origin",), deprecated_inputs=("hours",)', "One that no version in use needs is taken out of the declaration altogether."),
    ("declaration", 'slices=("origin",)', 'slices=("origin",), deprecated_inputs=(*NUMERIC_INPUTS, *CATEGORICAL_INPUTS)', "deprecated_inputs has every input, so a new version would have none; leave out those that it is fitted on."),
    ("declaration", 'slices=("origin",)', 'slices=("hour",)', "slices: unknown categorical input 'hour'. Known: carrier, origin."),
    # values and classes of estimators
    ("declaration", '"max_iter": 60', '"max_iter": -60', "The 'max_iter' parameter of HistGradientBoostingClassifier must be an int in the range [1, inf). Got -60"),
    ("declaration", '"max_iter": 60', '"max_iter": "60"', "The 'max_iter' parameter of HistGradientBoostingClassifier must be an int"),
    ("declaration", "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "does not fit a binary problem, which needs predict_proba: name another class"),
    ("declaration", "sklearn.linear_model.LogisticRegression", "sklearn.linear_model.RidgeClassifier", "needs predict_proba: name another class or state a calibration."),
    ("declaration", "sklearn.linear_model.LogisticRegression", "sklearn.metrics.roc_auc_score", "is not a class with fit and get_params"),
    ("declaration", "sklearn.linear_model.LogisticRegression", "sklearn.ensemble.VotingClassifier", "refused its parameters {}"),
    # a class of the team's own, whose copies differ from it
    ("features", "\ndef labels(", FITTED_BY_NOBODY, None),
    # signatures
    ("sources", "def read_requests(location: str, since", "def read_requests(since", "reader of source 'requests': entry 'pipelines.use_cases.trial.sources:read_requests' takes since, until; it is called with location, since, until, by position."),
    ("features", "def labels(outcomes: DataFrame)", "def labels(outcomes: DataFrame, days: int)", "builder of 'labels': entry 'pipelines.use_cases.trial.features:labels' takes outcomes, days; it is called with rows, by position."),
    ("features", "WEEK = 7 * 24 * 60 * 60", "import no_such_package\nWEEK = 7", "its module cannot be imported"),
    ("features", "WEEK = 7 * 24 * 60 * 60", "WEEK = 7\nlabels_days = 7", None),
    ("tables", "features:labels", "features:WEEK", "is 604800; name a function."),
    # what builders return
    ("features", 'mean.alias("mean_minutes_7d")', 'mean.alias("mean_minute_7d")', "builder of 'route_history' returns no column 'mean_minutes_7d': did you mean 'mean_minute_7d'? It returns destination, known_at, mean_minute_7d, origin."),
    ("features", 'mean.alias("mean_minutes_7d")', 'mean.cast("string").alias("mean_minutes_7d")', "builder of 'route_history' returns 'mean_minutes_7d' as string; the table declares it as double: change one of them."),
    ("features", '.cast("double"))\n', '.cast("int"))\n', "builder of 'labels' returns 'label' as int; the table declares it as double"),
    ("features", 'F.col("request_id").alias("request_key")', '"request_id"', "builder of 'labels' returns no column 'request_key'"),
    ("features", 'landed & F.col("minutes")', 'landed & F.col("minute")', "builder of 'labels': entry 'pipelines.use_cases.trial.features:labels' fails on rows with the columns"),
    ("inputs", "return requests.assign", "return 7 or requests.assign", "inputs_builder: entry 'pipelines.use_cases.trial.inputs:inputs' returns 7; return a data frame of pandas."),
    ("inputs", 'return requests.assign(scheduled_hour=requests["hour"])', 'return requests[["request_id", "prediction_at"]].assign(scheduled_hour=1.0)', "categorical input 'carrier' is provided by nobody"),
    ("inputs", 'scheduled_hour=requests["hour"]', 'scheduled_hour=requests["carrier"].str.upper().astype("string")', "numeric input 'scheduled_hour' is a string as built; give one of"),
    ("inputs", 'requests["hour"]', 'requests["hours"]', "inputs_builder: entry 'pipelines.use_cases.trial.inputs:inputs' fails on rows with the columns"),
    # types and providers of inputs and keys
    ("tables", 'key("origin"),\n        key("destination"),\n        key("hour"', 'key("origin", "int"),\n        key("destination"),\n        key("hour"', "lookup of route_history: key 'origin' of the spine is a int and 'origin' a string; declare one type for both."),
    ("declaration", '{"mean_minutes_7d": "route_minutes_7d"}', '{"mean_minutes_7d": "hour"}', "'hour' comes from the spine and from the lookup of route_history; give one of them another name."),
    ("declaration", '"scheduled_minutes", "route', '"carrier", "route', "numeric input 'carrier' is a string; give one of int, bigint, double, boolean."),
    ("declaration", '("carrier", "origin")', '("carrier", "origin", "prediction_at")', "categorical input 'prediction_at' is a timestamp; give one of string, int, bigint, boolean."),
    ("declaration", '("carrier", "origin")', '("carrier", "origin", "request_id")', "input 'request_id' is the request_key, which no later request shares: leave it out."),
    ("declaration", 'columns={"mean_minutes_7d": "route_minutes_7d"}', "columns={}", "lookup of trial_features.route_history: columns is empty; name at least one, or age_as."),
    ("tables", 'key("prediction_at", "timestamp"', 'key("prediction_at", "date"', "time_key 'prediction_at' is a date; declare it as timestamp."),
    ("tables", 'column("label", "double")', 'column("label", "int")', "labels: 'label' is a int; declare it as double."),
    ("tables", 'primary_key=("request_key",)', 'primary_key=("request_key", "outcome")', "labels have the key request_key, outcome, known_at; give primary_key=('request_key',), time_key='known_at'."),
    # types of fields
    ("declaration", "label_due_days=7", "label_due_days=7.5", "label_due_days is 7.5; give a whole number."),
    ("declaration", "lookback_hours=24 * 28", 'lookback_hours="672"', "lookup: lookback_hours is '672'; give a whole number."),
    ("declaration", "estimators=ESTIMATORS", 'estimators=("sklearn.linear_model.Ridge",)', "estimators is a tuple with 'sklearn.linear_model.Ridge'; give a tuple whose values are each an EstimatorSpec."),
    ("declaration", "model=MODEL", "model=MODEL, scoring_look_back_days=-1", "scoring_look_back_days is -1; give 0 or more."),
    ("declaration", "name=NAME),\n    # When", 'name=NAME, minimum_rows="9"),\n    # When', "minimum_rows is '9'; give a whole number."),
    ("declaration", "RetrainingPolicy()", 'RetrainingPolicy(cooldown_days="45")', "retraining policy: cooldown_days is '45'; give a number."),
    ("tables", "rules=(Rule(column=\"scheduled_minutes\", minimum=0, maximum=1_440),)", 'rules=(Rule(column="scheduled_minutes", minimum="0"),)', "minimum is '0'; give a number or None."),
    ("tables", "        table=REQUESTS,", "        table=REQUESTS,\n        late_days=-1,\n        quarantine_limit=7,", "quarantine_limit is 7; give a share of rows from 0 to 1. source requests: late_days is -1; give 0 or more."),
]  # fmt: skip
"""The file, the text in it, what is written instead, and what is said; None: nothing is wrong with it by itself."""


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run the command and return its exit code, its output and its errors, each on one line."""
    code = command_line.main(["check", *words])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


@pytest.mark.usefixtures("embedded_spark")
@pytest.mark.parametrize(
    ("file", "text", "instead", "said"), MISTAKES, ids=[f"{number}" for number in range(len(MISTAKES))]
)
def test_check_says_which_field_is_wrong_what_it_has_and_what_is_allowed(
    declared: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, instead: str, said: str | None
) -> None:
    """One sentence and exit code 2; no traceback and no class of errors."""
    replace(declared, file, text, instead)
    code, out, err = check(capsys, NAME)
    if said is None:
        assert (code, err) == (0, "")
        return
    assert code == 2, out
    assert out == ""
    assert said in err
    assert not re.search(r"Traceback|\b[A-Z]\w*(Error|Exception)\b", err)


@pytest.mark.usefixtures("embedded_spark")
def test_a_class_whose_copies_differ_is_refused(declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calibration and cross-validation copy an estimator by its parameters."""
    replace(declared, "features", "\ndef labels(", FITTED_BY_NOBODY)
    own = f"pipelines.use_cases.{NAME}.features.Changing"
    replace(declared, "declaration", "sklearn.linear_model.LogisticRegression", own)
    code, _, err = check(capsys, NAME)
    assert code == 2
    assert "estimator 'linear': Cannot clone object" in err


@pytest.mark.usefixtures("embedded_spark")
def test_check_reports_mistakes_of_all_parts_at_once(declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every file, of values and of the code that they name; those found by calling code once the rest is right."""
    chosen = [MISTAKES[number] for number in (0, 3, 7, 9, 10)]
    for file, text, instead, _ in chosen:
        replace(declared, file, text, instead)
    code, _, err = check(capsys, NAME)
    assert code == 2
    assert [said for *_, said in chosen if said not in err] == []
    for file, text, instead, _ in chosen:
        replace(declared, file, instead, text)
    called = [one for one in MISTAKES if one[3] and ("builder" in one[3] or "takes no parameter" in one[3])][:3]
    for file, text, instead, _ in called:
        replace(declared, file, text, instead)
    _, _, err = check(capsys, NAME)
    assert [said for *_, said in called if said not in err] == []


@pytest.mark.usefixtures("embedded_spark")
def test_without_a_name_check_looks_at_every_use_case(declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a name at that one alone: the mistakes of a neighbour do not hide what is asked for."""
    code, out, _ = check(capsys)
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == [one.name for one in use_cases()]
    replace(declared, "declaration", "label_due_days=7", "label_due_days=0")
    assert check(capsys)[0] == 2
    assert check(capsys, "air_time")[0] == 0
    assert "unknown use case 'triall': did you mean 'trial'?" in check(capsys, "triall")[2]


@pytest.mark.usefixtures("embedded_spark")
def test_a_job_is_not_run_while_the_code_that_it_calls_is_wrong(
    declared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Another job, which does not call it, is."""
    replace(declared, "declaration", '"max_iter": 60', '"max_iter": -60')
    words = ["--root", str(tmp_path / "lakehouse"), "--param", "until=2013-01-03"]
    assert command_line.main(["run", f"{NAME}.training", *words]) == 2
    assert "The 'max_iter' parameter" in capsys.readouterr().err
    assert not list((tmp_path / "lakehouse").rglob("*.parquet"))
    assert command_line.main(["run", f"{NAME}.features", "--only", "build_labels", *words]) == 0


def test_only_a_job_that_trains_loads_scikit_learn_to_be_checked() -> None:
    """So the check costs a job nothing that the job does not load itself."""
    checked = {job for job, parts in mistakes.PARTS_OF_JOB.items() if estimator_mistakes in parts}
    calls = {
        job.name for one in use_cases() for job in one.jobs
        if any("train" in task.key for task in job.tasks)
    }  # fmt: skip
    assert checked == calls | {"monitoring"}


@pytest.mark.usefixtures("embedded_spark")
@pytest.mark.parametrize(
    ("rule", "code", "said"), [(WHEN_DUE, 0, "as chance allows"), (AS_SOON_AS_KNOWN, 1, "more than")]
)
def test_noise_is_judged_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rule: DecidingRule, code: int, said: str
) -> None:
    """A rule that takes labels as they come promotes noise, which the exit code says."""
    shapes = tuple(SHAPES)[:3]
    monkeypatch.setattr(canary, "run_canary", functools.partial(canary.run_canary, shapes=shapes, rule=rule))
    found, out, _ = check(capsys, "flight_delay", "--noise")
    assert found == code
    assert said in " ".join(out.split())
