"""The figures of docs/figures.md, each compared with an alternative of the same run. Not part of the wheel."""
