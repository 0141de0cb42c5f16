"""Integration runs: every job of a use case in order on a small slice, judged by what it wrote, and cleaned up.

`slice` says what runs, `judgement` what must hold; both are the same for the embedded lakehouse (`local`) and for a
deployed environment (`pipelines.integration.deployed`).
"""
