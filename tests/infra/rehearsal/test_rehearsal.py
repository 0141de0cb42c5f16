"""The rehearsal itself goes its way, from a commit to a deployed environment and back, as its command is called."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.commands.rehearse import PAGE
from infra.loader.mirror import PLATFORM
from infra.loader.mirrored import mirrored
from infra.offline.run_environment import address_of
from infra.offline.schemas import provider_schemas
from tests.documented_commands import lines_of

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ("databricks/databricks", "hashicorp/azurerm", "hashicorp/azuread")
pytestmark = [pytest.mark.terraform, pytest.mark.xdist_group("rehearsal")]


def rehearse(folder: Path, *words: str, variables: dict[str, str] | None = None) -> tuple[list[str], str]:
    """Return the lines that a rehearsal prints, one for each step, and its page."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CLI_CONFIG_FILE"}
    done = subprocess.run(
        [sys.executable, "-m", "infra", "rehearse", "--folder", str(folder), *words], cwd=ROOT, text=True, capture_output=True,
        env={**environment, **(variables or {})}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    steps = [line for line in done.stdout.splitlines() if re.match(r"\s*\d+\s+[\d.]+ s  ", line)]
    return steps, (folder / PAGE).read_text(encoding="utf-8")


def documented(word: str) -> list[str]:
    """Return the options with which the page starts the rehearsal that a word names."""
    (line,) = (line for _, line in lines_of("tests/infra/rehearsal/test_rehearsal.py") if line.split()[-1] == word)
    return line.removeprefix(".venv/bin/python -m infra rehearse ").split()


def hold_short(steps: list[str], page: str) -> None:
    """Hold the short way: dev by its pipeline, what somebody did by hand, what is refused, what a review says, and the way back."""
    told = "\n".join(steps)
    for what in (
        r"deploy account .*: applied", r"Deploy dev_platform: Succeeded", r"Deploy dev_account: Succeeded", r"Deploy dev: Succeeded",
        r"look for drift .*holds MANAGE on catalog dev by hand", r"does not have USE SCHEMA on Schema 'dev\.",
        r"review a pull request .* gain", r"destroy dev-workspace", r"destroy dev-account", r"destroy dev-platform",
    ):  # fmt: skip
        assert re.search(what, told), (what, told)
    drift = next(line for line in steps if "look for drift" in line)
    assert re.findall(r"(update|create|delete|replace): (\w+\.\w+)", drift) == [("update", "databricks_grants.catalog")]
    assert "FAILED" not in told
    assert all(who in page for who in ("person", "account", "dev"))


def test_a_rehearsal_deploys_dev_finds_what_was_done_by_hand_and_takes_it_down(tmp_path: Path) -> None:
    """Planned again after everything else, nothing differs but the one grant that was made by hand."""
    hold_short(*rehearse(tmp_path / "site", *documented("short")))


@pytest.mark.proof
def test_what_a_company_has_is_as_it_was_when_dev_is_gone(tmp_path: Path) -> None:
    """Its metastore, its groups and its hub; they were looked up, and are no resources of a stack."""
    steps, _ = rehearse(tmp_path / "site", *documented("existing"))
    told = "\n".join(steps)
    for what in (r"Deploy dev: Succeeded", r"does not have", r"destroy dev-platform"):
        assert re.search(what, told), (what, told)
    assert re.search(
        r"compare metastore, groups and hub .*: 1 metastore, \d+ groups, \d+ of the hub: unchanged", told
    ), told


@pytest.mark.proof
def test_an_apply_that_is_killed_in_the_middle_is_continued(tmp_path: Path) -> None:
    """What was made is in the state or taken over by the printed command, and the plans afterwards are empty."""
    steps, _ = rehearse(tmp_path / "site", *documented("interrupted"))
    told = "\n".join(steps)
    assert re.search(r"kill .*dev-workspace", told), told
    assert re.search(r"deploy dev-workspace again: refused: the creation of 1 with data was not recorded", told), told
    assert re.search(r"keep what was created, as the refusal says: dev\n", told), told
    assert len(re.findall(r"plan dev-workspace again: no changes", told)) == 2, told


@pytest.mark.proof
def test_the_real_providers_apply_the_same_stacks_and_find_nothing_to_change(tmp_path: Path) -> None:
    """Where ``TF_CLI_CONFIG_FILE`` names a mirror that holds them, under the services' own host names."""
    at_hand = mirrored(os.environ.get("TF_CLI_CONFIG_FILE", ""))
    missing = [
        source for source in SOURCES
        if not at_hand.holds(address_of(source), str(provider_schemas(source.rpartition("/")[2])["version"]), PLATFORM)
    ]  # fmt: skip
    if missing:
        pytest.skip(f"TF_CLI_CONFIG_FILE names no mirror with {', '.join(missing)}")
    hold_short(*rehearse(tmp_path / "site", "--extent", "short", variables={"TF_CLI_CONFIG_FILE": str(at_hand.file)}))
