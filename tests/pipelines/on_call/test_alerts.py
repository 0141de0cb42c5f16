"""The page for people on call lists every alert that can fire, in its own words, with a command that exists."""

import os
import re
from pathlib import Path

import pytest
import yaml

from infra.constructs.use_case.dashboards import alert_queries
from ml.monitoring.findings import FindingKind
from pipelines.declarations.registry import use_cases
from pipelines.declarations.urgency import CauseArea
from pipelines.on_call.alerts import (
    ALERTS,
    DEPLOYED,
    FINDINGS,
    NIGHTLY,
    NOTIFICATIONS,
    Alert,
    alarms_of,
    area_of,
    as_markdown,
    standing,
)
from tests.azuredevops.pipeline_commands import check
from tests.pipelines.remote.deployed import deployed_jobs
from tests.test_docs import headings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "on-call.md"


def test_every_kind_of_finding_is_an_alert() -> None:
    """A kind that is added without its line fails here."""
    assert sorted(alert.name for alert in FINDINGS) == sorted(FindingKind)
    assert {area_of(kind) for kind in FindingKind} == set(CauseArea)


def test_every_deployed_alert_is_listed_with_its_description() -> None:
    """The words are in the mail, whose text is the alert's description."""
    for use_case in use_cases():
        found = {query.name: query.description for query in alert_queries(use_case, "prod")}
        assert set(found) == {alert.name for alert in DEPLOYED}
        assert all(alert.words in found[alert.name] for alert in DEPLOYED)


def test_every_notification_of_a_deployed_job_is_listed() -> None:
    """Jobs mail when they fail and when they take too long; another kind of mail needs its line."""
    mails = [job.settings.email_notifications.as_dict() for job in deployed_jobs() if job.settings and job.settings.email_notifications]  # fmt: skip
    kinds = {name for one in mails for name, value in one.items() if isinstance(value, list) and value}
    assert kinds == {"on_failure", "on_duration_warning_threshold_exceeded"}
    assert {"a job failed", "a job takes too long", "a budget is exceeded"} <= {alert.name for alert in NOTIFICATIONS}


def test_every_stage_of_the_nightly_pipeline_is_listed() -> None:
    """By the beginning of the name that Azure DevOps shows."""
    templates = ROOT / ".azuredevops" / "templates"
    nightly = yaml.safe_load((templates / "nightly-stages.yml").read_text(encoding="utf-8"))
    named = set()
    for stage in nightly["stages"]:
        if "template" in stage:
            template = yaml.safe_load((templates / stage["template"]).read_text(encoding="utf-8"))
            named |= {one["displayName"] for one in template["stages"]}
        elif stage["stage"] != "where":  # it says what the others look at
            named.add(stage["displayName"])
    assert all(any(name.startswith(alert.words) for alert in NIGHTLY) for name in named), named
    assert all(any(name.startswith(alert.words) for name in named) for alert in NIGHTLY)


@pytest.mark.parametrize("alert", FINDINGS, ids=lambda alert: str(alert.name))
def test_a_finding_is_found_by_its_own_words(alert: Alert) -> None:
    """They stand in the code that writes its message, and in no other kind's line."""
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "ml" / "monitoring").glob("*.py")))
    assert alert.words in re.sub(r'"\s*\n\s*f?"', "", sources)
    assert [other.name for other in ALERTS if alert.words in other.words] == [alert.name]


@pytest.mark.parametrize("command", sorted({alert.command for alert in ALERTS}))
def test_the_first_command_of_every_alert_exists(command: str) -> None:
    """With the names that the alert gives."""
    words = command.replace("USE_CASE", "flight_delay").replace("ENV", "prod").replace("DAY", "2025-06-01")
    words = words.replace("mlops infra", ".venv/bin/python -m infra").replace("mlops", ".venv/bin/python -m pipelines")
    check(words)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name} {alert.words}")
def test_the_run_book_of_every_alert_is_a_section_of_a_page(alert: Alert) -> None:
    """Status, the page of the house and mails name it; a page alone would leave the reader to search."""
    page, _, section = alert.page.partition("#")
    assert section in headings(ROOT / "docs" / page)


def test_alarms_are_shown_with_owner_run_book_and_a_command_that_can_be_pasted() -> None:
    """Status itself is not repeated as the command; the day is the alert's."""
    alarms = alarms_of(failed_jobs=["a.features"], kinds=["no_predictions", "source_stopped"])
    assert standing(alarms, use_case="a", team="t", environment="prod", place="--root demo") == [
        ("now", "source_stopped", "team t", "docs/run-books.md#a-source-that-stopped", None),
        (
            "now", "no_predictions", "ML engineer", "docs/run-books.md#no-predictions-are-made",
            "mlops run a.scoring --env prod --root demo",
        ),
        ("today", "a job failed", "ML engineer", "docs/run-books.md#a-job-that-failed", None),
    ]  # fmt: skip


def test_a_job_that_could_not_take_a_delivery_is_its_teams_first() -> None:
    """The mail is the same; beside a job that failed for another reason both stand."""
    refused = ["a.features: source rides: no file."]
    failed = [*alarms_of(failed_jobs=["a.features", "a.training"], kinds=[], undelivered=refused)]
    assert [(one.name, one.area, one.owner) for one in failed] == [
        ("a job failed", CauseArea.DATA, "team"),
        ("a job failed", CauseArea.PLATFORM, "ML engineer"),
    ]
    (alone,) = alarms_of(failed_jobs=["a.features"], kinds=[], undelivered=refused)
    assert alone == failed[0]


def test_the_page_shows_the_tables() -> None:
    """The output of `python -m pipelines alerts --markdown`; REWRITE_GOLDEN=1 writes it again."""
    page = PAGE.read_text(encoding="utf-8")
    before, table, after = re.split(
        r"(?<=<!-- alerts -->\n\n)(.*)(?=\n\n<!-- end of alerts -->)", page, flags=re.DOTALL
    )
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(before + as_markdown() + after, encoding="utf-8")
    else:
        assert table == as_markdown()
