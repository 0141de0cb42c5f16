"""What a change means in each environment before anybody deploys it: resources, replacements, privileges.

Pure functions on synthesized stacks or on Terraform's plans; how a plan is kept and applied is in `infra.releases`.
"""
