"""The Azure resources of an environment."""
