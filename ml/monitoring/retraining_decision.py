"""Whether findings ask for a retraining: persistence before, cooldown after.

One noisy window does not retrain (a finding must have stood for the policy's number of consecutive windows), and a
storm of findings does not either (nothing retrains within the cooldown). Findings older than the last retraining are
about another model and do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ml.monitoring.findings import Finding
from ml.spec.monitoring_policy import RetrainingPolicy

NOT_NEEDED = "none"


@dataclass(frozen=True, kw_only=True)
class RetrainingDecision:
    """Whether to retrain now, the cause in one word, and every reason in a sentence.

    Attributes
    ----------
    cause
        ``metric_fell`` or ``drift``; ``none`` when nothing asked, also kept when the cooldown forbids it.
    """

    retrain: bool
    cause: str
    reasons: tuple[str, ...]


def decide(
    current: Sequence[Finding],
    history: Sequence[Finding],
    *,
    champion: int | None,
    retrained_at: Sequence[datetime],
    now: datetime,
    policy: RetrainingPolicy,
) -> RetrainingDecision:
    """Decide on a retraining.

    Parameters
    ----------
    current
        The findings of the last window that has ended.
    history
        Findings of earlier windows; those of `current` may stand in it again.
    champion
        The version that is champion now: what was found about another one no retraining would mend.
    retrained_at
        When retrainings were decided upon before, successful or not.
    now
        The moment of the decision.
    """
    current, history = ([f for f in found if f.model_version in (None, champion)] for found in (current, history))
    last = max(retrained_at, default=None)
    asking = _asking(current, history, last, policy)
    if not asking:
        return RetrainingDecision(retrain=False, cause=NOT_NEEDED, reasons=(_quiet(current, last, policy),))
    cause = next(kind for kind in policy.kinds if any(finding.kind == kind for finding in asking))
    reasons = tuple(finding.message for finding in asking)
    if last is not None and now - last < timedelta(days=policy.cooldown_days):
        until = last + timedelta(days=policy.cooldown_days)
        reason = f"the last retraining was on {last:%Y-%m-%d}; none before {until:%Y-%m-%d}."
        return RetrainingDecision(retrain=False, cause=cause, reasons=(reason, *reasons))
    return RetrainingDecision(retrain=True, cause=cause, reasons=reasons)


def _asking(
    current: Sequence[Finding], history: Sequence[Finding], last: datetime | None, policy: RetrainingPolicy
) -> list[Finding]:
    windows = sorted({(f.key, f.window_start) for f in (*history, *current) if last is None or f.window_end > last})
    lasting = [
        finding
        for finding in current
        if finding.kind in policy.kinds
        and sum(key == finding.key and start >= finding.since for key, start in windows)
        >= policy.windows_by_kind[finding.kind]
    ]
    drifted = {finding.column_name for finding in lasting if finding.kind == "drift"}
    return [finding for finding in lasting if finding.kind != "drift" or len(drifted) >= policy.drift_columns]


def _quiet(current: Sequence[Finding], last: datetime | None, policy: RetrainingPolicy) -> str:
    relevant = [finding for finding in current if finding.kind in policy.kinds]
    if not relevant:
        return "no finding asks for a retraining."
    if last is not None and all(finding.window_end <= last for finding in relevant):
        return f"all {len(relevant)} that could ask for a retraining are older than the last one, on {last:%Y-%m-%d}."
    since = "" if last is None else f" since the last one, on {last:%Y-%m-%d}"
    return (
        f"of {len(relevant)} that could ask for a retraining none has lasted long enough{since}. Windows needed: "
        f"{policy.metric_windows} for a metric, {policy.drift_windows} for drift; columns that drift: {policy.drift_columns}."
    )
