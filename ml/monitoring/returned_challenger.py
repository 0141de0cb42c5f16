"""The finding about a challenger that a rollout has returned: which rule, which value, what is allowed."""

from datetime import datetime

from ml.monitoring.findings import Finding, FindingKind, Window


def returned_finding(
    window: Window, *, version: int, champion: int, rule: str, value: float | None, threshold: float | None, why: str,
    at: datetime,
) -> Finding:  # fmt: skip
    """Return the finding about a returned challenger.

    Parameters
    ----------
    window
        The day of the return.
    rule
        The first rule that returned it; `value` and `threshold` are that rule's.
    why
        Every rule that did, as a sentence.
    """
    return Finding.of_a_day(
        window,
        FindingKind.CHALLENGER_RETURNED,
        statistic=rule,
        value=value,
        threshold=threshold,
        since=at,
        model_version=version,
        message=f"challenger version {version} was taken back from the endpoint, version {champion} answers every request: {why}",
    )
