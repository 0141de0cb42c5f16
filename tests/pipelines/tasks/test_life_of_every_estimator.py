"""Estimators that are not scikit-learn's have the whole life of a model, and one that fails does not stop the others.

The use case is a team's own folder, made from the templates; the flights are synthetic.
"""

import datetime as dt
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from pyspark import cloudpickle as cloudpickle_of_spark

from ml.monitoring.findings import ALL_ROWS
from pipelines import use_cases
from pipelines.declarations import registry
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.runner import JobRun, State
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.reproduction import reproduce
from pipelines.scaffold.new_use_case import create
from tests.pipelines.flight_files import write_all
from tests.pipelines.use_case_runs import rows_of, run_job

NAME = "own_estimators"
HERE = f"pipelines.use_cases.{NAME}"
JANUARY, TRAINED, DELIVERED = (dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((1, 1), (3, 1), (3, 29)))
FLIGHTS_A_DAY = 60
LATE = {("UA", "EWR"): 0.7, ("UA", "JFK"): 0.2, ("B6", "EWR"): 0.1, ("B6", "JFK"): 0.5}
"""Probability that a flight of a carrier leaves an airport late."""

OWN_CLASS = '''
"""A classifier of the team's own: the mean label of the training rows that are nearest to a centre."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from {here}.distances import nearest


class Centres(ClassifierMixin, BaseEstimator):
    """Learns the mean label around a few training rows."""

    def __init__(self, centres=40, weight=5.0, random_state=None):
        self.centres = centres
        self.weight = weight
        self.random_state = random_state

    def fit(self, inputs, labels):
        """Choose centres and count labels."""
        self.classes_ = np.unique(labels)
        rows = np.asarray(inputs, dtype=float)
        chosen = np.random.default_rng(self.random_state).choice(len(rows), self.centres, replace=False)
        self.centres_ = rows[chosen]
        near = nearest(rows, self.centres_)
        counts = np.bincount(near, minlength=self.centres)
        late = np.bincount(near, weights=labels, minlength=self.centres)
        self.means_ = (late + self.weight * np.mean(labels)) / (counts + self.weight)
        return self

    def predict_proba(self, inputs):
        """Return the mean label of each row's centre."""
        positive = self.means_[nearest(np.asarray(inputs, dtype=float), self.centres_)]
        return np.column_stack([1 - positive, positive])

    def predict(self, inputs):
        """Return the likelier class."""
        return (self.predict_proba(inputs)[:, 1] > 0.5).astype(int)


class Raising(Centres):
    """Cannot be fitted."""

    def fit(self, inputs, labels):
        """Fail."""
        raise ArithmeticError("the solver diverged")


class Undefined(Centres):
    """Predicts nothing for a part of the rows."""

    def predict_proba(self, inputs):
        """Return NaN where the first column is large."""
        found = super().predict_proba(inputs)
        found[np.asarray(inputs)[:, 0] >= np.median(np.asarray(inputs)[:, 0])] = np.nan
        return found


SEEN = []


class Forgetful(Centres):
    """Keeps a part of what it learned outside of itself."""

    def fit(self, inputs, labels):
        """Remember in the module."""
        SEEN.append(len(inputs))
        return super().fit(inputs, labels)

    def predict_proba(self, inputs):
        """Predict otherwise where nothing is remembered."""
        found = super().predict_proba(inputs)
        return found if SEEN else found[:, ::-1]
'''
DISTANCES = '''
"""Distances between rows."""

import numpy as np


def nearest(rows, centres):
    """Return the nearest centre of each row; missing values count as zero."""
    here, there = np.nan_to_num(rows), np.nan_to_num(centres)
    return np.argmin(((here[:, None, :] - there[None, :, :]) ** 2).sum(axis=2), axis=1)
'''
LIGHTGBM = """
    EstimatorSpec(
        name="lightgbm",
        estimator="lightgbm.LGBMClassifier",
        encoding=Encoding.ORDINAL,
        parameters={"n_estimators": 40, "min_child_samples": 50, "num_leaves": 7, "verbosity": -1, "n_jobs": 1},
    ),
"""
OWN = "".join(
    f'''
    EstimatorSpec(
        name="{name.lower()}",
        estimator=f"{HERE}.centres.{name}",
        encoding=Encoding.ONE_HOT,
    ),'''
    for name in ("Centres", "Raising", "Undefined", "Forgetful")
)


def loads_lightgbm() -> bool:
    """Whether LightGBM can be loaded here."""
    try:
        importlib.import_module("lightgbm")
    except (ImportError, OSError):  # it needs the system library libgomp
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Estate:
    """The use case, and two environments with its features: staging trains, prod receives."""

    use_case: UseCase
    staging: Lakehouse
    prod: Lakehouse

    def run(
        self, lakehouse: Lakehouse, job: str, until: dt.datetime, *, skip: tuple[str, ...] = (), **given: str
    ) -> JobRun:
        """Run a job at an instant."""
        return run_job(lakehouse, self.use_case, job, {"until": until.isoformat(), **given}, skip=skip)

    def train(self, *names: str, lakehouse: Lakehouse | None = None) -> JobRun:
        """Train some of the estimators; the first champion has nobody to beat but a constant."""
        others = tuple(f"train_{spec.name}" for spec in self.use_case.estimators if spec.name not in names)
        chosen = lakehouse or self.staging
        chosen.models.delete_alias(self.use_case.model, CHAMPION)
        return self.run(chosen, "training", TRAINED, skip=others, evaluation_days="21")

    def champion(self, lakehouse: Lakehouse) -> ModelVersion:
        """The version that scores."""
        return lakehouse.models.by_alias(self.use_case.model, CHAMPION)


def flights() -> Iterator[dict[str, str]]:
    """Flights of three months; who leaves late depends on carrier and airport together."""
    random = np.random.default_rng(11)
    for day in range((DELIVERED - JANUARY).days):
        date = JANUARY + dt.timedelta(days=day)
        for number in range(FLIGHTS_A_DAY):
            carrier, origin = list(LATE)[random.integers(len(LATE))]
            late = random.random() < LATE[carrier, origin]
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": origin, "dep_delay": str(40 if late else 2), "time_hour": f"{date:%Y-%m-%d}T14:00:00Z",
                "minute": str(number % 60),
            }  # fmt: skip


def forget() -> None:
    """Let the registry read the folders again."""
    registry.use_cases.cache_clear()
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.startswith(HERE)]:
        del sys.modules[name]


@contextmanager
def sent_by_value() -> Iterator[None]:
    """Send the team's classes to Spark's workers, which do not have the folder, with the models; only while scoring."""
    cloudpickle.register_pickle_by_value(sys.modules[HERE])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[HERE])


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCase]:
    """The team's folder, outside the product, with its own classes."""
    root = tmp_path_factory.mktemp("team")
    (root / "pipelines" / "use_cases").mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    folder = create(NAME, repository=root, taken=()).folder
    (folder / "centres.py").write_text(OWN_CLASS.format(here=HERE))
    (folder / "distances.py").write_text(DISTANCES)
    declaration = folder / "declaration.py"
    text = declaration.read_text()
    own = "ESTIMATORS = (" + (LIGHTGBM if loads_lightgbm() else "") + OWN
    text = text.replace("ESTIMATORS = (", own).replace(
        "model=MODEL,", 'model=MODEL,\n    trained_in=("dev", "staging"),'
    )
    declaration.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder.parent)])
        patch.setattr(sys, "dont_write_bytecode", True)
        forget()
        found = registry.use_case(NAME)
        carried = sys.modules[HERE]
        cloudpickle_of_spark.register_pickle_by_value(carried)  # Spark's workers do not have the folder
        yield found
        cloudpickle_of_spark.unregister_pickle_by_value(carried)
    forget()


@pytest.fixture(scope="module")
def estate(declared: UseCase, life_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Both environments after their features jobs."""
    files = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    root = tmp_path_factory.mktemp("lives")
    with (
        open_lakehouse("staging", engine=life_engine, root=root) as staging,
        open_lakehouse("prod", engine=life_engine, root=root) as prod,
    ):
        estate = Estate(use_case=declared, staging=staging, prod=prod)
        for lakehouse in (staging, prod):
            assert estate.run(lakehouse, "features", DELIVERED, location=files).succeeded
        yield estate


@pytest.fixture(scope="module")
def mixed(estate: Estate) -> JobRun:
    """A training of two estimators that work and three that do not."""
    return estate.train("raising", "undefined", "forgetful", "linear", "centres")


@pytest.mark.parametrize(("name", "first_day"), [("lightgbm", 0), ("centres", 7)])
def test_an_estimator_of_any_library_or_of_the_team_has_the_whole_life_of_a_model(
    estate: Estate, name: str, first_day: int
) -> None:
    """Trained, evaluated, promoted, scoring, monitored, delivered to the next environment, and trained again the same."""
    if name == "lightgbm" and not loads_lightgbm():
        pytest.skip("lightgbm cannot be loaded here: it needs the system library libgomp")
    use_case, staging, prod = estate.use_case, estate.staging, estate.prod
    done = estate.train(name)
    assert (done.succeeded, done.overcome) == (True, ()), [run.error for run in done.attempts if run.error]
    champion = estate.champion(staging)
    assert champion.tags["estimator"] == name
    since = TRAINED + dt.timedelta(days=first_day)  # each scores a week of its own
    with sent_by_value():
        assert estate.run(staging, "scoring", since + dt.timedelta(days=7), since=since.isoformat()).succeeded
    scored = [row for row in rows_of(staging, use_case, "predictions") if row["model_version"] == champion.number]
    assert len({round(row["score"], 6) for row in scored}) > 3
    assert estate.run(staging, "monitoring", DELIVERED, skip=("retrain", "deliver")).succeeded
    realised = [
        row["value"] for row in rows_of(staging, use_case, "metrics")
        if (row["alias"], row["model_version"], row["slice_key"]) == (CHAMPION, champion.number, ALL_ROWS)
        and row["metric"] == "roc_auc_score"
    ]  # fmt: skip
    assert realised
    assert min(realised) > 0.55
    prod.models.delete_alias(use_case.model, CHAMPION)
    delivered = estate.run(prod, "delivery", DELIVERED)
    assert delivered.succeeded, [run.error for run in delivered.attempts if run.error]
    assert estate.champion(prod).tags["estimator"] == name
    context = Context(lakehouse=staging, use_case=use_case, run_id="", now=DELIVERED, say=lambda _line: None)
    assert reproduce(context, champion).identical


def test_an_estimator_that_fails_is_recorded_and_the_others_go_on(estate: Estate, mixed: JobRun) -> None:
    """One raises, one predicts NaN on a part, one differs once it is loaded again; two candidates are evaluated."""
    use_case, staging = estate.use_case, estate.staging
    done = mixed
    assert done.succeeded
    assert done.overcome == ("train_raising", "train_undefined", "train_forgetful")
    last = done.last
    assert "the solver diverged" in str(last["train_raising"].error)
    assert "scores of" in str(last["train_undefined"].error)
    assert "predicts other values once it is stored and loaded again" in str(last["train_forgetful"].error)
    assert [last[key].state for key in ("evaluate", "promote", "serve")] == [State.SUCCEEDED] * 3
    (evaluation,) = [row for row in rows_of(staging, use_case, "evaluations") if row["evaluation_id"] == done.run_id]
    assert evaluation["candidates"] == 2
    reasons = json.loads(evaluation["not_trained"])
    assert sorted(reasons) == ["forgetful", "raising", "undefined"]
    assert "the solver diverged" in reasons["raising"]
    (verdict,) = [row for row in rows_of(staging, use_case, "verdicts") if row["evaluation_id"] == done.run_id]
    assert "There was no candidate of forgetful, raising, undefined, which could not be trained" in verdict["sentence"]
    failed = staging.models.failed_runs(NAME, "candidate_run", done.run_id)
    assert sorted(run.tags["estimator"] for run in failed) == ["forgetful", "raising", "undefined"]


def test_a_training_of_which_no_estimator_succeeds_has_failed(estate: Estate) -> None:
    """Nothing is evaluated, and no alias is given."""
    done = estate.train("raising", "undefined")
    assert not done.succeeded
    assert done.last["evaluate"].state is State.UPSTREAM_FAILED
    assert estate.staging.models.find_alias(estate.use_case.model, CHAMPION) is None


def files_of(lakehouse: Lakehouse, version: ModelVersion) -> tuple[list[str], str]:
    """The modules that a version carries, and its requirements."""
    with lakehouse.models.verified(version) as files:
        code = sorted(path.relative_to(files / "code").as_posix() for path in (files / "code").rglob("*.py"))
        return code, (files / "requirements.txt").read_text()


def of_run(estate: Estate, run: JobRun) -> dict[str, ModelVersion]:
    """The versions that a training registered, by estimator."""
    versions = estate.staging.models.versions(estate.use_case.model)
    return {v.tags["estimator"]: v for v in versions if v.tags["training_set_id"] == run.run_id}


def test_a_model_carries_the_modules_of_the_team_that_it_needs_and_no_others(estate: Estate, mixed: JobRun) -> None:
    """Its class, what that imports, and the packages above them; a model of scikit-learn's carries none."""
    versions = of_run(estate, mixed)
    code, _ = files_of(estate.staging, versions["centres"])
    package = HERE.replace(".", "/")
    assert code == sorted([
        "pipelines/__init__.py", "pipelines/use_cases/__init__.py", f"{package}/__init__.py", f"{package}/centres.py",
        f"{package}/distances.py",
    ])  # fmt: skip
    assert files_of(estate.staging, versions["linear"])[0] == []


def test_another_version_of_a_carried_module_is_one_warning(
    estate: Estate, mixed: JobRun, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The code of this process is used, which may be newer than what the model was trained with."""
    changed = tmp_path / "distances.py"
    changed.write_text(DISTANCES + "\nMETRES = 1\n")
    monkeypatch.setattr(sys.modules[f"{HERE}.distances"], "__file__", str(changed))
    path = list(sys.path)
    estate.staging.models.load(of_run(estate, mixed)["centres"])
    assert sys.path == path
    (said,) = [record.getMessage() for record in caplog.records if "was stored with" in record.getMessage()]
    assert f"another {HERE}.distances than this code has: its scores may differ; train it again." in said
