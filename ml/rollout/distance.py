"""How far the scores of two versions on the same requests are from each other."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def score_distance(own: NDArray[np.float64], theirs: NDArray[np.float64]) -> float | None:
    """Return the largest distance between the distribution functions of two versions' scores; None without any.

    Of several classes it is that of the class whose scores are furthest apart.

    Parameters
    ----------
    own, theirs
        Shape ``(rows,)`` or ``(rows, classes)``.
    """
    if not len(own):
        return None
    columns = (scores.reshape(len(scores), -1).T for scores in (own, theirs))
    return max(float(stats.ks_2samp(*pair).statistic) for pair in zip(*columns, strict=True))
