"""A seeded share of the proof that nothing is lost and nothing doubled: killed jobs, and two jobs at once.

The whole of it are the commands of `tests.pipelines.faults`. They fork their children from a process that has started
nothing, so they are processes of their own here as well.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SHARE = ("--quick", "--journey=features", "--journey=training")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The states from which the jobs begin: made by the first test, used by the others."""
    return tmp_path_factory.mktemp("faults")


def faults(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code and the output of the harness."""
    command = [sys.executable, "-m", "tests.pipelines.faults", *words, "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    print(done.stdout)
    return done.returncode, done.stdout + done.stderr


def points(said: str) -> int:
    """How many points the harness went through."""
    return int(re.findall(r"^points (\d+)", said, flags=re.MULTILINE)[0])


def test_a_killed_job_that_is_run_again_ends_as_if_it_had_not_been_killed(folder: Path) -> None:
    """A share of the points, drawn by a seed that is printed, each run again with --run-id or without it."""
    code, said = faults(folder, "kill", "--count=2", *SHARE)
    assert code == 0, said
    assert points(said) == 2


def test_two_jobs_at_once_end_as_one_after_the_other(folder: Path) -> None:
    """The one that comes second is refused and names the first one, or it makes no difference."""
    code, said = faults(folder, "interleave", "--count=2", "--pair=features_again twice")
    assert code == 0, said
    assert points(said) == 2


@pytest.mark.proof
def test_a_product_that_loses_labels_is_reported(folder: Path) -> None:
    """If a batch is compared with what it has written itself, a kill before its count loses its labels and features."""
    at = "--at=after append air_time_bronze.reports"
    code, said = faults(
        folder, "kill", "--journey=features", "--quick", at, "--mutant=batches_are_compared_with_themselves"
    )
    assert code == 1
    assert "dev/air_time_features.labels: lost" in said
