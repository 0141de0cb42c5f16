"""Bring in what a model learns from: source files, feature tables, labels."""
