"""Policy: rules for every synthesized stack, as pure functions that return findings.

Our own checks cover what Checkov's built-in checks do not: Databricks, isolation between environments, and the agreement
of jobs, their parameters and the wheel. `python -m infra check` runs both and applies `infra/waivers.yaml`.
"""
