"""Mergeable profiles of columns: counts, moments, histograms."""
