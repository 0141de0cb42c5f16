"""Traces, metrics and events of what runs, by OpenTelemetry; off unless the environment asks for it.

`recording` is all that the rest of the product calls. It loads no library: `providers` does, once telemetry is switched on
(`settings`). What may leave is stated in `attributes`, `instruments` and `events`, and nothing else leaves.
"""
