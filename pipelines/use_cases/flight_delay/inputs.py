"""Inputs that a request's own row determines: the same code for one row as for a whole window, so no engine is imported."""

import pandas as pd


def inputs(requests: pd.DataFrame) -> pd.DataFrame:
    """Add the inputs that are computed from a request's schedule."""
    return requests.assign(scheduled_hour=requests["departure_hour"], weekday=requests["departure_weekday"])
