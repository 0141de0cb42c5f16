"""The figures of the README, each compared with an alternative of the same run. Not part of the wheel."""
