"""A mistake in a declaration is one sentence with its place and exit code 2, in both command lines."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import __main__ as infra_command_line
from pipelines import __main__ as command_line
from pipelines.declarations import registry
from tests.pipelines.declarations.trial_folder import NAME, replace

FOLDER = f"pipelines/use_cases/{NAME}"
COMMANDS = {
    "python -m pipelines list": lambda: command_line.main(["list"]),
    "python -m infra matrix": lambda: infra_command_line.main(["matrix"]),
}

MISTAKES = [
    # policies and estimators
    ("declaration", 'policy("default"', 'policy("defalt"', "unknown gate policy for a binary problem 'defalt': did you mean 'default'?"),
    ("declaration", "name=NAME),\n    # When", 'name=NAME, metric="roc_auc"),\n    # When', "unknown metric of the gate 'roc_auc': did you mean 'roc_auc_score'?"),
    ("declaration", "name=NAME),\n    # When", "name=NAME, alpha=2.0),\n    # When", "alpha=2.0 must lie between 0 and 1."),
    ("declaration", "MonitoringPolicy()", "MonitoringPolicy(metric_alpha=2.0)", "metric_alpha is 2.0; give a probability between 0 and 1"),
    ("declaration", "MonitoringPolicy()", 'MonitoringPolicy(statistics=("psi",))', "'psi' is not a drift statistic"),
    ("declaration", "MonitoringPolicy()", 'MonitoringPolicy(metrics=("log_los",))', "does not say its direction"),
    ("declaration", "MonitoringPolicy()", 'MonitoringPolicy(metrics=("foo_loss",))', "unknown monitored metric 'foo_loss'"),
    ("declaration", "RetrainingPolicy()", "RetrainingPolicy(drift_windows=0)", "drift_windows is 0; give 1 or more"),
    ("declaration", "encoding=Encoding.ONE_HOT", 'encoding="one_hot"', "estimator 'linear': encoding is 'one_hot'; give"),
    ("declaration", '"sklearn.linear_model.LogisticRegression"', '"LogisticRegression"', "give the dotted path of a class"),
    ("declaration", "model.LogisticRegression", "model.LogisticRegresion", "estimator 'linear': entry 'sklearn.linear_model.LogisticRegresion': module 'sklearn.linear_model' has no 'LogisticRegresion': did you mean 'LogisticRegression'?"),
    ("declaration", "sklearn.linear_model", "sklearn.linear_modl", "there is no module 'sklearn.linear_modl'"),
    ("declaration", 'name="linear"', 'name="my model"', "'train_my model' is not a name"),
    ("declaration", 'name="linear"', 'name="gradient_boosting"', "declares estimator gradient_boosting more than once"),
    ("declaration", "estimators=ESTIMATORS", "estimators=()", "estimators is empty"),
    ("declaration", "Problem.BINARY", "Problem.BINRAY", "Problem has no 'BINRAY'. did you mean 'BINARY'?"),
    # sources, tables, readers and builders
    ("tables", 'column="scheduled_minutes"', 'column="scheduled_minute"', "unknown column 'scheduled_minute': did you mean 'scheduled_minutes'?"),
    ("tables", "minimum=0, maximum=1_440", "minimum=1_440, maximum=0", "the minimum 1440 is above the maximum 0"),
    ("tables", 'allowed=("landed", "cancelled", "diverted")', 'allowed="landed"', "allowed is 'landed'; give a tuple"),
    ("tables", '"int", "of scheduled', '"integer", "of scheduled', "unknown type 'integer': did you mean 'int'?"),
    ("tables", 'primary_key=("origin", "destination")', 'primary_key=("origin", "destinatoin")', "unknown key column 'destinatoin': did you mean 'destination'?"),
    ("tables", 'time_key="reported_at"', "time_key=None", "its source need a primary key and a time key"),
    ("tables", 'comment="flights as scheduled"', 'coment="flights as scheduled"', "tables.py line 10: Table takes no 'coment'. did you mean 'comment'?"),
    ("tables", '    comment="flights as scheduled",\n', "", "Table missing 1 required keyword-only argument: 'comment'"),
    ("tables", "sources:read_requests", "sources:read_request", "reader of source 'requests': entry 'pipelines.use_cases.trial.sources:read_request': module 'pipelines.use_cases.trial.sources' has no 'read_request': did you mean 'read_requests'?"),
    ("tables", "{HERE}.sources:read_requests", "{HERE}.feeds:read_requests", "there is no module 'pipelines.use_cases.trial.feeds'"),
    ("tables", "{HERE}.sources:read_requests", "{HERE}.sources.read requests", "is neither 'package.module:function' nor"),
    ("tables", "features:route_history", "features:route_histroy", "builder of 'route_history': entry"),
    ("tables", "features:labels", "features:label", "builder of 'labels': entry"),
    ("declaration", "inputs:inputs", "inputs:input", "inputs_builder: entry"),
    ("tables", "memory_days=7", "memory_days=-7", "memory_days is -7; give 0 or more"),
    ("tables", "use_case=NAME,\n    layer=Layer.BRONZE,\n    name=\"requests\"", 'use_case="other",\n    layer=Layer.BRONZE,\n    name="requests"', "is declared with use_case='other': give 'trial'"),
    ("tables", 'name="outcomes",\n    comment', 'name="quarantine",\n    comment', "declares table trial_bronze.quarantine more than once"),
    ("tables", 'column("label", "double")', 'column("lable", "double")', "labels have the columns request_key, known_at, outcome, lable; give"),
    # how the parts belong together
    ("declaration", 'keys={"origin": "origin",', 'keys={"orign": "origin",', "unknown column of the spine 'orign': did you mean 'origin'?"),
    ("declaration", '"destination": "destination"}', '"destination": "dest"}', "are not its primary key"),
    ("declaration", '{"mean_minutes_7d":', '{"mean_minutes":', "unknown column 'mean_minutes': did you mean 'mean_minutes_7d'?"),
    ("declaration", "lookback_hours=24 * 28", "lookback_hours=0", "lookback_hours is 0; give more than 0"),
    ("declaration", "features=FEATURES", "features=()", "lookup: unknown feature table 'trial_features.route_history'"),
    ("declaration", "sources=SOURCES", "sources=SOURCES[1:]", "spine: unknown source table 'trial_bronze.requests'"),
    ("declaration", 'request_key="request_id"', 'request_key="request"', "unknown column 'request': did you mean 'request_id'?"),
    ("declaration", 'prediction_time="prediction_at"', 'prediction_time="carrier"', "prediction_time 'carrier' is a string; declare it as timestamp."),
    ("declaration", 'slices=("origin",)', 'slices=("orign",)', "slices: unknown categorical input 'orign': did you mean 'origin'?"),
    ("declaration", 'slices=("origin",)', 'slices=("origin")', "slices is 'origin'; give a tuple"),
    ("declaration", 'CATEGORICAL_INPUTS = ("carrier"', 'CATEGORICAL_INPUTS = ("Carrier"', "'Carrier' is not a name"),
    ("declaration", "label_due_days=7", "label_due_days=0", "label_due_days is 0; give more than 0"),
    ("declaration", "label_due_days=7", "label_due_days=7, evaluation_days=0", "evaluation_days is 0; give more than 0"),
    ("declaration", "label_due_days=7", "label_due_days=7, without_outcome=0.5", "without_outcome is 0.5; a binary"),
    ("declaration", "label_due_days=7", 'label_due_days=7, without_outcome="no"', "without_outcome is 'no'; give a number"),
    ("declaration", "label_due_days=7", 'label_due_days="7"', "label_due_days is '7'; give a whole number."),
    ("declaration", "model=MODEL", 'model=MODEL, trained_in=("dev", "prd")', "unknown environment 'prd': did you mean 'prod'?"),
    ("declaration", "model=MODEL", 'model=MODEL, trained_in=("prod",)', "lacks 'dev', which receives no model"),
    ("declaration", "    name=NAME,\n    team", '    name="other",\n    team', "is declared with use_case='trial': give 'other'"),
    ("tables", 'NAME = "trial"', 'NAME = "other"', "use case in folder 'trial' calls itself 'other': use one name."),
    # Python
    ("declaration", "USE_CASE = UseCase(", "USE_CASE = UseCas(", "name 'UseCas' is not defined"),
    ("declaration", "    UseCase,\n", "    UseCas,\n", "pipelines.api has no 'UseCas'. did you mean 'UseCase'?"),
    ("declaration", "USE_CASE = ", "USE = ", "has no attribute 'USE_CASE'"),
    ("declaration", "USE_CASE = UseCase(", "USE_CASE = dict(", "give a UseCase."),
    ("declaration", "from pipelines.api import", "from pipelines.apis import", "there is no module 'pipelines.apis'."),
    ("declaration", "label_due_days=7,", "label_due_days=7 7,", "declaration.py line 72: this is not Python (invalid syntax"),
    ("tables", "HERE = ", "raise OSError\nHERE = ", "tables.py line 6: it fails without saying why."),
    ("tables", "HERE = ", "{}['a']\nHERE = ", "tables.py line 6: there is no 'a'."),
]  # fmt: skip
"""The file, the text in it, what is written instead, and what is said."""


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
@pytest.mark.parametrize(("file", "text", "instead", "said"), MISTAKES, ids=[said for *_, said in MISTAKES])
def test_a_mistake_in_a_declaration_is_one_sentence_and_exit_code_2(
    declared: Path, capsys: pytest.CaptureFixture[str], command: Callable[[], int],
    file: str, text: str, instead: str, said: str,
) -> None:  # fmt: skip
    """It names the folder; nobody sees a traceback or the name of a class of errors."""
    replace(declared, file, text, instead)
    assert command() == 2
    captured = capsys.readouterr()
    shown = " ".join(captured.err.split())
    assert captured.out == ""
    assert said in shown
    assert FOLDER in shown or "use case trial: " in shown or "use case in folder 'trial'" in shown
    assert not re.search(r"Traceback|\b[A-Z]\w*(Error|Exception)\b", shown)


def test_mistakes_in_two_folders_are_reported_together(declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to run the command once for each."""
    other = declared.parent / f"{NAME}_2"
    other.mkdir()
    (other / "__init__.py").write_text("")
    replace(declared, "declaration", "label_due_days=7", "label_due_days=0")
    assert command_line.main(["list"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "label_due_days is 0" in shown
    assert f"{FOLDER}_2: there is no module 'pipelines.use_cases.{NAME}_2.declaration'" in shown


def test_the_untouched_template_is_declared_without_a_mistake(declared: Path) -> None:
    """So each mistake above is the one that was made."""
    assert declared.name in [use_case.name for use_case in registry.use_cases()]
