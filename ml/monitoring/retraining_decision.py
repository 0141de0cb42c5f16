"""Decides whether findings cause a retraining.

A finding must last for the policy's number of consecutive windows, so one noisy window causes no retraining. Nothing
retrains within the cooldown, so a storm of findings causes only one. Findings older than the last retraining are about
another model and do not count. The sentences of a decision are in `ml.monitoring.retraining_reasons`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ml.monitoring.findings import Finding
from ml.monitoring.retraining_reasons import cooldown_reason, no_retraining_reason
from ml.spec.monitoring_policy import RetrainingPolicy

NOT_NEEDED = "none"


@dataclass(frozen=True, kw_only=True)
class RetrainingDecision:
    """Whether to retrain now, the cause in one word, and the reasons, each a sentence.

    Attributes
    ----------
    cause
        ``metric_fell`` or ``drift``, also when the cooldown forbids a retraining; ``none`` if no finding calls for one.
    """

    retrain: bool
    cause: str
    reasons: tuple[str, ...]


def decide_retraining(
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
        Findings of earlier windows; it may repeat those of `current`.
    champion
        The version that is champion now; findings about another version are no reason to retrain.
    retrained_at
        When earlier retrainings were decided, successful or not.
    now
        The moment of the decision.
    """
    current, history = ([f for f in found if f.model_version in (None, champion)] for found in (current, history))
    last = max(retrained_at, default=None)
    asking = _asking(current, history, last, policy)
    if not asking:
        return RetrainingDecision(
            retrain=False, cause=NOT_NEEDED, reasons=(no_retraining_reason(current, last, policy),)
        )
    cause = next(kind for kind in policy.kinds if any(finding.kind == kind for finding in asking))
    reasons = tuple(finding.message for finding in asking)
    if last is not None and now - last < timedelta(days=policy.cooldown_days):
        return RetrainingDecision(retrain=False, cause=cause, reasons=(cooldown_reason(last, policy), *reasons))
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
