"""What a change means in each environment before anybody deploys it: resources, replacements, privileges.

Pure functions on synthesized stacks or on Terraform's plans; saving and applying a plan is in `infra.releases`.
"""
