"""Every alert that can fire, once: its own words, how urgent it is, whose it is, and the first command.

The page for people on call is made from this table; a test compares the table with the kinds of findings, the deployed
alerts and notifications, and the nightly pipeline.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ml.monitoring.findings import FindingKind
from pipelines.declarations.urgency import CauseArea, Severity
from pipelines.telemetry.instruments import INSTRUMENTS


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert.

    Attributes
    ----------
    name
        A kind of finding, the name of a deployed alert, or a notification.
    words
        What its message says, by which somebody finds it on the page.
    owner
        Who acts first; *team* is the use case's own, as `infra/settings/teams.yaml` names it.
    command
        The first command; `ENV`, `USE_CASE` and `DAY` as the alert names them.
    page
        The section of the documentation that goes on from there.
    """

    name: str
    words: str
    area: CauseArea
    severity: Severity
    owner: str
    command: str
    page: str

    def command_for(self, use_case: str, environment: str, place: str) -> str:
        """Return the first command with the names filled in; a day stays as ``DAY``, because the alert names it.

        Parameters
        ----------
        place
            Where the environment is: ``--remote``, or ``--root`` with its folder.
        """
        filled = self.command.replace("USE_CASE", use_case).replace("ENV", environment)
        return filled.replace("--remote", place)


STATUS = "mlops status --env ENV --remote"
SOURCE, CHANGE, LABELS, DRIFT, ROLL_BACK, SKEW, CANARY, STREAM, STALE, UNSCORED, FAILED = (
    "run-books.md#a-source-that-stopped", "run-books.md#a-sudden-change", "run-books.md#a-label-outage",
    "run-books.md#a-storm-of-drift", "run-books.md#roll-back-a-model",
    "run-books.md#inputs-that-differ-between-scoring-and-training", "run-books.md#a-returned-canary", "run-books.md#a-stream-that-lags",
    "run-books.md#stale-features",
    "run-books.md#no-predictions-are-made", "run-books.md#a-job-that-failed",
)  # fmt: skip
SHARED = "run-books.md#shared-features-that-are-not-fresh"
TEAM, ML, PLATFORM = "team", "ML engineer", "platform engineer"


def _of_data(name: str, words: str, severity: Severity, command: str, page: str) -> Alert:
    return Alert(name=name, words=words, area=CauseArea.DATA, severity=severity, owner=TEAM, command=command, page=page)


def _of_the_model(name: str, words: str, severity: Severity, command: str, page: str) -> Alert:
    return Alert(name=name, words=words, area=CauseArea.MODEL, severity=severity, owner=ML, command=command, page=page)


def _of_the_platform(name: str, words: str, severity: Severity, owner: str, command: str, page: str) -> Alert:
    return Alert(
        name=name, words=words, area=CauseArea.PLATFORM, severity=severity, owner=owner, command=command, page=page
    )


FINDINGS = (
    _of_data(FindingKind.SOURCE_STOPPED, "has stopped:", Severity.NOW, STATUS, SOURCE),
    _of_data(FindingKind.SUDDEN_CHANGE, "on single days", Severity.NOW, STATUS, CHANGE),
    _of_data(FindingKind.SOURCE_VOLUME, "days before had", Severity.TODAY, STATUS, SOURCE),
    _of_data(FindingKind.SHARED_FEATURES_STALE, "are not fresh:", Severity.TODAY, STATUS, SHARED),
    _of_data(FindingKind.LABELS_STOPPED, "no outcome becomes known any more", Severity.TODAY, STATUS, LABELS),
    _of_data(FindingKind.LABELS_MISSING, "are past their due date", Severity.THIS_WEEK, STATUS, LABELS),
    _of_data(FindingKind.LABELS_LATE, "became known later than declared", Severity.THIS_WEEK, STATUS, LABELS),
    _of_data(FindingKind.MISSING_RATE, "is missing in", Severity.TODAY, STATUS, CHANGE),
    _of_the_model(FindingKind.METRIC_FELL, "chance and tolerance explain no worse than", Severity.TODAY, STATUS, ROLL_BACK),
    _of_the_model(FindingKind.DRIFT, "drifted:", Severity.THIS_WEEK, STATUS, DRIFT),
    _of_the_model(
        FindingKind.CHALLENGER_RETURNED, "was taken back from the endpoint", Severity.TODAY, STATUS, CANARY
    ),
    _of_the_model(FindingKind.SKEW, "were trained on with another", Severity.THIS_WEEK, STATUS, SKEW),
    _of_the_platform(FindingKind.STREAM_LAGS, "are due and have no prediction, the first for", Severity.NOW, ML, STATUS, STREAM),
    _of_the_platform(
        FindingKind.FEATURES_STALE, "rows were waiting to be published", Severity.TODAY, ML, STATUS, STALE
    ),
    _of_the_platform(
        FindingKind.NO_PREDICTIONS, "no predictions were made in the window", Severity.NOW, ML,
        "mlops run USE_CASE.scoring --env ENV --remote", UNSCORED,
    ),
    _of_the_platform(
        FindingKind.REQUESTS_WITHOUT_PREDICTION, "have no prediction and lie before scoring's look-back", Severity.TODAY, ML,
        "mlops run USE_CASE.scoring --env ENV --remote --param since=DAY", UNSCORED,
    ),
)  # fmt: skip
"""The kinds of findings of the jobs `monitoring`, `rollout` and `stream`, and of the endpoint."""

DEPLOYED = (
    _of_the_model(
        "findings", "monitoring found something within the last day", Severity.TODAY, STATUS, "on-call.md#findings"
    ),
    _of_the_platform("silence", "nothing was scored within the last day", Severity.NOW, ML, STATUS, UNSCORED),
)
"""The alerts on the SQL warehouse, whose mails go to ``jobs.notify`` of the environment's settings."""

NOTIFICATIONS = (
    _of_the_platform("a job failed", "Run failed", Severity.TODAY, ML, STATUS, FAILED),
    _of_the_platform("scoring failed", "USE_CASE.scoring", Severity.NOW, ML, STATUS, UNSCORED),
    _of_the_platform("a stream failed", "USE_CASE.stream", Severity.NOW, ML, STATUS, STREAM),
    _of_the_platform(
        "a job takes too long", "Run duration warning", Severity.THIS_WEEK, ML, STATUS, "operations.md#look-at-an-environment"
    ),
    _of_the_platform(
        "a budget is exceeded", "Budget alert", Severity.THIS_WEEK, PLATFORM, "mlops infra cost ENV", "cost.md#see-what-was-spent"
    ),
)  # fmt: skip
"""What Databricks mails by itself: failed and long runs to ``jobs.notify``, budgets to ``budget.notify``."""

NIGHTLY = (
    _of_the_platform("drift", "Drift of", Severity.TODAY, PLATFORM, "mlops infra drift ENV", "releases.md#find-what-differs-every-night"),
    _of_the_platform("status", "Status of", Severity.TODAY, ML, STATUS, "operations.md#when-a-command-refuses"),
    _of_the_platform(
        "branches", "Branches in dev", Severity.THIS_WEEK, PLATFORM, "mlops infra branch", "branches.md#in-the-dev-workspace"
    ),
    _of_the_platform("waivers", "Waivers", Severity.THIS_WEEK, PLATFORM, "mlops infra waivers --within 14d", "platform.md#who-judges-a-change"),
    _of_the_platform(
        "audit", "Dependencies", Severity.THIS_WEEK, PLATFORM, "make audit", "delivery.md#the-pipeline-nightly"
    ),
)  # fmt: skip
"""The stages of the nightly pipeline, whose failure Azure DevOps mails to who follows it."""

METRICS = tuple(
    Alert(
        name=one.name, words=one.words, area=one.area, severity=one.severity, owner=one.owner, command=one.command,
        page=one.page,
    )
    for instrument in INSTRUMENTS
    for one in instrument.alerts
)  # fmt: skip
"""The alert rules of Azure Monitor, in environments whose settings state `telemetry`; each is declared beside its metric."""

ALERTS = (*FINDINGS, *DEPLOYED, *NOTIFICATIONS, *METRICS, *NIGHTLY)


def alarms_of(
    *, failed_jobs: Sequence[str], kinds: Iterable[str], undelivered: Sequence[str] = ()
) -> tuple[Alert, ...]:
    """Return the alerts that stand while jobs have failed last and findings are open, the most urgent first.

    Parameters
    ----------
    failed_jobs
        Addresses such as ``flight_delay.scoring``.
    kinds
        Of the open findings.
    undelivered
        What those of the jobs said that could not take a delivery (`pipelines.on_call.cause.undelivered`). The mail is that of
        every failed job, but the feed's owner acts first.
    """
    by_job = {"scoring": "scoring failed", "stream": "a stream failed"}
    refused = {one.partition(":")[0] for one in undelivered}
    names = {(by_job.get(job.rpartition(".")[2], "a job failed"), job in refused) for job in failed_jobs}
    found = [
        replace(alert, area=CauseArea.DATA, owner=TEAM) if of_the_feed else alert
        for of_the_feed in (True, False)
        for alert in NOTIFICATIONS
        if (alert.name, of_the_feed) in names
    ]
    wanted = set(kinds)
    found += [alert for alert in FINDINGS if alert.name in wanted]
    order = list(Severity)
    return tuple(sorted(found, key=lambda alert: order.index(alert.severity)))


def area_of(kind: str) -> CauseArea:
    """Return where the cause of a finding lies, by its kind."""
    return next(alert.area for alert in FINDINGS if alert.name == kind)


def standing(
    alarms: Iterable[Alert], *, use_case: str, team: str, environment: str, place: str
) -> list[tuple[str, str, str, str, str | None]]:
    """Return alerts as lines of status: severity, alert, whose, the run-book, and the first command unless it is status itself."""
    return [
        (
            alert.severity,
            alert.name,
            f"team {team}" if alert.owner == TEAM else alert.owner,
            f"docs/{alert.page}",
            None if alert.command == STATUS else alert.command_for(use_case, environment, place),
        )
        for alert in alarms
    ]


STANDING = ("severity", "alert", "whose", "run-book", "first command")
"""The columns of `standing`."""


def as_markdown() -> str:
    """Return the page's tables: one for each severity, each alert in its own words."""
    return "\n\n".join(_of_severity(severity) for severity in Severity)


def _of_severity(severity: Severity) -> str:
    head = "| it says | alert | it is | whose | run-book | first command, if not `status` |\n|---|---|---|---|---|---|"
    rows = [
        f"| {alert.words} | {alert.name} | {alert.area} | {alert.owner} | [{_title(alert.page)}]({alert.page}) | "
        + ("|" if alert.command == STATUS else f"`{alert.command}` |")
        for alert in ALERTS
        if alert.severity is severity
    ]
    return "\n".join([f"### {severity.capitalize()}", "", head, *rows])


def _title(page: str) -> str:
    name, _, section = page.partition("#")
    return (section or name.removesuffix(".md")).replace("-", " ")
