"""Runs declared jobs on this machine: order, retries, parameters, the history of runs."""
