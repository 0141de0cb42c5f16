"""Policy: what must hold for every synthesized stack, as pure functions that return findings.

Our own checks know what Checkov's built-in checks do not: Databricks, isolation between environments, and how jobs,
their parameters and the wheel belong together. `python -m infra check` runs both and applies `infra/waivers.yaml`.
"""
