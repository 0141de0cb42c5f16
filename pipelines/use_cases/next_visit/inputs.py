"""Inputs that a request's own row determines: the same code for one row as for a whole window, so no engine is imported."""

import pandas as pd


def inputs(requests: pd.DataFrame) -> pd.DataFrame:
    """Add the hour and the day of the week, Sunday being 1, which are those of Greenwich."""
    paid = requests["paid_at"].dt
    return requests.assign(hour=paid.hour, weekday=(paid.dayofweek + 1) % 7 + 1)
