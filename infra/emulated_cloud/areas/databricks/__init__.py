"""Databricks: the account, Unity Catalog and the objects of a workspace."""
