"""The figures of the README, each measured beside its alternative. Not part of the wheel."""
