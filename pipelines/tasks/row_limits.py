"""From how many rows on tasks work from what the engine computes, because the rows would not fit one machine's memory."""

EXACT_ROWS = 5_000_000
"""Up to so many rows a task reads them and computes exactly: with 50 columns they take about 2 GB, and scores of several
models and their sorted copies as much again, which a driver of 8 GiB holds. Above it, it works from summaries."""
MOST_TRAINING_ROWS = 5_000_000
"""A training set has at most about so many rows: what is above is drawn by key, because an estimator holds its rows,
their encoded copy and the reference profiles at once."""
SAMPLE_SEED = 0
"""By which rows are drawn where a share of them is read: the same ones everywhere."""
