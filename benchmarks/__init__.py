"""The figures of the README, each compared with an alternative that is measured in the same run. Not part of the wheel."""
