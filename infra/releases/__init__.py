"""How code is released into an environment and rolled back: saved plans, the decision to apply one, records, rollback.

What a change means before it is planned is in `infra.review`; running Terraform is in `infra.terraform_cli`.
"""
