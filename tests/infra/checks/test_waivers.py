"""Waivers excuse what they name until their day, and no more."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.checks.finding import PolicyFinding
from infra.checks.registry import NAMES
from infra.checks.waivers import EXPIRED, LONGEST_DAYS, NEVER, TOO_LONG, Waiver, WaiverError, read_waivers, review

TODAY = dt.date(2026, 11, 21)
FINDING = PolicyFinding(check="job-ends", resource="prod-workspace/databricks_job.training", message="x.")


def waiver(**changes: Any) -> Waiver:
    """Return a waiver that covers `FINDING` today, but for what is given."""
    fields = {
        "check": "job-ends", "resource": "prod-workspace/databricks_job.*", "owner": "data platform",
        "reason": "ends by the endpoint it waits for", "expires": TODAY,
    }  # fmt: skip
    return Waiver(**{**fields, **changes})


def test_a_waiver_excuses_its_finding_on_its_last_day() -> None:
    """The finding is returned with its waiver, so that both can be shown."""
    held = waiver()
    reviewed = review([FINDING], [held], TODAY)
    assert reviewed.open == ()
    assert reviewed.waived == ((FINDING, held),)


def test_an_expired_waiver_excuses_nothing_and_fails_by_itself() -> None:
    """The day after, the finding is open again, and so is the waiver, even where nothing is left to excuse."""
    expired = waiver(expires=TODAY - dt.timedelta(days=1))
    reviewed = review([FINDING], [expired], TODAY)
    assert [finding.check for finding in reviewed.open] == ["job-ends", EXPIRED]
    assert "ended on 2026-11-20" in reviewed.open[1].message
    assert [finding.check for finding in review([], [expired], TODAY).open] == [EXPIRED]


@pytest.mark.parametrize("changes", [{"check": "job-reports"}, {"resource": "dev-workspace/*"}])
def test_a_waiver_excuses_no_other_check_and_no_other_resource(changes: dict[str, str]) -> None:
    """It is reported as unused, and the finding stays open."""
    reviewed = review([FINDING], [waiver(**changes)], TODAY)
    assert reviewed.open == (FINDING,)
    assert len(reviewed.unused) == 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from("abc"), max_size=6),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 2)), max_size=6),
)
def test_no_finding_is_lost_and_none_is_excused_twice(checks: list[str], held: list[tuple[str, int]]) -> None:
    """Whatever is found is open or waived; every waiver in force is used or unused."""
    found = [PolicyFinding(check=check, resource=f"s/t.{n}", message="x.") for n, check in enumerate(checks)]
    waivers = [waiver(check=c, resource="s/*", expires=TODAY + dt.timedelta(days=days)) for c, days in held]
    reviewed = review(found, waivers, TODAY)
    opened = [finding for finding in reviewed.open if finding.check != EXPIRED]
    assert sorted([*opened, *(f for f, _ in reviewed.waived)], key=lambda f: f.resource) == found
    assert len(reviewed.open) - len(opened) == sum(days < 0 for _, days in held)
    assert all(w.expires >= TODAY and w.check == f.check for f, w in reviewed.waived)


def write(folder: Path, text: str) -> Path:
    """Write a file of waivers."""
    path = folder / "waivers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_mistakes_in_the_file_are_reported_at_once(tmp_path: Path) -> None:
    """By entry and field, with what was got."""
    text = """
waivers:
  - {check: job-ends, resource: "a/b.c", reason: too short, owner: x, expires: 2027-01-01}
  - {check: job-ends, resource: "a/b.c", reason: long enough to be a reason, owner: x, expires: soon, who: me}
"""
    with pytest.raises(WaiverError) as caught:
        read_waivers(write(tmp_path, text))
    sentences = str(caught.value).splitlines()
    assert len(sentences) == 3
    assert "waiver 1, reason: String should have at least 20 characters, got 'too short'." in sentences[0]
    assert "waiver 2, expires" in sentences[1]
    assert "waiver 2, who" in sentences[2]


@pytest.mark.parametrize("text", ["waivers: {}", "waiver: []", "- x", "waivers: [", ""])
def test_a_file_that_is_no_list_of_waivers_is_refused(text: str, tmp_path: Path) -> None:
    """An empty list must be stated; a wrong word must not excuse everything or nothing in silence."""
    with pytest.raises(WaiverError, match=r"waivers\.yaml"):
        read_waivers(write(tmp_path, text))


def test_the_shipped_waivers_are_complete_and_name_checks_that_exist() -> None:
    """Each names a check of ours or of Checkov's and gives a reason, an owner and a day."""
    for held in read_waivers():
        assert held.check in NAMES or held.check.startswith(("CKV_", "CKV2_"))
        assert len(held.reason.split()) >= 5


@pytest.mark.parametrize("check", sorted(NEVER))
def test_what_keeps_environments_apart_cannot_be_waived(check: str) -> None:
    """The same pull request could otherwise open an environment and excuse it."""
    with pytest.raises(ValueError, match="cannot be waived"):
        waiver(check=check)
    assert check in NAMES | {"state-is-closed"}


@pytest.mark.parametrize("resource", ["*/*", "***"])
def test_a_waiver_for_everything_is_refused(resource: str) -> None:
    """It names a stack or a type."""
    with pytest.raises(ValueError, match="must name a stack or a type"):
        waiver(resource=resource)


def test_a_waiver_that_ends_too_late_excuses_nothing() -> None:
    """Until 9999 is for ever: the longest life is a year, counted from today."""
    last = waiver(expires=TODAY + dt.timedelta(days=LONGEST_DAYS))
    assert review([FINDING], [last], TODAY).open == ()
    late = waiver(expires=TODAY + dt.timedelta(days=LONGEST_DAYS + 1))
    reviewed = review([FINDING], [late], TODAY)
    assert [finding.check for finding in reviewed.open] == ["job-ends", TOO_LONG]
    assert "2027-11-22 is the latest day" in reviewed.open[1].message
