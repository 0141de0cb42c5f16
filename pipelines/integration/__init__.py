"""Integration runs: every job of a use case in order on a window of its data, checks of what it wrote, and the clean-up.

`window` says which days, `steps` which jobs with which parameters, `checks` what must hold; all three are the same for
the embedded lakehouse (`local`) and for a deployed environment (`deployed`).
"""
