"""The loader: a provider of ours for Terraform that creates Databricks objects through the real Databricks SDK.

It stands in for the real providers where Terraform finds none, against the emulated cloud alone. It knows the types of our
stacks, and of Azure only what Databricks needs: resource groups, workspaces, applications. Everything else of Azure is the
generic offline provider's, with made-up values.
"""
