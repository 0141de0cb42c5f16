"""The day of each row, UTC. Days are the units of the gate's test and of the monitors' standard errors."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def days_of(instants: "pd.Series[Any] | pd.DatetimeIndex") -> NDArray[np.int64]:
    """Return the day of each instant as a number, shape (rows,); instants without a zone are in UTC."""
    index = pd.DatetimeIndex(instants)
    plain = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    return np.asarray(plain.to_numpy(dtype="datetime64[D]").astype(np.int64))
