"""Models in the MLflow registry: runs, versions and aliases."""
