"""Decisions on applying a plan and on a rollback are pure functions; records of releases are only appended."""

import datetime as dt
import json
import resource
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.config.model import StateStorage
from infra.constructs.release import Release
from infra.releases.apply_decision import ApplyDecision, ApplyRequest, decide_apply, duration
from infra.releases.drift import drift_of, released
from infra.releases.ledger import BlobLedger, FileLedger, LedgerError, run_az
from infra.releases.record import (
    RecordKind,
    ReleaseOutcome,
    ReleaseRecord,
    ReleaseRecordError,
    as_line,
    current,
    deployments,
    previous_release,
    read_records,
    unfinished,
)
from infra.releases.recording import record_end, record_start
from infra.releases.rollback_scope import decide_rollback, rollback_scope
from infra.releases.saved_plan import ENDINGS, Manifest, Wheel
from infra.releases.saving import refusals, waits_for
from infra.releases.target import Target
from infra.terraform_cli.changes import Action, Change
from infra.terraform_cli.known_errors import remedy
from infra.terraform_cli.synthesized import SynthesizedStack

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
FILES = {f"prod-workspace.{ending}": "f" * 64 for ending in ENDINGS}
MANIFEST = Manifest(
    environment="prod", commit="a" * 40, created_at="2026-11-21T10:00:00+00:00", terraform="1.11.4",
    providers={"databricks/databricks": "1.99.0"}, wheel=Wheel(name="x.whl", sha256="e" * 64),
    stacks={"prod-workspace": {}}, files=FILES,
)  # fmt: skip
REQUEST = ApplyRequest(
    environment="prod", sha256=MANIFEST.sha256, maximum_age=dt.timedelta(hours=24), now=NOW, commit="a" * 40,
    wheel="e" * 64, files=FILES,
)  # fmt: skip


def test_the_reviewed_plan_of_this_commit_may_be_applied() -> None:
    """There is no reason against it."""
    assert decide_apply(MANIFEST, REQUEST) == ApplyDecision(allowed=True, reasons=())


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another hash": ({}, {"sha256": "0" * 64}, f"its hash is {MANIFEST.sha256}, the reviewed hash is 000"),
    "another environment": ({}, {"environment": "dev"}, "it is a plan of prod, not of dev."),
    "another commit": ({}, {"commit": "b" * 40}, "made of commit aaaaaaaaaaaa, but bbbbbbbbbbbb is checked out."),
    "too old": ({}, {"maximum_age": dt.timedelta(minutes=90)}, "made 2 h 0 min ago, at 2026-11-21T10:00:00+00:00; the maximum age is 1 h 30"),
    "made in the future": ({}, {"now": NOW - dt.timedelta(hours=3)}, "in the future"),
    "a time that is none": ({"created_at": "yesterday"}, {}, "its creation time 'yesterday' cannot be read"),
    "a time without zone": ({"created_at": "2026-11-21T10:00:00"}, {}, "cannot be read"),
    "another wheel": ({}, {"wheel": "0" * 64}, f"sha256 {'e' * 64}; dist/ holds a wheel of sha256 000"),
    "no wheel": ({}, {"wheel": None}, "dist/ holds no wheel of this commit"),
    "a missing file": ({}, {"files": {k: v for k, v in FILES.items() if "json" not in k}}, "missing: prod-workspace.json"),
    "a changed file": ({}, {"files": {**FILES, "prod-workspace.plan": "0"}}, "changed: prod-workspace.plan"),
    "a foreign file": ({}, {"files": {**FILES, "other": "0"}}, "not part of this plan: other"),
    "a stack without its files": ({"stacks": {"prod-workspace": {}, "prod-platform": {}}}, {}, "missing: prod-platform.json"),
    "no stack": ({"stacks": {}}, {}, "it has no stack"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_plan_is_refused(what: str) -> None:
    """Each difference is refused with its reason; the requested hash is that of the changed manifest."""
    in_manifest, in_request, said = REFUSED[what]
    manifest = replace(MANIFEST, **in_manifest)
    request = replace(REQUEST, **{"sha256": manifest.sha256, **in_request})
    decided = decide_apply(manifest, request)
    assert not decided.allowed
    assert len(decided.reasons) == 1
    assert said in decided.reasons[0]


def test_every_reason_is_given_at_once() -> None:
    """Fixing one mistake does not reveal the next."""
    request = replace(
        REQUEST, sha256="0", environment="dev", commit="b" * 40, wheel=None, now=NOW + dt.timedelta(days=2)
    )
    assert len(decide_apply(MANIFEST, request).reasons) == 5


@settings(max_examples=40)
@given(st.sampled_from(sorted(FILES)), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_another_byte_in_any_file_is_another_hash(name: str, digest: str) -> None:
    """The one hash is over every file's."""
    changed = replace(MANIFEST, files={**FILES, name: digest})
    assert (changed.sha256 == MANIFEST.sha256) == (digest == FILES[name])


@pytest.mark.parametrize(
    ("text", "length"),
    [("90m", dt.timedelta(minutes=90)), ("24h", dt.timedelta(days=1)), ("14d", dt.timedelta(days=14))],
)
def test_a_length_of_time_is_read(text: str, length: dt.timedelta) -> None:
    """Minutes, hours, days."""
    assert duration(text) == length


@pytest.mark.parametrize("text", ["", "24", "0h", "-1h", "1w", "1.5h", "h"])
def test_a_text_that_is_not_a_length_of_time_is_refused(text: str) -> None:
    """With examples of one."""
    with pytest.raises(ValueError, match="such as 90m, 24h or 14d"):
        duration(text)


def record(
    commit: str, outcome: ReleaseOutcome = ReleaseOutcome.SUCCEEDED, kind: RecordKind = RecordKind.RELEASE, **other: Any
) -> ReleaseRecord:
    """Return a record of a deployment."""
    given = {"wheel": f"{commit}.whl", "wheel_sha256": commit * 2, "applied": ("prod-workspace",), **other}
    return ReleaseRecord(
        at="2026-11-21T10:00:00+00:00", kind=kind, environment="prod", commit=commit, plan_sha256=None, outcome=outcome,
        **given,
    )  # fmt: skip


ROLLED_BACK = {"kind": RecordKind.ROLLBACK}
FAILED = {"outcome": ReleaseOutcome.FAILED}
STARTED = {"outcome": ReleaseOutcome.STARTED, "applied": (), "stacks": ("prod-platform", "prod-workspace")}
TARGETS: dict[str, tuple[list[ReleaseRecord], str | None]] = {
    "nothing was released": ([], None),
    "only one release": ([record("A")], None),
    "the one before": ([record("A"), record("B")], "A"),
    "after a failed release, the one before it": ([record("A"), record("B"), record("C", **FAILED)], "B"),
    "after a release that was cut off, the one before it": ([record("A"), record("B"), record("C", **STARTED)], "B"),
    "after an interrupted release, the one before it": (
        [record("A"), record("B"), record("C", **STARTED), record("C", outcome=ReleaseOutcome.INTERRUPTED)], "B",
    ),
    "a release that was cut off and then finished": (
        [record("A"), record("B", **STARTED), record("B", **STARTED), record("B")], "A",
    ),
    "a rollback that was cut off is tried again": (
        [record("A"), record("B"), record("A", **{**STARTED, **ROLLED_BACK})], "A",
    ),
    "after a failed first release": ([record("A", **FAILED)], None),
    "a failed release is no target": ([record("A"), record("B", **FAILED), record("C")], "A"),
    "a rolled-back release is no target": ([record("A"), record("B"), record("A", **ROLLED_BACK)], None),
    "two rollbacks in a row": ([record("A"), record("B"), record("C"), record("B", **ROLLED_BACK)], "A"),
    "a release after a rollback": ([record("A"), record("B"), record("A", **ROLLED_BACK), record("C")], "A"),
    "a rollback that failed is tried again": ([record("A"), record("B"), record("A", **ROLLED_BACK, **FAILED)], "A"),
    "the same commit released again": ([record("A"), record("B"), record("B")], "A"),
    "the last deployment had no wheel": ([record("A"), record("B"), record("C", wheel=None)], None),
    "an earlier deployment had no wheel": ([record("A"), record("B", wheel=None), record("C")], "A"),
    "an incomplete deployment is no target": (
        [record("A"), record("B", outcome=ReleaseOutcome.INCOMPLETE), record("C")], "A",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TARGETS)
def test_the_rollback_target(what: str) -> None:
    """It is the last release that succeeded, other than the deployed one."""
    records, expected = TARGETS[what]
    found = previous_release(records)
    assert (found.commit if found else None) == expected


def test_a_deployment_is_its_end_or_a_start_that_never_ended() -> None:
    """A repetition of the same deployment takes the place of a start; older records have no starts."""
    a, c = record("A"), record("C", **STARTED)
    again = replace(c, at="2026-11-21T11:00:00+00:00")
    other = replace(c, plan_sha256="1" * 64)
    assert deployments([a, c]) == (a, c)
    assert deployments([record("A", **STARTED), a, c, again]) == (a, again)
    assert deployments([a, c, other]) == (a, c, other)
    assert deployments([a, a]) == (a, a)
    assert unfinished([a, c]) == c
    assert unfinished([c, record("C")]) is None
    assert unfinished([]) is None


def test_a_start_is_recorded_once_until_the_deployment_ends(tmp_path: Path) -> None:
    """A repetition of what was cut off adds no line; another deployment and one after an end do."""
    ledger = FileLedger(path=tmp_path / "releases.prod.jsonl")
    target = Target(environment="prod", folder=tmp_path, offline=True, ledger=ledger)
    start, other = record("A", **STARTED), record("B", **STARTED)
    for begun, lines in ((start, 1), (replace(start, by="another@machine"), 1), (other, 2), (start, 3), (start, 3)):
        record_start(target, begun)
        assert len(ledger.read()) == lines
    assert record_end(target, record("A")) == ""
    record_start(target, start)
    assert [r.outcome for r in ledger.read()][-2:] == [ReleaseOutcome.SUCCEEDED, ReleaseOutcome.STARTED]


def test_records_from_before_starts_were_recorded_are_read() -> None:
    """They name no stacks and nobody who started them."""
    content = json.loads(as_line(record("A")))
    del content["stacks"], content["by"]
    assert read_records(json.dumps(content) + "\n") == (record("A"),)


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_part_of_it(tmp_path: Path) -> None:
    """The records can still be read, and the next line is a line of its own."""
    ledger = FileLedger(path=tmp_path / "releases.prod.jsonl")
    ledger.append(record("A"))
    size, (_, hard) = ledger.path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            ledger.append(record("B"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert ledger.read() == (record("A"),)
    ledger.append(record("C"))
    assert ledger.read() == (record("A"), record("C"))


RECORDS = st.lists(
    st.builds(record, st.sampled_from("ABCD"), st.sampled_from(ReleaseOutcome), st.sampled_from(RecordKind)), max_size=8
)


@settings(max_examples=80)
@given(RECORDS)
def test_a_rollback_target_is_never_the_deployed_release_nor_one_that_failed(records: list[ReleaseRecord]) -> None:
    """The property holds for every history."""
    found, there = previous_release(records), current(records)
    if found is not None:
        assert there is not None
        assert found.commit != there.commit
        assert found in [r for r in records if r.kind is RecordKind.RELEASE and r.outcome is ReleaseOutcome.SUCCEEDED]


@settings(max_examples=30)
@given(RECORDS)
def test_records_are_read_as_they_were_written(records: list[ReleaseRecord]) -> None:
    """A line each."""
    assert read_records("".join(as_line(r) for r in records)) == tuple(records)


def test_a_line_that_is_not_a_record_is_named() -> None:
    """Reading stops there; the other lines are not used."""
    with pytest.raises(ReleaseRecordError, match="line 2 of the records of releases is not a record"):
        read_records(as_line(record("A")) + '{"kind": "release"}\n')


def test_a_file_of_records_only_grows(tmp_path: Path) -> None:
    """The first release makes it."""
    ledger = FileLedger(path=tmp_path / "states" / "releases.prod.jsonl")
    assert ledger.read() == ()
    ledger.append(record("A"))
    first = ledger.path.read_text(encoding="utf-8")
    ledger.append(record("B"))
    assert ledger.path.read_text(encoding="utf-8").startswith(first)
    assert ledger.read() == (record("A"), record("B"))


class Blob:
    """One blob behind the words of ``az storage blob``, with the conditions that the service keeps."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.version = 0
        self.words: list[Sequence[str]] = []

    def __call__(self, words: Sequence[str]) -> str:
        """Answer one call."""
        self.words.append(words)
        options = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
        assert options["--auth-mode"] == "login"
        request = options.get("--if-match")
        if request is not None and request != f"0x{self.version}":
            raise LedgerError("az storage blob failed: the condition is not met")
        if options.get("--if-none-match") == "*" and self.text is not None:
            raise LedgerError("az storage blob upload failed: the blob exists")
        if words[2] == "upload":
            self.text, self.version = Path(options["--file"]).read_text(encoding="utf-8"), self.version + 1
        if words[2] == "download":
            assert self.text is not None
            Path(options["--file"]).write_text(self.text, encoding="utf-8")
        return {"exists": str(self.text is not None).lower(), "show": f'"0x{self.version}"'}.get(words[2], "")


def blob_ledger(blob: Blob) -> BlobLedger:
    """Return the records in a blob."""
    state = StateStorage(
        subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group="rg", storage_account="stmrdprodstate",
        container="terraform",
    )  # fmt: skip
    return BlobLedger(state=state, environment="prod", az=blob)


def test_a_blob_of_records_only_grows_and_needs_no_key() -> None:
    """The blob is next to the state and is reached with the identity that is signed in."""
    blob = Blob()
    ledger = blob_ledger(blob)
    assert ledger.read() == ()
    ledger.append(record("A"))
    ledger.append(record("B"))
    assert ledger.read() == (record("A"), record("B"))
    assert {words[words.index("--name") + 1] for words in blob.words} == {"releases/prod.jsonl"}
    # The path of a temporary file is random: it may have the word in it. `--auth-mode key` and `--account-key` are words.
    said = [word for words in blob.words for word in words if not word.startswith("/")]
    assert "--auth-mode" in said
    assert not [word for word in said if "key" in word]


def test_a_line_that_another_run_has_appended_is_not_lost() -> None:
    """If the blob changes between reading and writing, the append is refused and the other line stays."""
    blob = Blob()
    blob_ledger(blob).append(record("A"))

    class Racing(Blob):
        def __call__(self, words: Sequence[str]) -> str:
            if words[2] == "upload":
                blob.version += 1
            return blob(words)

    with pytest.raises(LedgerError, match="the condition is not met"):
        blob_ledger(Racing()).append(record("B"))
    assert blob.text == as_line(record("A"))


def test_a_missing_azure_command_line_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is moved."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LedgerError, match="`az` is not installed: install it and sign in with `az login`"):
        run_az(["account", "show"])


def test_a_failing_azure_command_line_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message for an expired login has its remedy."""
    program = tmp_path / "az"
    program.write_text("#!/bin/sh\necho 'ERROR: AADSTS700082: The refresh token has expired' >&2\nexit 1\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(
        LedgerError, match="az storage blob exists failed: nobody is signed in, or the login has expired"
    ):
        run_az(["storage", "blob", "exists"])


OUTPUTS = {
    "an expired login": ("│ Error: AADSTS70043: The refresh token has expired due to\n│ inactivity.", "run `az login`"),
    "nobody signed in": ("Error: building account: could not acquire access token to parse claims", "run `az login`"),
    "no network": ("dial tcp: lookup adb-1.azuredatabricks.net: no such host", "the network does not reach"),
    "no registry": ("Could not retrieve the list of available versions for provider x: could not query: failed to query available provider packages", "the network does not reach"),
    "a lock": (
        "╷\n│ Error: Error acquiring the state lock\n│ Lock Info:\n│   ID:        9c1e\n│   Who:       vsts@agent7\n│   Created:   2026-11-21T10:00",
        "(lock 9c1e by vsts@agent7 since 2026-11-21T10:00)",
    ),
    "no right": ("StatusCode=403 AuthorizationFailed: The client", "may not do this"),
    "a right that the vault does not know yet": (
        "WorkspaceUpdateFailed: Invalid permissions on the specified KeyVault https://kv. does not have keys get permission",
        "takes some minutes after it is given: apply again",
    ),
    "a machine outside of the state's networks": (
        "Error: 403 AuthorizationFailure: This request is not authorized to perform this operation.",
        "`allowed_ip_ranges` of the `state`",
    ),
    "a stale plan": ("Error: Saved plan is stale", "plan, review and apply again"),
}  # fmt: skip


@pytest.mark.parametrize("what", OUTPUTS)
def test_a_known_error_is_one_sentence_with_its_remedy(what: str) -> None:
    """Also within the frame that Terraform draws around an error."""
    output, said = OUTPUTS[what]
    sentence = remedy(output)
    assert sentence is not None
    assert said in sentence
    assert "\n" not in sentence


def test_an_unknown_error_is_shown_unchanged() -> None:
    """A wrong remedy is worse than none."""
    assert remedy("Error: Invalid value for cluster_size") is None


def stack(name: str, content: dict[str, Any]) -> SynthesizedStack:
    """Return a stack."""
    local = {"terraform": {"backend": {"local": {"path": f"../../../terraform.{name}.tfstate"}}}}
    return SynthesizedStack(name=name, folder=Path(name), content={**local, **content})


PLATFORM = stack("prod-platform", {"output": {"workspace_url": {"value": "x"}}})
WORKSPACE = stack(
    "prod-workspace",
    {
        "data": {"terraform_remote_state": {"prod_platform": {
            "backend": "local", "config": {"path": "../../../terraform.prod-platform.tfstate"},
        }}},
        "provider": {"databricks": [{"host": "${data.terraform_remote_state.prod_platform.outputs.workspace_url}"}]},
    },
)  # fmt: skip
STACKS = {"prod-platform": PLATFORM, "prod-workspace": WORKSPACE}


@pytest.mark.parametrize(
    ("actions", "waits"),
    [
        (["no-op"], ()),
        (["update"], ("prod-platform.workspace_url",)),
        (["create"], ("prod-platform.workspace_url",)),
        (None, ("prod-platform.workspace_url",)),
    ],
)
def test_a_stack_waits_for_outputs_that_an_earlier_plan_changes(
    actions: list[str] | None, waits: tuple[str, ...]
) -> None:
    """It waits for outputs that are changed, new or missing, not for unchanged ones."""
    plan = {"output_changes": {"workspace_url": {"actions": actions}} if actions else {}}
    assert waits_for(STACKS, "prod-workspace", {"prod-platform": plan}, ()) == waits


def test_a_stack_waits_for_one_that_waits_and_not_for_one_that_is_not_planned() -> None:
    """A stack that is not planned now does not change now."""
    assert waits_for(STACKS, "prod-workspace", {}, ("prod-platform",)) == ("prod-platform.workspace_url",)
    assert waits_for(STACKS, "prod-workspace", {}, ()) == ()


def test_stacks_of_another_commit_or_without_their_wheel_are_not_planned(tmp_path: Path) -> None:
    """A plan is saved only of the commit that is checked out."""
    release = Release(commit="b" * 40, wheel="b.whl", wheel_path="", wheel_source="", sha256="1" * 64)

    def uploading(wheel: str, **output: Any) -> dict[str, SynthesizedStack]:
        file = {"databricks_file": {"wheel": {"source": f"${{path.module}}/../{wheel}"}}}
        return {"prod-workspace": stack("prod-workspace", {"resource": file, "output": output})}

    def reasons(stacks: dict[str, SynthesizedStack]) -> tuple[str, ...]:
        return refusals(stacks, release, uncommitted=False, folder=tmp_path / "new")

    assert reasons(uploading("b.whl", wheel_sha256={"value": "1" * 64})) == ()
    assert "was synthesized with a.whl: run `python -m infra synth` again" in reasons(uploading("a.whl"))[0]
    assert "was synthesized before b.whl was built" in reasons(uploading("b.whl"))[0]
    assert f"dist/ holds {'1' * 64}" in reasons(uploading("b.whl", wheel_sha256={"value": "2" * 64}))[0]


def test_a_rollback_covers_what_runs_the_wheel_and_nothing_else(synthesized: Any) -> None:
    """In the shipped stacks: wheel and its requirements, jobs and their permissions, notebooks, and dev's clusters with the wheel."""
    dev = SynthesizedStack(name="dev-workspace", folder=Path(), content=synthesized["dev-workspace"])
    kinds = {address.partition(".")[0] for address in rollback_scope(dev, {})}
    assert kinds == {
        "databricks_file", "databricks_job", "databricks_permissions", "databricks_notebook", "databricks_cluster",
    }  # fmt: skip
    addresses = rollback_scope(dev, {})
    jobs = {f"databricks_job.{name}" for name in synthesized["dev-workspace"]["resource"]["databricks_job"]}
    assert jobs < set(addresses)
    files = {a for a in addresses if a.startswith("databricks_file.")}
    assert files == {"databricks_file.wheel", "databricks_file.requirements"}
    assert "databricks_permissions.job_flight_delay_training" in addresses
    assert not [a for a in addresses if "experiment" in a or "endpoint" in a]
    added = {"databricks_job.new": ("databricks_file.wheel",), "databricks_schema.new": ("databricks_catalog.catalog",)}
    assert set(rollback_scope(dev, added)) - set(addresses) == {"databricks_job.new"}


def test_the_wheel_hash_of_a_workspace_stack_is_updated_with_the_wheel(synthesized: Any) -> None:
    """A deployment of wheel and jobs alone does not update an output that depends on nothing."""
    for environment in ("dev", "staging", "prod"):
        content = synthesized[f"{environment}-workspace"]
        assert content["output"]["wheel_sha256"]["depends_on"] == ["databricks_file.wheel"]
        (only_this,) = content["resource"]["databricks_file"]["wheel"]["lifecycle"]["precondition"]
        assert content["output"]["wheel_sha256"]["value"] in only_this["condition"]


def plan_of(*changes: tuple[str, list[str]], drifted: Sequence[tuple[str, list[str]]] = ()) -> dict[str, Any]:
    """Return a plan with changes, as ``terraform show -json`` gives it."""

    def listed(found: Sequence[tuple[str, list[str]]]) -> list[dict[str, Any]]:
        return [
            {"address": address, "change": {"actions": actions, "before": {"a": 1}, "after": {"a": 2}}}
            for address, actions in found
        ]

    return {"resource_changes": listed(changes), "resource_drift": listed(drifted)}


def test_a_rollback_that_changes_anything_else_is_refused() -> None:
    """Every such resource is named with its change."""
    plan = plan_of(
        ("databricks_job.a", ["update"]), ("databricks_grants.catalog", ["update"]), ("databricks_schema.b", ["delete"]),
        ("databricks_catalog.c", ["no-op"]),
    )  # fmt: skip
    decided = decide_rollback(plan, ["databricks_job.a"])
    assert not decided.allowed
    assert decided.reasons == (
        "databricks_grants.catalog would be updated (a): it is neither wheel nor job.",
        "databricks_schema.b would be destroyed (a): it is neither wheel nor job.",
    )
    assert decide_rollback(plan_of(("databricks_job.a", ["update"])), ["databricks_job.a"]).allowed


def test_drift_distinguishes_changes_without_terraform_from_planned_ones() -> None:
    """A right that was removed without Terraform, and its repair by a deployment, are both reported."""
    plan = plan_of(("databricks_grants.g", ["update"]), drifted=[("databricks_grants.g", ["update"])])
    found = drift_of("prod-workspace", plan)
    change = Change(address="databricks_grants.g", action=Action.UPDATE, attributes=("a",))
    assert (found.outside, found.differing, bool(found)) == ((change,), (change,), True)
    assert not drift_of("prod-workspace", plan_of(("x.y", ["no-op"]), ("data.x.y", ["read"])))


def test_each_stack_is_compared_with_the_release_that_applied_it_last() -> None:
    """A release of the workspace alone leaves the platform as it was; one that was cut off may have changed every stack."""
    both, one = record("A", applied=("prod-platform", "prod-workspace")), record("B", applied=("prod-workspace",))
    gone_back = record("A", kind=RecordKind.ROLLBACK)
    names = ["prod-platform", "prod-workspace", "prod-new"]
    assert released([both, one], names) == {"prod-platform": both, "prod-workspace": one}
    assert released([both, one, gone_back], names)["prod-workspace"] == gone_back
    cut_off = record("C", **STARTED)
    assert released([both, one, cut_off], names) == {"prod-platform": cut_off, "prod-workspace": cut_off}
    failed = record("C", **{**STARTED, "outcome": ReleaseOutcome.FAILED, "applied": ("prod-platform",)})
    assert released([both, one, cut_off, failed], names) == {"prod-platform": failed, "prod-workspace": one}
