"""A company's copy of an earlier release, with settings and a use case of its own, takes this release by a plain merge."""

import json
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from deltalake import DeltaTable

from infra.commands.review.judge import last_release
from infra.config import pipeline_names
from tests.documented_commands import lines_of

ROOT = Path(__file__).parents[3]
EARLIER = 20
"""Commits of the main line back; there is no earlier tag yet."""
HOLDS_DATA = ("azurerm_storage_account", "azurerm_databricks_workspace", "azurerm_key_vault", "databricks_catalog",
              "databricks_schema", "databricks_metastore", "databricks_registered_model", "databricks_volume")  # fmt: skip
OWN = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and return what it printed."""
    done = subprocess.run(["git", *OWN, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python(folder: Path, *words: str) -> None:
    """Run a command of the copy."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(folder)}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def addresses(folder: Path) -> set[str]:
    """Synthesize the copy and return the addresses of what holds data, with their stacks."""
    python(folder, "infra", "synth")
    found = set()
    for file in (folder / "cdktf.out" / "stacks").glob("*/cdk.tf.json"):
        declared = json.loads(file.read_text(encoding="utf-8")).get("resource", {})
        found |= {f"{file.parent.name} {kind}.{name}" for kind in HOLDS_DATA for name in declared.get(kind, {})}
    return found


def test_the_tags_of_the_product_start_no_release_and_judge_nothing_in_a_copy(tmp_path: Path) -> None:
    """The documented lines, in a copy whose owner then pushes every tag that he has: none is a release tag."""
    product, copy, origin = tmp_path / "product", tmp_path / "copy", tmp_path / "origin"
    for folder in (product, copy):
        git(tmp_path, "init", "-q", str(folder))
    git(product, "commit", "-q", "--allow-empty", "-m", "A version")
    git(product, "tag", "--annotate", "--message", "Version 0.2.0", "v0.2.0")
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(copy, "remote", "add", "origin", str(origin))
    for _, line in lines_of("tests/infra/releases/test_forks.py"):
        git(copy, *shlex.split(line.replace("ADDRESS", str(product)))[1:])
    git(copy, "fetch", "-q", "product")
    git(copy, "push", "-q", "--tags", "origin", "HEAD")
    pushed = git(origin, "tag", "--list").split()
    assert pushed == ["product/v0.2.0"]
    assert not [tag for tag in pushed if fnmatch(f"refs/tags/{tag}", pipeline_names.RELEASE_TAGS)]
    assert last_release(copy / "none", copy) is None


def rows(folder: Path) -> dict[str, int]:
    """Return the rows of each table of the copy's environment."""
    tables = folder / "lakehouse" / "dev" / "tables"
    return {
        f"{log.parents[1].name}.{log.parent.name}": DeltaTable(str(log.parent)).to_pyarrow_dataset().count_rows()
        for log in tables.glob("*/*/_delta_log")
    }


@pytest.mark.proof
def test_a_copy_with_settings_and_a_use_case_of_its_own_takes_this_release(tmp_path: Path) -> None:
    """No conflict, no file of its own is changed, and what holds data keeps its addresses, so no plan destroys it; tables that it has filled go on with this release."""
    fork = tmp_path / "fork"
    git(tmp_path, "clone", "-q", str(ROOT), str(fork))
    line = git(fork, "rev-list", "--first-parent", "HEAD").split()
    if len(line) <= EARLIER:
        pytest.skip(f"no earlier release is merged: this clone knows {len(line)} commits")
    git(fork, "checkout", "-q", "-b", "company", line[EARLIER])
    settings = fork / "infra" / "settings" / "dev.yaml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("monthly: 4000", "monthly: 5200"), encoding="utf-8"
    )
    python(fork, "pipelines", "new", "late_departures", "--team", "revenue")
    git(fork, "add", "-A")
    git(fork, "commit", "-qm", "Our settings and our use case")
    before = addresses(fork)
    lived = ("pipelines", "run", "air_time.features", "--env", "dev", "--param")
    python(fork, *lived, "until=2013-01-10")
    stored = rows(fork)
    assert any("late_departures" in address for address in before)
    own = git(fork, "diff", "--name-only", "HEAD~1").split()
    git(fork, "merge", "-q", "--no-edit", line[0])
    assert "monthly: 5200" in settings.read_text(encoding="utf-8")
    theirs = git(fork, "diff", "--name-only", "HEAD^1", "--", *(name for name in own if "late_departures" in name))
    assert theirs == ""
    python(fork, "pipelines", "check", "late_departures")
    assert before - addresses(fork) == set()
    python(fork, *lived, "until=2013-01-15")
    kept = rows(fork)
    assert {table: kept.get(table, 0) >= number for table, number in stored.items()} == dict.fromkeys(stored, True)
    assert sum(kept.values()) > sum(stored.values()) > 0
