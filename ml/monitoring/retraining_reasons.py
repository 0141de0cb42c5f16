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
        return f"every finding that could cause a retraining is older than the last one, on {last:%Y-%m-%d}."
    since = "" if last is None else f" since the last one, on {last:%Y-%m-%d}"
    return (
        f"{_counted(len(relevant), 'finding')} could cause a retraining, but none has lasted long enough{since}: a fall of a "
        f"metric has to last {_counted(policy.metric_windows, 'window')}, drift {_counted(policy.drift_windows, 'window')} "
        f"in at least {_counted(policy.drift_columns, 'column')}."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
