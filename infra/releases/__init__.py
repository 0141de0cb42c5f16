"""How code reaches an environment and comes back: kept plans, the permission to apply one, records, the way back.

What a change means before it is planned is in `infra.review`; running Terraform itself in `infra.terraform_cli.driver`.
"""
