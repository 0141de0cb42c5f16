"""Runs the real Terraform over the synthesized stacks with no network, no credentials and no provider registry.

The schemas of the providers are recovered from the installed bindings, one generic provider serves them, and Terraform
checks and applies with made-up values. It is a tool for developers: it can reach neither a cloud nor a remote state.
"""
