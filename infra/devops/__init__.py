"""The set-up of Azure DevOps: what the pipelines in ``.azuredevops/`` need to exist, read, compared, created."""
