"""The records of branches: which ones are there, apart from dev's own releases."""

from pathlib import Path

import pytest

from infra.config.loading import Settings
from infra.releases.branches import deployed_branches, target_of_branches
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, current, previous_release
from infra.releases.target import target_of
from pipelines.declarations.environment import DEV


def record(
    branch: str, kind: RecordKind = RecordKind.RELEASE, outcome: ReleaseOutcome = ReleaseOutcome.SUCCEEDED
) -> ReleaseRecord:
    """Return a record of the stack of a branch."""
    return ReleaseRecord(
        at="2026-11-21T10:00:00+00:00", kind=kind, environment="dev", commit="c" * 40, wheel=None, wheel_sha256=None,
        plan_sha256="d" * 64, outcome=outcome, stacks=(f"dev-{branch}-branch",),
    )  # fmt: skip


def test_a_branch_is_there_from_its_first_deployment_to_its_removal() -> None:
    """And again when it is deployed again."""
    records = [record("one"), record("two"), record("one", RecordKind.REMOVAL)]
    assert list(deployed_branches(records)) == ["two"]
    assert list(deployed_branches([*records, record("one")])) == ["two", "one"]
    assert deployed_branches([]) == {}


@pytest.mark.parametrize("kind", [RecordKind.RELEASE, RecordKind.REMOVAL])
@pytest.mark.parametrize("outcome", [ReleaseOutcome.STARTED, ReleaseOutcome.FAILED, ReleaseOutcome.INTERRUPTED])
def test_what_failed_or_never_ended_may_have_left_something(kind: RecordKind, outcome: ReleaseOutcome) -> None:
    """So it counts as there, and the night tries again."""
    assert list(deployed_branches([record("one"), record("one", kind, outcome)])) == ["one"]


def test_dev_is_rolled_back_past_no_branch(settings: Settings, tmp_path: Path) -> None:
    """Its own records do not hold them."""
    target_of_branches(settings, tmp_path).ledger.append(record("one"))
    assert target_of(DEV.name, settings, offline_folder=None, folder=tmp_path).ledger.read() == ()
    assert list(deployed_branches(target_of_branches(settings, tmp_path).ledger.read())) == ["one"]


def test_a_removal_is_deployed_without_a_wheel_and_takes_no_release_back() -> None:
    """As `cdktf destroy` records it: until something is released again, there is nothing to roll back to."""
    released = [
        ReleaseRecord(**{**vars(record("one")), "commit": commit, "wheel": "a.whl", "wheel_sha256": "1"})
        for commit in "ab"
    ]
    removed = record("one", RecordKind.REMOVAL, ReleaseOutcome.FAILED)
    assert current([*released, removed]) == removed
    assert previous_release([*released, removed]) is None
    again = ReleaseRecord(**{**vars(released[1]), "commit": "e"})
    assert previous_release([*released, record("one", RecordKind.REMOVAL), again]) == released[1]
