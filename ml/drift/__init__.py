"""Drift statistics of two profiles, and the thresholds above which they raise an alarm."""
