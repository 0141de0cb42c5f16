"""Plans are saved, and the real Terraform applies exactly them, in an offline environment."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.release import Release
from infra.releases.applying import ApplyResult, ReleaseRefusedError, apply_saved_plan
from infra.releases.ledger import FileLedger, LedgerError
from infra.releases.record import ReleaseOutcome, ReleaseRecord, current
from infra.releases.saved_plan import Manifest, SavedPlanError, file_hashes, read_manifest, write_manifest
from infra.releases.saving import save_plan
from infra.releases.target import Target
from infra.terraform_cli.changes import changes
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks

Edit = Callable[[str, Callable[[dict[str, Any]], object]], dict[str, SynthesizedStack]]
DAY = dt.timedelta(hours=24)
pytestmark = pytest.mark.terraform


def release(commit: str = "a" * 40) -> Release:
    """Return the release of a commit; the small stacks upload no wheel."""
    return Release(commit=commit, wheel="none.whl", wheel_path="none.whl", wheel_source="none.whl")


class Place:
    """An offline environment in which stacks are planned and applied."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        ledger = FileLedger(path=folder / "states" / "releases.dev.jsonl")
        self.target = Target(environment="dev", folder=folder / "states", offline=True, ledger=ledger, cache=cache)

    def save_plan(self, stacks: dict[str, SynthesizedStack], name: str, of: Release | None = None) -> Manifest:
        """Save a plan under a name."""
        return save_plan(
            stacks, self.target, of or release(), self.folder / name, uncommitted=False, say=self.said.append
        )

    def apply(self, stacks: dict[str, SynthesizedStack], name: str, sha256: str, **other: Any) -> ApplyResult:
        """Apply the plan of that name."""
        asked: dict[str, Any] = {"of": release(), "maximum_age": DAY, **other}
        return apply_saved_plan(
            stacks, self.target, asked["of"], self.folder / name, sha256=sha256, maximum_age=asked["maximum_age"],
            say=self.said.append,
        )  # fmt: skip

    def of_account(self, stacks: dict[str, SynthesizedStack]) -> dict[str, SynthesizedStack]:
        """Make the environment the account's, and return its one stack."""
        self.target = replace(self.target, environment="account")
        return {"account": stacks["account"]}

    def resources(self, stacks: dict[str, SynthesizedStack], stack: str) -> list[str]:
        """Return what exists of a stack."""
        terraform = self.target.terraform(stacks, [stack])[stack]
        terraform.init()
        return [address for address in terraform.resources() if not address.startswith("data.")]


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Place:
    """Return an environment in which nothing exists."""
    return Place(tmp_path, cache)


@pytest.fixture
def founded(place: Place, deployment: Any) -> Place:
    """Return an environment whose platform exists."""
    (place.target.folder / "state").mkdir(parents=True)
    for name in ("account", "dev-platform"):
        shutil.copy(deployment.folder / "state" / f"{name}.tfstate", place.target.folder / "state")
    return place


def test_a_first_deployment_goes_in_two_rounds(stacks: dict[str, SynthesizedStack], place: Place) -> None:
    """The plan of the workspace waits for the host that the apply of the platform creates."""
    first = place.save_plan(stacks, "first")
    assert list(first.stacks) == ["dev-platform"]
    assert first.deferred == {"dev-workspace": ("dev-platform.host",)}
    applied = place.apply(stacks, "first", first.sha256)
    assert applied == ApplyResult(
        outcome=ReleaseOutcome.INCOMPLETE, applied=("dev-platform",), not_applied=("dev-workspace",),
        reason="dev-workspace could not be planned yet: plan, review and apply again.",
    )  # fmt: skip
    second = place.save_plan(stacks, "second")
    assert (set(second.stacks), second.deferred) == ({"dev-platform", "dev-workspace"}, {})
    assert place.apply(stacks, "second", second.sha256).outcome is ReleaseOutcome.SUCCEEDED
    assert len(place.resources(stacks, "dev-workspace")) == 3
    assert [record.outcome for record in place.target.ledger.read()] == [
        ReleaseOutcome.STARTED, ReleaseOutcome.INCOMPLETE, ReleaseOutcome.STARTED, ReleaseOutcome.SUCCEEDED,
    ]  # fmt: skip


def test_what_reads_a_stack_that_is_not_there_yet_waits_for_it(
    stacks: dict[str, SynthesizedStack], place: Place
) -> None:
    """As the account's part of an environment waits for its platform; once that is there, it is deployed on the way."""
    chosen = place.target.terraform(stacks, ["account", "dev-workspace"])
    states = place.target.folder / "state"
    assert list(chosen) == ["account", "dev-workspace"]
    assert not (states / "dev-platform.tfstate").exists()
    chosen["account"].init()
    chosen["account"].deploy()
    place.target.terraform(stacks, ["account", "dev-workspace"])
    assert (states / "dev-platform.tfstate").exists()


def test_the_saved_plan_is_applied_and_not_the_stacks_that_changed_meanwhile(
    stacks: dict[str, SynthesizedStack], founded: Place, output: Path, change: Edit
) -> None:
    """A change of the stacks after the review does not change what is applied; another plan shows it."""
    manifest = founded.save_plan(stacks, "reviewed")
    change("dev-workspace", lambda content: content["resource"]["databricks_job"]["training"].update(name="other"))
    assert founded.apply(read_stacks(output), "reviewed", manifest.sha256).applied == ("dev-platform", "dev-workspace")
    founded.save_plan(read_stacks(output), "after")
    planned = json.loads((founded.folder / "after" / "dev-workspace.json").read_text(encoding="utf-8"))
    assert [(c.address, c.attributes) for c in changes(planned)] == [("databricks_job.training", ("name",))]


def test_a_plan_that_does_something_else_than_was_shown_is_refused(
    stacks: dict[str, SynthesizedStack], founded: Place, output: Path, change: Edit
) -> None:
    """A forged manifest can give any plan a hash; Terraform shows what the plan does."""
    founded.save_plan(stacks, "shown")
    change("dev-workspace", lambda content: content["resource"]["databricks_job"]["training"].update(name="other"))
    founded.save_plan(read_stacks(output), "hidden")
    before = founded.resources(stacks, "dev-platform")
    for damage, said in (
        (
            lambda shown: shutil.copy(founded.folder / "hidden" / "dev-workspace.plan", shown),
            "differs from what was shown",
        ),
        (lambda shown: (shown / "dev-workspace.json").write_text("{"), "cannot be read"),
        (lambda shown: (shown / "dev-workspace.json").write_text("[]"), "is not a plan"),
    ):
        shown = founded.folder / "forged"
        shutil.copytree(founded.folder / "shown", shown)
        damage(shown)
        forged = replace(read_manifest(shown), files=file_hashes(shown))
        write_manifest(shown, forged)
        with pytest.raises((ReleaseRefusedError, SavedPlanError), match=said):
            founded.apply(stacks, "forged", forged.sha256)
        shutil.rmtree(shown)
    assert founded.resources(stacks, "dev-platform") == before
    assert founded.target.ledger.read() == ()


def test_a_plan_of_another_state_is_refused_by_terraform_and_recorded(
    stacks: dict[str, SynthesizedStack], founded: Place, deployment: Any
) -> None:
    """After another deployment of the workspace, the result and the record state what was and was not applied."""
    manifest = founded.save_plan(stacks, "reviewed")
    shutil.copy(deployment.folder / "state" / "dev-workspace.tfstate", founded.target.folder / "state")
    applied = founded.apply(stacks, "reviewed", manifest.sha256)
    assert (applied.outcome, applied.applied, applied.not_applied) == (
        ReleaseOutcome.FAILED,
        ("dev-platform",),
        ("dev-workspace",),
    )
    assert "the state has changed since the plan was made: plan, review and apply again" in applied.reason
    record = current(founded.target.ledger.read())
    assert record is not None
    assert (record.outcome, record.applied, record.plan_sha256) == (
        ReleaseOutcome.FAILED, ("dev-platform",), manifest.sha256,
    )  # fmt: skip


def test_a_plan_made_from_outputs_that_changed_since_is_refused(
    stacks: dict[str, SynthesizedStack], founded: Place
) -> None:
    """Terraform would not notice: it compares a plan with its own state alone."""
    manifest = founded.save_plan(stacks, "reviewed")
    path = founded.target.folder / "state" / "dev-platform.tfstate"
    state = json.loads(path.read_text(encoding="utf-8"))
    state["outputs"]["host"]["value"] = "another.offline.invalid"
    path.write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(ReleaseRefusedError, match=r"dev-workspace was planned from values of platform\.host"):
        founded.apply(stacks, "reviewed", manifest.sha256)
    assert not (founded.target.folder / "state" / "dev-workspace.tfstate").exists()


def test_a_plan_that_may_not_be_applied_changes_nothing(stacks: dict[str, SynthesizedStack], place: Place) -> None:
    """Another hash, another commit, too old, a changed file: every reason is given, and nothing is recorded."""
    stacks = place.of_account(stacks)
    manifest = place.save_plan(stacks, "reviewed")
    (place.folder / "reviewed" / "account.plan").write_bytes(b"other")
    with pytest.raises(ReleaseRefusedError) as refused:
        place.apply(stacks, "reviewed", "0" * 64, of=release("b" * 40), maximum_age=-DAY)
    said = str(refused.value)
    for words in ("its hash is " + manifest.sha256, "of commit aaaaaaaaaaaa", "ago, at", "changed: account.plan"):
        assert words in said
    assert place.target.ledger.read() == ()
    assert not (place.target.folder / "state" / "account.tfstate").exists()


def test_a_deployment_whose_start_cannot_be_recorded_changes_nothing(
    stacks: dict[str, SynthesizedStack], place: Place
) -> None:
    """If the records cannot be read, or the start cannot be appended, nothing is applied."""

    class Unreachable(FileLedger):
        def read(self) -> tuple[ReleaseRecord, ...]:
            raise LedgerError("az storage blob exists failed: nobody is signed in")

    only_account = place.of_account(stacks)
    manifest = place.save_plan(only_account, "reviewed")
    ledger = place.target.ledger
    assert isinstance(ledger, FileLedger)
    place.target = replace(place.target, ledger=Unreachable(path=ledger.path))
    with pytest.raises(LedgerError, match="nobody is signed in"):
        place.apply(only_account, "reviewed", manifest.sha256)
    place.target = replace(place.target, ledger=Full(path=ledger.path, lines=0))
    with pytest.raises(ReleaseRefusedError, match="nothing was changed, because the start of the release cannot be"):
        place.apply(only_account, "reviewed", manifest.sha256)
    assert not (place.target.folder / "state" / "account.tfstate").exists()


@dataclass(frozen=True, kw_only=True)
class Full(FileLedger):
    """Records on a disk that has room for so many lines."""

    lines: int

    def append(self, record: ReleaseRecord) -> None:
        """Append, or fail as a full disk does."""
        if len(self.read()) >= self.lines:
            raise OSError(28, "No space left on device")
        super().append(record)


def test_a_deployment_whose_end_cannot_be_recorded_fails_and_its_repetition_changes_only_the_record(
    stacks: dict[str, SynthesizedStack], place: Place
) -> None:
    """The outcome is failed and states the line. The same call again finds that everything is there, and records it."""
    only_account = place.of_account(stacks)
    manifest = place.save_plan(only_account, "reviewed")
    ledger = place.target.ledger
    assert isinstance(ledger, FileLedger)
    place.target = replace(place.target, ledger=Full(path=ledger.path, lines=1))
    applied = place.apply(only_account, "reviewed", manifest.sha256)
    assert (applied.outcome, applied.applied) == (ReleaseOutcome.FAILED, ("account",))
    assert "No space left on device" in applied.reason
    assert f'"plan_sha256": "{manifest.sha256}"' in applied.reason

    place.target = replace(place.target, ledger=ledger)
    state = place.target.folder / "state" / "account.tfstate"
    before = state.read_bytes()
    for _ in range(2):
        again = place.apply(only_account, "reviewed", manifest.sha256)
        assert again == ApplyResult(outcome=ReleaseOutcome.SUCCEEDED, applied=("account",), not_applied=())
    assert state.read_bytes() == before
    assert [record.outcome for record in ledger.read()] == [ReleaseOutcome.STARTED, ReleaseOutcome.SUCCEEDED]


def test_a_manifest_that_was_edited_is_refused(stacks: dict[str, SynthesizedStack], place: Place) -> None:
    """The hash covers its content."""
    place.save_plan(place.of_account(stacks), "reviewed")
    path = place.folder / "reviewed" / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace("a" * 40, "b" * 40), encoding="utf-8")
    with pytest.raises(SavedPlanError, match=r"it was changed\. Plan again"):
        read_manifest(place.folder / "reviewed")


def test_a_plan_is_saved_of_a_commit_in_a_new_folder(stacks: dict[str, SynthesizedStack], place: Place) -> None:
    """Changes that are not committed and an earlier plan in the folder are both named; nothing is written."""
    full = place.folder / "full"
    full.mkdir()
    (full / "other").touch()
    with pytest.raises(SavedPlanError, match=r"(?s)not committed.*is not empty: name a new one"):
        save_plan(stacks, place.target, release(), full, uncommitted=True)
    assert [path.name for path in full.iterdir()] == ["other"]
