"""Every example of the guide's section "Extension points" runs and takes effect."""

import datetime as dt
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pipelines.api
from infra.checks import registry as check_registry
from infra.terraform_cli.synthesized import SynthesizedStack
from ml.drift.statistics import drift
from ml.gate import rules
from ml.gate.decision import decide
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import profile
from ml.spec.errors import DeclarationError
from pipelines.dataframes.training_rows import with_inputs
from pipelines.declarations.use_case import UseCase
from pipelines.declarations.use_case_folder import named_code
from pipelines.execution.context import Context
from pipelines.execution.runner import run_job
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.sources.contract import check
from pipelines.tasks.data.ingest import ingest
from tests.ml.gate.test_decision import BETTER, CHAMPION, POLICY, contender, evaluated

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "add-a-use-case.md").read_text(encoding="utf-8").partition("## Extension points")[2]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
ENTRY = re.compile(r"# (?P<file>[\w/]+)\.py, in (?P<table>[A-Z_]+)\n(?P<entry>.*)", flags=re.DOTALL)
JANUARY, FEBRUARY = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 2, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line that the guide adds to a table of the product."""

    module: str
    table: str
    text: str

    def added(self, names: Mapping[str, Any]) -> Any:
        """Return the table with the line, as the file would have it."""
        table = getattr(importlib.import_module(self.module), self.table)
        if isinstance(table, tuple):
            return (*table, *eval(f"({self.text})", dict(names)))  # noqa: S307 -- the guide's own text
        if self.text.startswith('"'):
            return {**table, **eval(f"{{{self.text}}}", dict(names))}  # noqa: S307 -- the guide's own text
        return {**table, **{one.name: one for one in eval(f"({self.text})", dict(names))}}  # noqa: S307 -- as above


ENTRIES = {
    found["table"]: Entry(module=found["file"].replace("/", "."), table=found["table"], text=found["entry"].strip())
    for block in BLOCKS
    if (found := ENTRY.match(block))
}


@pytest.fixture(scope="module")
def parcels() -> Iterator[ModuleType]:
    """The examples as one module, the last part of which is the use case that names the others."""
    module = ModuleType("parcels")
    sys.modules["parcels"] = module
    for block in BLOCKS:
        if not ENTRY.match(block):
            exec(compile(block, "docs/add-a-use-case.md", "exec"), vars(module))  # noqa: S102 -- the guide's own text
    yield module
    del sys.modules["parcels"]


@pytest.fixture
def delivered(tmp_path: Path) -> Path:
    """A folder with three parcels, one of them too heavy, and two deliveries."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "parcels.csv").write_text(
        "parcel,accepted_at,depot,kilograms\n"
        "a,2025-01-05T09:00:00Z,north,2.5\nb,2025-01-06T14:00:00Z,north,99\nc,2025-01-20T16:00:00Z,north,1\n"
    )
    (folder / "deliveries.csv").write_text(
        "parcel,delivered_at,depot,hours\na,2025-01-07T09:00:00Z,north,48\nb,2025-01-07T14:00:00Z,north,24\n"
    )
    return folder


@pytest.fixture
def context(parcels: ModuleType, embedded_lakehouse: Lakehouse) -> Context:
    """A run of the use case in an empty environment."""
    return Context(
        lakehouse=embedded_lakehouse, use_case=parcels.USE_CASE, run_id="r1", now=FEBRUARY, say=lambda _: None
    )


def rows(context: Context, name: str) -> list[dict[str, Any]]:
    """The rows of a table of the use case."""
    table = context.use_case.table(name)
    found: list[dict[str, Any]] = context.lakehouse.tables.read(table).toArrow().to_pylist()
    return found


def test_the_use_case_is_stated_once_and_its_tables_and_jobs_are_derived(parcels: ModuleType) -> None:
    """Every code that it names is another example of the page."""
    declared: UseCase = parcels.USE_CASE
    assert [job.name for job in declared.jobs] == [
        "features", "training", "scoring", "monitoring", "rollback", "maintenance",
    ]  # fmt: skip
    assert {"parcels", "deliveries", "depots", "labels", "quarantine", "predictions"} <= {
        t.name for t in declared.tables
    }
    own = [entry for _, entry in named_code(declared) if not entry.startswith("sklearn.")]
    assert len(own) == 5
    assert all(callable(getattr(parcels, entry.removeprefix("parcels:"))) for entry in own)


def test_the_page_imports_what_a_declaration_needs_from_one_module_only(parcels: ModuleType) -> None:
    """And each public name exists."""
    assert BLOCKS[0].count("from ") == 1
    assert all(hasattr(pipelines.api, name) for name in pipelines.api.__all__)
    assert sorted(pipelines.api.__all__, key=lambda name: (name.islower(), name)) == pipelines.api.__all__
    assert parcels.UseCase is UseCase


def test_the_reader_delivers_the_window_and_the_contract_quarantines_what_breaks_a_rule(
    context: Context, delivered: Path
) -> None:
    """A parcel of 99 kilograms breaks the rule; one of the second half of January is not in the first half."""
    ingest(context, since=JANUARY, until=dt.datetime(2025, 1, 15, tzinfo=dt.UTC), location=str(delivered))
    assert [row["parcel"] for row in rows(context, "parcels_bronze.parcels")] == ["a"]
    assert [row["reasons"] for row in rows(context, "quarantine")] == ["kilograms: 99.0 is above 30"]


def test_a_reader_that_computes_hands_on_what_it_cannot_compute_from(parcels: ModuleType, tmp_path: Path) -> None:
    """A missing weight stays missing; a weight that is no number is quarantined with its text, and nothing else is."""
    (tmp_path / "parcels.csv").write_text(
        "parcel;accepted_at;depot;grams\na;2025-01-05T09:00:00Z;NA;2500\nb;2025-01-06T14:00:00Z;north;?\n"
        "c;2025-01-07T14:00:00Z;north;heavy\n"
    )
    delivery = parcels.read_weighed_parcels(str(tmp_path), JANUARY, FEBRUARY)
    checked = check(delivery, parcels.USE_CASE.sources[0])
    kept = checked.kept.select(["depot", "kilograms"]).to_pylist()
    assert kept == [{"depot": "NA", "kilograms": 2.5}, {"depot": "north", "kilograms": None}]
    assert checked.broken["reasons"].to_pylist() == ["grams: 'heavy' is not a finite number"]


def test_the_builders_fill_feature_table_and_labels_and_the_inputs_builder_adds_its_input(
    context: Context, delivered: Path
) -> None:
    """The mean of both deliveries is known when the last parcel is accepted, and the hour is the parcel's own."""
    given = {"since": JANUARY.isoformat(), "until": FEBRUARY.isoformat(), "location": str(delivered)}
    assert run_job(context.use_case.job("features"), context, given).succeeded
    assert [row["mean_hours"] for row in sorted(rows(context, "depots"), key=lambda r: r["known_at"])] == [48.0, 36.0]
    assert {row["request_key"]: row["label"] for row in rows(context, "labels")} == {"a": 48.0, "b": 24.0}
    spine = context.lakehouse.tables.read(context.use_case.spine.table)
    found = {row["request_key"]: row for row in with_inputs(context, spine).toArrow().to_pylist()}
    assert (found["a"]["hour"], found["a"]["depot_hours"]) == (9.0, None)
    assert (found["c"]["hour"], found["c"]["depot_hours"]) == (16.0, 36.0)


def test_a_line_in_the_rules_lets_the_gate_refuse(parcels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is better and passes every other rule is refused for its bias."""
    policy = replace(POLICY, calibration_limit=None)
    biased = contender(2, np.clip(BETTER.scores + 0.2, 0, 1))
    evaluation = evaluated(CHAMPION, biased, policy=policy)
    assert "bias" not in {reason.rule for reason in decide(evaluation, policy).reasons}
    monkeypatch.setattr(rules, "RULES", ENTRIES["RULES"].added(vars(parcels)))
    assert "bias" in {reason.rule for reason in decide(evaluation, policy).failed}
    assert decide(evaluated(CHAMPION, BETTER, policy=policy), policy).promoted == 2


def test_a_line_in_the_statistics_measures_drift(parcels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 for the same rows, close to 1 for rows that have nothing in common; a policy may then use it."""
    random = np.random.default_rng(1)
    sample = {"x": random.normal(size=2_000)}
    spec = ProfileSpec.from_sample(sample)
    same, other = profile(sample, spec), profile({"x": random.normal(size=2_000) + 50}, spec)
    monkeypatch.setattr("ml.drift.statistics.STATISTICS", ENTRIES["STATISTICS"].added(vars(parcels)))
    assert drift(same, same)["x"]["hellinger_distance"] == 0.0
    assert drift(same, other)["x"]["hellinger_distance"] > 0.9
    used: dict[str, Any] = {"statistics": ("hellinger_distance",)}
    with pytest.raises(DeclarationError, match="is not a drift statistic"):
        pipelines.api.MonitoringPolicy(**used)
    names = ENTRIES["DRIFT_STATISTICS"].added({})
    monkeypatch.setattr("ml.spec.monitoring_policy.DRIFT_STATISTICS", names)
    assert pipelines.api.MonitoringPolicy(**used).statistics == names[-1:]


def test_a_line_in_the_engines_opens_a_lakehouse_with_the_store(
    parcels: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    delivered: Path,
) -> None:  # fmt: skip
    """What its tables write passes through it."""
    monkeypatch.setattr("pipelines.lakehouse.lakehouse.ENGINES", ENTRIES["ENGINES"].added(vars(parcels)))
    with open_lakehouse("dev", engine="audited", root=tmp_path / "audited") as lakehouse:
        context = Context(lakehouse=lakehouse, use_case=parcels.USE_CASE, run_id="r1", now=FEBRUARY, say=lambda _: None)
        ingest(context, since=JANUARY, until=FEBRUARY, location=str(delivered))
    assert "parcels_bronze.deliveries: 2 rows of batch deliveries/2025-01-01" in capsys.readouterr().out


def test_a_line_in_the_checks_finds_a_job_that_may_run_too_long(
    parcels: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of two jobs one has a timeout of more than four hours."""
    jobs = {"short": {"timeout_seconds": 3600}, "long": {"timeout_seconds": 5 * 3600}}
    stack = SynthesizedStack(name="dev-workspace", folder=tmp_path, content={"resource": {"databricks_job": jobs}})
    monkeypatch.setattr(check_registry, "CHECKS", ENTRIES["CHECKS"].added(vars(parcels))[-1:])
    found = [f for check in check_registry.CHECKS for f in check.findings({"dev-workspace": stack})]
    assert [finding.resource for finding in found] == ["dev-workspace/databricks_job.long"]
    assert found[0].message == "may run for 18000 s, 4 hours are allowed."


def test_every_extension_point_of_the_table_has_its_example() -> None:
    """Each table of the product that the page names is given a line, and every block belongs to one of the tests."""
    named = set(re.findall(r"`[a-z_.]+\.([A-Z_]+)`", SECTION.partition("### ")[0]))
    assert named == set(ENTRIES) == {"RULES", "STATISTICS", "DRIFT_STATISTICS", "ENGINES", "CHECKS"}
    assert len(BLOCKS) == len(ENTRIES) + 8
