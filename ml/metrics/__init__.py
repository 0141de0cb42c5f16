"""Quality metrics by name, and the uncertainty of a difference: standard errors (DeLong) and bootstraps."""
