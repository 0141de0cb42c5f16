"""The contracts of ``.importlinter`` hold, and each kind of hole in the walls between the rooms is reported."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOLES = {
    "infra reads code of pipelines that is no declaration": (
        "infra/config/naming.py",
        "from pipelines.dataframes.profiling import SAMPLE_ROWS",
        "infra.config.naming line 1 imports pipelines.dataframes.profiling",
    ),
    "infra reads numbers of ml": (
        "infra/checks/compute.py",
        "from ml.metrics import quality_metrics",
        "infra.checks.compute line 1 imports ml.metrics.quality_metrics",
    ),
    "ml reads environment variables": ("ml/gate/rules.py", "import os", "ml.gate.rules line 1 imports os"),
    "ml reads pipelines": ("ml/gate/decision.py", "import pipelines.api", "ml is not allowed to import pipelines"),
    "a lower folder of ml reads a higher one": (
        "ml/metrics/days.py",
        "import ml.gate.verdict",
        "ml.metrics is not allowed to import ml.gate",
    ),
    "the product reads the demonstration": (
        "pipelines/report/page.py",
        "import pipelines.demo.steps",
        "pipelines.report is not allowed to import pipelines.demo",
    ),
    "the product reads a use case": (
        "pipelines/tasks/predictions/scoring.py",
        "import pipelines.use_cases.air_time.tables",
        "pipelines.tasks is not allowed to import pipelines.use_cases",
    ),
    "a use case reads another": (
        "pipelines/use_cases/air_time/features.py",
        "import pipelines.use_cases.flight_delay.features",
        "pipelines.use_cases.air_time is not allowed to import pipelines.use_cases.flight_delay",
    ),
    "a use case reads tasks": (
        "pipelines/use_cases/air_time/sources.py",
        "import pipelines.tasks.data.ingest",
        "pipelines.use_cases.air_time.sources line 1 imports pipelines.tasks.data.ingest",
    ),
    "a declaration loads an engine": (
        "pipelines/declarations/job.py",
        "import pyspark",
        "pipelines.declarations.job line 1 imports pyspark",
    ),
    "a task talks to the registry's library": (
        "pipelines/tasks/data/ingest.py",
        "import mlflow",
        "pipelines.tasks.data.ingest line 1 imports mlflow",
    ),
    "a stack imports cdktf": ("infra/stacks/account.py", "import cdktf", "infra.stacks.account line 1 imports cdktf"),
    "an unknown package": ("infra/build/release.py", "import attrs", "infra.build.release line 1 imports attrs"),
    "Azure resources read workspace objects": (
        "infra/constructs/azure/network.py",
        "import infra.constructs.workspace.compute",
        "infra.constructs.azure is not allowed to import infra.constructs.workspace",
    ),
    "the Terraform driver reads releases": (
        "infra/terraform_cli/driver.py",
        "import infra.releases.record",
        "infra.terraform_cli is not allowed to import infra.releases",
    ),
    "an engine reads the registry": (
        "pipelines/lakehouse/engines/embedded.py",
        "import pipelines.lakehouse.registry.aliases",
        "pipelines.lakehouse.engines is not allowed to import pipelines.lakehouse.registry",
    ),
    "a new module of ml": ("ml/unplanned.py", "", "- ml.unplanned"),
    "a new module of pipelines": ("pipelines/unplanned.py", "", "- pipelines.unplanned"),
    "a new module of infra": ("infra/unplanned.py", "", "- infra.unplanned"),
}
"""Kind of hole to the file, the line put first into it, and what the linter says."""


def lint(folder: Path) -> tuple[int, str]:
    """Run the linter in a folder and return its exit code and its output on one line."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=folder, env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the rooms with every hole at once."""
    copy = tmp_path_factory.mktemp("rooms")
    for room in ("ml", "pipelines", "infra"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    shutil.copyfile(ROOT / "tests" / "import_contracts.py", copy / "tests" / "import_contracts.py")
    shutil.copyfile(ROOT / ".importlinter", copy / ".importlinter")
    for file, line, _ in HOLES.values():
        path = copy / file
        path.write_text(f"{line}\n{path.read_text() if path.exists() else ''}")
    code, output = lint(copy)
    assert code == 1
    return output


def test_every_contract_holds() -> None:
    """On the rooms as they are."""
    code, output = lint(ROOT)
    assert code == 0, output


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_in_the_walls_is_reported(hole: str, said: str) -> None:
    """By the module that makes it and what it may not import."""
    assert HOLES[hole][2] in said
