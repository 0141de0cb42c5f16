"""The rule that takes labels as soon as they are known, beside the product's, on labels whose value decides when."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.labels.maturity import OutcomeState
from pipelines.canary import WHEN_DUE, DecidingRule

Floats = NDArray[np.float64]


def _known(
    prediction_at: NDArray[np.datetime64], known_at: NDArray[np.datetime64], labels: Floats, *, at: np.datetime64,
    **_: Any,
) -> tuple[NDArray[np.object_], Floats]:  # fmt: skip
    known = (known_at < at) & (prediction_at < at)
    return np.where(known, OutcomeState.LABELLED, OutcomeState.NOT_DUE).astype(object), np.where(known, labels, np.nan)


AS_SOON_AS_KNOWN = DecidingRule(choose=_known, waits=False)
"""What training and evaluation did before outcomes had to be due."""
RULES = {"as soon as known": AS_SOON_AS_KNOWN, "when due": WHEN_DUE}
