"""One emulated Azure and three Databricks workspaces in one account, on this machine only.

The rules are written from the documentation of the services; nothing here reads the stacks, their checks or their
rights, so that a wrong assumption there is refused here. `areas` has one module for each area of the services: the
requests it answers and the rules it enforces.
"""
