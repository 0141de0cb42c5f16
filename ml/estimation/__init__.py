"""Estimates of a model's metrics on rows whose labels have not arrived."""
