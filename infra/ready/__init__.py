"""What a deployment needs before its first apply, and whether it is there: read-only, for the person and the pipelines."""
