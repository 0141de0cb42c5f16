"""A back-fill reads a window again and brings up to date what depends on it, and starts no retraining."""

from pathlib import Path

import pytest

from ml.spec.errors import RequestError
from pipelines.__main__ import main
from pipelines.commands.backfill import steps
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.lakehouse.lakehouse import open_lakehouse

WINDOW = {"since": "2013-01-01", "until": "2013-01-08"}


def test_the_jobs_run_on_the_window_without_the_tasks_that_start_others() -> None:
    """Metrics are measured again as known at the instant that is named."""
    features, scoring, monitoring = steps(use_case("air_time"), **WINDOW, as_of="2013-02-01", location="files")
    assert [one.job.name for one in (features, scoring, monitoring)] == ["features", "scoring", "monitoring"]
    assert features.parameters == {**WINDOW, "location": "files"}
    assert scoring.parameters == WINDOW
    assert monitoring.parameters == {"since": "2013-01-01", "until": "2013-02-01"}
    assert list(monitoring.skip) == ["retrain", "deliver"]
    assert list(steps(use_case("flight_delay"), **WINDOW, as_of="", location="")[2].skip) == ["retrain"]


def test_a_window_that_cannot_be_right_is_refused_before_anything_runs() -> None:
    """Its end, or the instant as of which is measured, comes too early."""
    with pytest.raises(DeclarationError, match="is empty"):
        steps(use_case("air_time"), since="2013-01-08", until="2013-01-01", as_of="", location="")
    with pytest.raises(RequestError, match="--as-of 2013-01-05 lies before --until 2013-01-08"):
        steps(use_case("air_time"), **WINDOW, as_of="2013-01-05", location="")


def test_before_the_first_champion_features_and_labels_are_brought_up_to_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says what it leaves out; repeating it adds nothing."""
    words = ["backfill", "air_time", "--since", "2013-01-01", "--until", "2013-01-08", "--root", str(tmp_path)]
    assert main(words) == 0
    assert "air_time has no champion in 'dev'" in capsys.readouterr().out
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        labels = lakehouse.tables.read(use_case("air_time").table("labels")).count()
    assert labels > 1_000
    assert main(words) == 0
    assert "schedule: read" in (said := capsys.readouterr().out)
    assert "0 new" in said
