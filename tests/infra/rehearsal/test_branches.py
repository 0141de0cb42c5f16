"""Branches come and go in the emulated cloud: what is there beside them is as it was, to the last byte of a state."""

from pathlib import Path

import pytest

from infra.__main__ import main
from infra.emulated_cloud.world import World
from infra.rehearsal.branches import FIRST
from infra.rehearsal.snapshots import difference, snapshot
from tests.documented_commands import lines_of


@pytest.fixture
def world() -> World:
    """A workspace with a job of an original, its permissions, a file and two states."""
    world = World()
    world.store("workspace 1", "job")["5"] = {"settings": {"name": "next_visit.features"}}
    world.store("workspace 1", "permissions")["jobs 5"] = {"entries": []}
    world.contents["storage x", "/terraform/dev-workspace.tfstate"] = b'{"resources": [1]}'
    world.contents["storage x", "/terraform/dev-gone-branch.tfstate"] = b'{"resources": []}'
    return world


def come(world: World) -> None:
    """Let a branch have a job."""
    world.store("workspace 1", "job")["7"] = {"settings": {"name": "next_visit_branch_new_gate.features"}}
    world.store("workspace 1", "permissions")["jobs 7"] = {"entries": []}
    world.contents["storage x", "/terraform/dev-new_gate-branch.tfstate"] = b'{"resources": [1]}'
    world.contents["storage x", "/terraform/releases/dev-branches.jsonl"] = b"{}"


def test_what_a_branch_has_of_its_own_is_told_from_everything_else(world: World) -> None:
    """By its name, or by the id of what has its name."""
    before = snapshot(world)
    come(world)
    found = difference(before, snapshot(world))
    assert len(found.came) == 3
    assert found.of_others(FIRST.words) == ()
    assert found.of_others(("_branch_other",)) == tuple(sorted(found.came))


@pytest.mark.parametrize("what", ["another job", "a change", "a removal", "another state"])
def test_what_it_must_not_touch_is_named(world: World, what: str) -> None:
    """New, changed and removed objects of others, and another stack's state."""
    before = snapshot(world)
    come(world)
    if what == "another job":
        world.store("workspace 1", "job")["8"] = {"settings": {"name": "mine"}}
    elif what == "a change":
        world.store("workspace 1", "permissions")["jobs 5"]["entries"].append("everybody")
    elif what == "a removal":
        del world.store("workspace 1", "job")["5"]
    else:
        world.contents["storage x", "/terraform/dev-workspace.tfstate"] = b'{"resources": [1, 2]}'
    (named,) = difference(before, snapshot(world)).of_others(FIRST.words)
    assert named in {
        "workspace 1: job: 8", "workspace 1: permissions: jobs 5", "workspace 1: job: 5",
        "storage x: file: /terraform/dev-workspace.tfstate",
    }  # fmt: skip


def test_a_removed_branch_leaves_an_empty_state_and_its_records(world: World) -> None:
    """Nothing else."""
    before = snapshot(world)
    come(world)
    del world.store("workspace 1", "job")["7"], world.store("workspace 1", "permissions")["jobs 7"]
    world.contents["storage x", "/terraform/dev-new_gate-branch.tfstate"] = b'{"resources": []}'
    assert snapshot(world) == before


@pytest.mark.proof
@pytest.mark.terraform
def test_two_branches_come_run_and_go_beside_the_originals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the pipelines, in a company whose dev is deployed; with the words of the page."""
    ((_, line),) = lines_of("tests/infra/rehearsal/test_branches.py")
    words = line.removeprefix(".venv/bin/python -m infra ").split()
    code = main([*words, "--folder", str(tmp_path / "rehearsal")])
    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    assert said.out.count("all its own; nothing else changed") == 2
    assert said.out.count("objects as before") == 2
