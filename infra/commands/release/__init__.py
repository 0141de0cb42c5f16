"""The commands that build, plan, apply and roll back a release, and compare an environment with it."""
