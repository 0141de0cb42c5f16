"""The text of a retraining decision's reasons that are not messages of findings.

A retraining that takes place is explained by the messages of the findings that caused it
(`ml.monitoring.finding_rules`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from ml.monitoring.findings import Finding
from ml.spec.monitoring_policy import RetrainingPolicy


def cooldown_reason(last: datetime, policy: RetrainingPolicy) -> str:
    """Return why nothing retrains so soon after the last retraining."""
    until = last + timedelta(days=policy.cooldown_days)
    return f"the last retraining was on {last:%Y-%m-%d}; none before {until:%Y-%m-%d}."


def no_retraining_reason(current: Sequence[Finding], last: datetime | None, policy: RetrainingPolicy) -> str:
    """Return why no finding of the window causes a retraining."""
    relevant = [finding for finding in current if finding.kind in policy.kinds]
    if not relevant:
        return "no finding calls for a retraining."
    if last is not None and all(finding.window_end <= last for finding in relevant):
        return f"all {len(relevant)} findings that could cause a retraining are older than the last one, on {last:%Y-%m-%d}."
    since = "" if last is None else f" since the last one, on {last:%Y-%m-%d}"
    return (
        f"of {len(relevant)} findings that could cause a retraining, none has lasted long enough{since}. Windows needed: "
        f"{policy.metric_windows} for a metric, {policy.drift_windows} for drift; columns that drift: {policy.drift_columns}."
    )
