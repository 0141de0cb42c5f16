"""The interval of a rate that was counted."""

from scipy import stats


def exact_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate of Clopper and Pearson (1934), Biometrika 26, 404-413."""
    found = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)
