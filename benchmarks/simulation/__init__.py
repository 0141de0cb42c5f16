"""Simulated streams and test sets whose truth is known, on which gate and monitors are measured."""
